"""Fitting one model: `Trainer.advance` called from the host, with progress, callbacks and Ctrl-C.

Between two calls the whole run is in `state`, so this is where a host may look at it, save it with
`checkpoint.save`, draw it or end it. An interrupted fit returns what is finished, and goes on when
its state is passed back.
"""

import contextlib
import math
import os
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxopt_notes.data.arrays import check_arrays, check_data
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.population.store import check_folder
from jaxopt_notes.record import check_count, check_takes, record
from jaxopt_notes.training.epoch import TrainState
from jaxopt_notes.training.evaluation import check_weights, evaluate, predict
from jaxopt_notes.training.grouping import Groups
from jaxopt_notes.training.run_folder import RunFolder
from jaxopt_notes.training.step import NOT_FINITE
from jaxopt_notes.training.stream import Stream, is_stream, no_epochs
from jaxopt_notes.training.trainer import Trainer, check_trainer

Callback = Callable[[TrainState, dict[str, np.ndarray]], Any]


@record
class FitResult:
    """A trained model: the trainer, the last state, and the history as NumPy arrays [epochs run].

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> data = (jnp.ones((4, 2)), jnp.ones((4, 1)))
        >>> trainer = Trainer(dense(1), sgd(0.1), mean_squared_error, metric=None)
        >>> result = fit(trainer, jax.random.key(0), data, epochs=3)
        >>> result.predict(jnp.zeros((5, 2))).shape, result.best_epoch
        ((5, 1), 3)
    """

    trainer: Trainer
    state: TrainState
    history: dict[str, np.ndarray]

    @property
    def params(self) -> Tree:
        """The best parameters: those of the least validation loss, or what early stopping monitors."""
        return self.state.best_params

    @property
    def model_state(self) -> Tree:
        """The model's state that belongs to the best parameters."""
        return self.state.best_model_state

    @property
    def best_score(self) -> float:
        """The score by which the parameters are the best; ±∞ if no epoch was better than the start."""
        worst = math.inf if self.trainer.stopping_rule().mode == "min" else -math.inf
        return float(self.state.best_score) if self.best_epoch else worst

    @property
    def best_epoch(self) -> int:
        """After how many epochs they were found; 0 if none was better than the start."""
        return int(self.state.best_epoch)

    def predict(self, x: Tree) -> Tree:
        """The outputs of the best parameters, without dropout."""
        return outputs_of(self.trainer, self.params, self.model_state, x)

    def evaluate(self, data: tuple) -> dict[str, float]:
        """Loss and metric of the best parameters on other data: {"loss": …, "accuracy": …}."""
        scores = _evaluate(self.trainer, self.params, self.model_state, data)
        return {name: float(score) for name, score in scores.items()}


def outputs_of(trainer: Trainer, params: Tree, model_state: Tree, x: Tree) -> Tree:
    """The outputs of a trained network, without dropout, by one compiled program."""
    check_arrays("predict(x) is", x)
    return _predict(trainer.model, params, model_state, x, trainer.eval_batch_size)


_predict = jax.jit(predict, static_argnums=4)
_evaluate = jax.jit(evaluate)


