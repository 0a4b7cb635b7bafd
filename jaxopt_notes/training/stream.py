"""Training on batches that come from outside: from a loader, a generator, a file that no memory holds.

The host takes one batch after the other and calls one compiled step. Since JAX returns before a step is done,
the next batch is read and on its way to the device meanwhile; two steps at most are on their way, so that no
more batches than these are in memory. There is no thread, and nothing is read ahead: where the state stands,
there stands the iterator, and a run goes on in the middle of an epoch.

It is the loop of `run_epoch` with the host in it, made of the same step and the same end of an epoch.
"""

import collections
import itertools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.numerics import safe_divide
from jaxopt_notes.record import check_count
from jaxopt_notes.training.epoch import Partial, TrainState, end_epoch, nothing_collected, skipped_steps
from jaxopt_notes.training.evaluation import count
from jaxopt_notes.training.step import collected_step
from jaxopt_notes.training.trainer import Trainer

ON_THE_WAY = 2  # steps


def no_epochs(state: TrainState, valid_data: tuple | None) -> dict[str, np.ndarray]:
    """The history of no epoch [0, …]: what one would be of."""
    return {
        name: np.empty((0, *value.shape), value.dtype)
        for name, value in state.metrics.items()
        if valid_data is not None or not name.startswith("valid_")
    }


def is_stream(data: Any) -> bool:
    """Whether batches come from it one by one; (x, y) and (x, y, weights) are arrays.

    Example:
        >>> x, y = np.zeros((4, 2)), np.zeros(4)
        >>> is_stream((x, y)), is_stream([(x, y), (x, y)]), is_stream(iter([(x, y)]))
        (False, True, True)
    """
    if isinstance(data, list):
        return bool(data) and all(isinstance(batch, tuple | list) for batch in data)
    return not isinstance(data, tuple) and (hasattr(data, "__iter__") or callable(data))


class Stream:
    """Where batches come from, and where in it a run is. Lives on the host, as long as one call of `fit`."""

    def __init__(self, source: Any, steps_per_epoch: int | None = None, steps_per_call: int | None = None):
        self.source = source
        self.once = hasattr(source, "__next__")  # an iterator cannot be begun anew
        self.epoch_ends = (
            None if steps_per_epoch is None else check_count("fit(steps_per_epoch)", steps_per_epoch, 1)
        )
        self.call_ends = (
            None if steps_per_call is None else check_count("fit(steps_per_call)", steps_per_call, 1)
        )
        self.batches: Iterator | None = None
        self.size = 0  # of a batch

    def start(self, trainer: Trainer, key: jax.Array, state: TrainState | None) -> TrainState:
        """The state before the first step, or a state to go on from, fit for steps."""
        if state is None:
            self.batches = self._begin(0)
            first = self._next()
            if first is None:
                raise ValueError("fit(train_data) gave no batch, expected an iterable of batches (x, y).")
            self.batches = itertools.chain([first], self.batches)
            if trainer.history_every is not None:
                raise ValueError(
                    f"Trainer(history_every) is {trainer.history_every}, and batches that come from outside "
                    "have no known number of steps: a callback of fit(steps_per_call=…) sees every call."
                )
            state = trainer.init(key, first)
        if not state.partial:
            zero = jnp.zeros((), jnp.int32)
            nothing = as_hyperparameter(0.0)
            seen = nothing_collected(trainer, state)
            state = state._replace(partial=Partial(nothing, nothing, zero, zero, seen))
        return state

    def advance(
        self, trainer: Trainer, state: TrainState, valid_data: tuple | None
    ) -> tuple[TrainState, dict | None]:
        """Train to the end of the epoch, or for as many steps as a call may have.

        Returns:
            The state, and the history: arrays [1] after the end of an epoch, else [0]; `None` if
            nothing is left.
        """
        position, epoch = map(int, jax.device_get((state.partial.position, state.epoch)))
        if self.batches is None:
            self.batches = self._begin(epoch)
            for _ in range(0 if self.once else position):
                self._next()
        waiting: collections.deque = collections.deque()
        for _ in range(self.call_ends) if self.call_ends else itertools.count():
            batch = None if position == self.epoch_ends else self._next()
            if batch is None:
                break
            state = _step(trainer, state, *jax.device_put(self._filled(batch)))
            position += 1
            waiting.append(state.step)
            if len(waiting) > ON_THE_WAY:
                waiting.popleft().block_until_ready()
        else:
            return state, no_epochs(state, valid_data)
        if position == 0:
            return state, None
        if not self.once:
            self.batches = None
        state = _end(trainer, state, valid_data)
        return state, {name: state.metrics[name][None] for name in no_epochs(state, valid_data)}

    def _begin(self, epoch: int) -> Iterator:
        if hasattr(self.source, "__iter__"):
            return iter(self.source)
        return iter(self.source(epoch))

    def _next(self) -> tuple | None:
        """The next batch as arrays that JAX knows, or None at the end."""
        assert self.batches is not None
        batch = next(self.batches, None)
        if batch is None:
            return None
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise TypeError(
                f"fit(train_data) gave a batch that is a {type(batch).__name__}, expected (x, y)."
            )
        batch = jax.tree.map(lambda a: a if isinstance(a, jax.Array) else np.asarray(a), tuple(batch))
        self.size = max(self.size, count(batch))
        return batch

    def _filled(self, batch: tuple) -> tuple:
        """(x, y) of the size that batches have, and the weight of each example."""
        x, y, *own = batch
        n = count(batch)
        weights = np.asarray(own[0], np.float32) if own else np.ones(n, np.float32)
        if n == self.size:
            return (x, y), weights
        rows = np.arange(self.size) % n
        weights = np.where(np.arange(self.size) < n, weights[rows], np.float32(0))
        return jax.tree.map(lambda a: a[rows], (x, y)), weights


@jax.jit
def _step(trainer: Trainer, state: TrainState, batch: tuple, weights: jax.Array) -> TrainState:
    partial = state.partial
    _, noise = jax.random.split(jax.random.fold_in(state.key, state.epoch))
    keys = jax.random.split(jax.random.fold_in(noise, partial.position))
    skipped = jnp.where(partial.position == 0, skipped_steps(trainer, state.learner), partial.skipped)
    learner, loss, seen = collected_step(trainer, state.learner, batch, weights, *keys)
    weight = as_hyperparameter(jnp.sum(weights))
    partial = Partial(
        partial.loss + as_hyperparameter(loss) * weight,
        partial.weight + weight,
        partial.position + 1,
        skipped,
        jax.tree.map(jnp.add, partial.collected, seen),
    )
    return state._replace(learner=learner, step=state.step + 1, partial=partial)


@jax.jit
def _end(trainer: Trainer, state: TrainState, valid_data: tuple | None) -> TrainState:
    loss = safe_divide(state.partial.loss, state.partial.weight)
    return end_epoch(trainer, valid_data, state, loss, state.partial.skipped, state.partial.collected)