def fit(
    trainer: Trainer,
    key: jax.Array,
    train_data: tuple,
    valid_data: tuple | None = None,
    epochs: int = 20,
    *,
    progress: bool | None = None,
    callback: Callback | None = None,
    state: TrainState | None = None,
    epochs_per_call: int = 1,
    steps_per_epoch: int | None = None,
    steps_per_call: int | None = None,
    folder: str | os.PathLike | None = None,
) -> FitResult:
    """Train one model.

    Arguments:
        trainer: the run.
        key: a typed random key; unused if `state` is given, which has its own.
        train_data: (x, y), or (x, y, weights), as for `Trainer.init`; or where such batches come from:
            an iterable (a loader of torch or grain, a list of batches), begun anew for each epoch; a function
            from the number of the epoch to an iterable; an iterator, taken as it stands and never begun anew.
        valid_data: (x, y) to select the best parameters by, or `None`: the last are the best.
        epochs: how many more at most; early stopping may end the run before.
        progress: whether to show a bar (needs tqdm); by default if tqdm is installed and the error
            stream is a terminal.
        callback: called as `callback(state, history)` after each call of `advance` with the history
            so far; a true result ends the run.
        state: of an earlier fit, to go on from.
        epochs_per_call: epochs between two looks from the host, at most; of batches from outside always one.
        steps_per_epoch: of batches from outside: where an epoch ends, if not where they do.
        steps_per_call: of batches from outside: steps between two calls of `callback`, by default an epoch.
        folder: keep the run there after every call. The same call in another process goes on where it was,
            bit for bit, and `epochs` is then that of the whole run: a finished one is returned as it is, one
            with more epochs is continued, and another run is refused.

    Returns:
        A `FitResult`. After a KeyboardInterrupt it holds the calls that were finished.

    Many small leaves of one network (16 on a GPU or a TPU, 500 on a CPU) share their update, as with
    `grouped`, where the optimizer is known to allow it; the states that are seen are as ever.

    Batches from outside may be more than the memory holds, and arrays of any library that NumPy reads. While
    a step runs, the next batch is read and put on the device; `Trainer.batch_size` is not used, and smaller
    batches are filled up with examples of weight 0. Their order is theirs. A `state` from the middle of an
    epoch goes on there, bit for bit: what is begun anew is read again up to that batch; an iterator must
    stand there already, so save `iterator.get_state()` of grain beside the state, and set it before going on.

    Raises:
        TypeError, ValueError: see `Trainer.init` and `Trainer.advance`; a folder that holds another run, or
            is given beside a state. BlockingIOError: another process is at work in it. ImportError:
            progress=True without tqdm.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> x = jnp.linspace(-1, 1, 8)[:, None]
        >>> trainer = Trainer(dense(1), sgd(0.5), mean_squared_error, metric=None, batch_size=4)
        >>> result = fit(trainer, jax.random.key(0), (x, 2 * x), epochs=20)
        >>> result.params["kernel"].round(2)
        Array([[2.]], dtype=float32)

    Source: Goodfellow, Bengio & Courville 2016, algorithms 7.1 and 8.1.

    Elsewhere: Keras's `Model.fit` calls back into the host for each batch; here the host is asked
    only between epochs, so a step costs no round trip.
    """
    if callback is not None:
        check_takes("fit(callback)", callback, 2, "callback(state, history)")
    if progress is not None and not isinstance(progress, bool):
        raise TypeError(
            f"fit(progress) is {progress!r}, expected True, False or None: callback= takes a function."
        )
    check_trainer("fit(trainer)", trainer)
    check_folder("fit(folder)", folder)
    if state is not None and not isinstance(state, TrainState):
        raise TypeError(f"fit(state) is {state!r}, expected that of an earlier fit: result.state.")
    epochs = check_count("fit(epochs)", epochs)
    epochs_per_call = check_count("fit(epochs_per_call)", epochs_per_call, 1)
    stream = None
    if is_stream(train_data):
        stream = Stream(train_data, steps_per_epoch, steps_per_call)
    elif steps_per_epoch is not None or steps_per_call is not None:
        raise ValueError(
            "fit(steps_per_epoch, steps_per_call) are for an iterator of batches, but train_data is (x, y): "
            "leave them out; Trainer(batch_size) and epochs_per_call are what arrays take."
        )
    if folder is not None and state is not None:
        raise ValueError(
            "fit(folder) has the state of its run, but state is given too: leave one of them out."
        )
    if stream is None:
        check_data("fit(train_data)", train_data)
    if valid_data is not None:
        if not (isinstance(valid_data, tuple | list) and len(valid_data) in (2, 3)):
            raise TypeError(
                f"fit(valid_data) is a {type(valid_data).__name__}, expected a pair (x, y), or (x, y, "
                "weights), or None."
            )
        check_weights("fit(valid_data)", valid_data)
    with contextlib.ExitStack() as stack:
        kept = None
        if folder is not None:
            data = None if stream else (train_data, valid_data)
            kept = stack.enter_context(RunFolder(folder, trainer, data, key, epochs))
        result = _fit(
            trainer, key, train_data, valid_data, epochs, progress, callback, state, epochs_per_call, stream,
            kept,
        )  # fmt: skip
    loss = np.asarray(result.history.get("loss", ()))
    if loss.size and not np.isfinite(loss).any():
        warnings.warn(f"fit: the loss is not finite in any epoch: {NOT_FINITE}", stacklevel=2)
    return result


def _fit(
    trainer: Trainer, key: jax.Array, train_data: Any, valid_data: Any, epochs: int, progress: bool | None,
    callback: Callback | None, state: TrainState | None, epochs_per_call: int, stream: Stream | None,
    kept: RunFolder | None,
) -> FitResult:  # fmt: skip
    """`fit` with its arguments checked."""
    # Everything is put where it is needed once, by name: under `jax_transfer_guard` nothing else moves.
    trainer, valid_data = jax.device_put((trainer, valid_data))
    if stream:
        state = stream.start(trainer, key, state)
    else:
        train_data = jax.device_put(train_data)
        state = trainer.init(key, train_data) if state is None else state
    history, left = no_epochs(state, valid_data), epochs
    if kept is not None and (restored := kept.restore(state)) is not None:
        state, history = restored
        left = max(epochs - int(state.epoch), 0)
        if stream and not stream.once:
            stream.batches = None  # it is begun anew, and read up to where the run was
    every_step = stream is not None and stream.call_ends and (kept is not None or callback is not None)
    groups = Groups(trainer, joined=False) if every_step else Groups.of(trainer, state)
    state = groups.held(state)
    bar = _bar(left, progress)
    try:
        while left and not jax.device_get(state.stopped):
            if stream:
                advanced, rows = stream.advance(groups.trainer, state, valid_data)
                if rows is None:
                    warnings.warn(
                        f"fit(train_data) is an iterator that has ended after {int(state.epoch)} epochs, "
                        f"{left} fewer than asked for: pass an iterable, or a function of the epoch.",
                        stacklevel=2,
                    )
                    break
            else:
                size = min(left, epochs_per_call)
                advanced, rows = groups.trainer.advance(state, train_data, valid_data, size)
            before, after, found = jax.device_get((state.epoch, advanced.epoch, rows))
            ran = int(after) - int(before)
            new = {name: values[:ran] for name, values in found.items()}
            longer = {
                name: np.concatenate([history[name], values]) if len(history[name]) else values
                for name, values in new.items()
            }
            state, history = advanced, longer  # an interrupt finds both old or both new
            left -= ran
            bar.update(ran)
            if ran:
                shown = {n: curve[-1] for n, curve in new.items() if curve.ndim == 1 and "/" not in n}
                bar.set_postfix({name: f"{value:.4g}" for name, value in shown.items()})
            if kept is not None:
                kept.save(groups.shown(state), history)
            if callback is not None and callback(groups.shown(state), history):
                break
    except KeyboardInterrupt:
        pass
    finally:
        bar.close()
    return FitResult(trainer, groups.shown(state), history)


def _bar(epochs: int, progress: bool | None) -> Any:
    """A tqdm bar, or what accepts the same calls and shows nothing."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if progress:
            raise
        return _NoBar()
    # tqdm's own disable=None hides the bar where the error stream is not a terminal.
    return tqdm(total=epochs, unit="epoch", disable=None if progress is None else not progress)


class _NoBar:
    def update(self, n: int) -> None: ...

    def set_postfix(self, values: dict[str, str]) -> None: ...

    def close(self) -> None: ...
