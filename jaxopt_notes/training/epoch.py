"""One epoch: every example once in a new order, then validation, then what early stopping makes of it.

Everything random comes from `fold_in(state.key, state.epoch)`, split for all steps at once, so a run
may be cut and resumed between any two epochs, and a step finds its keys ready.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.data.batches import epoch_batches, take
from jaxopt_notes.draws import as_vector
from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.numerics import safe_divide
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.trainable import merge
from jaxopt_notes.optimizers.wrappers.skip_nonfinite import SkipNonfinite
from jaxopt_notes.training.early_stopping.score import watched, worst
from jaxopt_notes.training.evaluation import count, evaluate, metrics_of
from jaxopt_notes.training.step import Collected, Learner, collected, collected_step, select
from jaxopt_notes.training.step_history import PREFIX, no_steps, step_means, windows_of


class Partial(NamedTuple):
    """An epoch that is not finished, of batches that come one by one (`fit` with an iterator)."""

    loss: jax.Array  # summed over examples
    weight: jax.Array  # how many there were
    position: jax.Array  # steps since the epoch began
    skipped: jax.Array  # what the guard had counted when it began
    collected: Any = None  # by the collector, if there is one


class TrainState(NamedTuple):
    """A run at the end of an epoch: what trains, where it is, and the best that it has seen.

    `metrics` are those of the last epoch, by name; what has not been measured yet is 0. `best_params` are
    the ones to evaluate with: those after `best_epoch` epochs (0: the initial ones; `best_score` is then
    the worst finite number), or `None` where nobody keeps them, nor the model's state. With `stopped` set
    nothing changes any more. `partial` is for runs on batches from outside, which may stand in the middle of
    an epoch.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> from jaxopt_notes.training.trainer import Trainer
        >>> trainer = Trainer(dense(1), sgd(0.1), mean_squared_error, metric=None)
        >>> data = (jnp.ones((4, 2)), jnp.ones((4, 1)))
        >>> state, _ = trainer.advance(trainer.init(jax.random.key(0), data), data, epochs=3)
        >>> int(state.epoch), int(state.step), bool(state.stopped)
        (3, 3, False)
    """

    learner: Learner
    key: jax.Array
    epoch: jax.Array
    step: jax.Array
    metrics: dict[str, jax.Array]
    stopping: Tree
    stopped: jax.Array
    best_params: Tree
    best_model_state: Tree
    best_score: jax.Array
    best_epoch: jax.Array
    partial: Any = ()

    @property
    def params(self) -> Tree:
        """The parameters held in training."""
        return self.learner.params


def start(trainer: Any, key: jax.Array, train_data: tuple) -> TrainState:
    """The state of a `Trainer`'s run before its first epoch: nothing seen, the initial parameters best."""
    init_key, run_key = jax.random.split(key)
    first_batch = take(train_data[0], slice(trainer.batch_size))
    made = trainer.model.init(init_key, first_batch)
    if not isinstance(made, tuple) or len(made) != 2:
        raise TypeError(
            f"Trainer(model).init returned a {type(made).__name__}, expected a pair (params, state), with () "
            "for no state; or let apply take (params, x) alone."
        )
    params, model_state = made
    rule = trainer.stopping_rule()
    learner = Learner(params, model_state, trainer.guarded_optimizer().init(trainer.moving(params)))
    zero = jnp.zeros((), jnp.int32)
    metrics = {**dict.fromkeys(always_measured(trainer), as_hyperparameter(0.0)), "skipped": zero}
    seen = _first_collected(trainer, learner, train_data)
    if taken := sorted(metrics.keys() & seen):
        raise ValueError(f"Trainer(collect) names {taken[0]!r}, which the history has: give it another name.")
    steps = no_steps(windows_of(trainer, count(train_data)), seen)
    return TrainState(
        learner=learner,
        key=run_key, epoch=zero, step=zero, metrics=metrics | seen | steps,
        stopping=rule.init(), stopped=jnp.array(False),
        best_params=params, best_model_state=model_state,
        best_score=worst(rule.mode), best_epoch=zero,
    )  # fmt: skip


def run_epoch(trainer: Any, train_data: tuple, valid_data: tuple | None, state: TrainState) -> TrainState:
    """Train once over all examples in a new order, validate, and keep the best.

    Arguments:
        trainer: a `Trainer`.
        train_data: (x, y), n examples, or (x, y, weights).
        valid_data: (x, y), (x, y, weights) or `None`.
        state: the run before the epoch.

    Returns:
        The run after it, whether it had stopped or not.
    """
    n = count(train_data)
    order, noise = jax.random.split(jax.random.fold_in(state.key, state.epoch))
    size = min(trainer.batch_size, n)
    indices, weights = epoch_batches(order, n, size)
    steps = len(indices)
    filled, kind = n % size > 0, weights.dtype
    # Here and not in the step: one vectorized hash.
    keys = as_vector(lambda shape: jax.random.split(noise, shape), (2, steps))

    def step(carry: tuple, batch: tuple) -> tuple:
        learner, total = carry
        rows, weights, *keys = batch
        # Where all are 1 the compiler is told so, and drops them.
        weights = weights if filled else jnp.ones(size, kind)
        x, y, *own = take(train_data, rows)
        weights = weights * own[0].astype(weights.dtype) if own else weights
        learner, loss, seen = collected_step(trainer, learner, (x, y), weights, *keys)
        # Summed in the step, which compiles to the same code whatever loop is around it.
        counts = as_hyperparameter(jnp.sum(weights))
        add = as_hyperparameter(loss) * counts
        return (learner, total + add), (seen, None if trainer.history_every is None else (add, counts))

    seen: Collected | None
    each: tuple | None
    nothing = as_hyperparameter(0 * state.epoch)  # differs between members, as the sum will: see `own`
    carry = (state.learner, nothing)
    (learner, total), (seen, each) = lax.scan(step, carry, (indices, weights if filled else None, *keys))
    whole = n if len(train_data) == 2 else jnp.sum(as_hyperparameter(train_data[2]))
    loss = safe_divide(total, jnp.asarray(whole, total.dtype))
    after = state._replace(learner=learner, step=state.step + steps)
    if each is not None:
        after = after._replace(metrics=state.metrics | _of_steps(trainer, each, seen))
    seen = jax.tree.map(lambda values: jnp.sum(values, axis=0), seen)
    return end_epoch(trainer, valid_data, after, loss, skipped_steps(trainer, state.learner), seen)


def _of_steps(trainer: Any, each: tuple, seen: Collected | None) -> dict[str, jax.Array]:
    """The epoch's entries for windows of steps."""
    sums, counts = {"loss": each[0]}, {"loss": each[1]}
    if seen is not None:
        sums |= seen.total
        counts |= dict.fromkeys(seen.total, seen.taken)
    return {PREFIX + name: mean for name, mean in step_means(trainer.history_every, sums, counts).items()}


def always_measured(trainer: Any) -> list[str]:
    """The names of the metrics that a run has without a collector."""
    return ["loss", "skipped", "valid_loss", *(f"valid_{name}" for name in metrics_of(trainer))]


def _first_collected(trainer: Any, learner: Learner, data: tuple) -> dict[str, jax.Array]:
    """Zeros of all that the collector will make of a step."""
    if trainer.collect is None:
        return {}
    size, key = min(trainer.batch_size, count(data)), jax.random.key(0)
    batch = take(tuple(data[:2]), jnp.arange(size))

    def total() -> dict[str, jax.Array]:
        seen = collected_step(trainer, learner, batch, jnp.ones(size, jnp.float32), key, key)[2]
        return {} if seen is None else seen.total

    return jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), jax.eval_shape(total))


def nothing_collected(trainer: Any, state: TrainState) -> Collected | None:
    """Sums over no step yet, for a collector, if there is one that collects anything."""
    names = state.metrics.keys() - set(always_measured(trainer))
    if not names:
        return None
    return collected({name: jnp.zeros_like(state.metrics[name]) for name in names}, jnp.array(False))


def skipped_steps(trainer: Any, learner: Learner) -> jax.Array:
    """How many steps a guarded optimizer has not taken so far; 0 if nothing counts them."""
    guarded = isinstance(trainer.guarded_optimizer(), SkipNonfinite)
    return learner.opt_state.skipped if guarded else jnp.zeros((), jnp.int32)


def end_epoch(
    trainer: Any,
    valid_data: tuple | None,
    state: TrainState,
    loss: Any,
    skipped: jax.Array,
    seen: Collected | None,
) -> TrainState:
    """Validate, keep the best, and hear what early stopping says.

    Arguments:
        trainer: a `Trainer`.
        valid_data: (x, y), (x, y, weights) or `None`.
        state: the run, its learner that of the last step.
        loss: the mean over the epoch's examples.
        skipped: how many steps had been skipped before the epoch.
        seen: what the collector has made of the epoch's steps.

    Returns:
        The run at the end of the epoch.
    """
    learner = state.learner
    moving = trainer.moving(learner.params)
    moving = evaluation_params(trainer.guarded_optimizer(), moving, learner.opt_state)
    params = merge(moving, learner.params)
    metrics = {**state.metrics, "loss": loss}
    if seen is not None:
        metrics |= {name: total / seen.taken for name, total in seen.total.items()}
    if isinstance(trainer.guarded_optimizer(), SkipNonfinite):
        metrics["skipped"] = learner.opt_state.skipped - skipped
    if valid_data is not None:
        x, y, *own = valid_data
        scores = evaluate(trainer, params, learner.model_state, (x, y), *own)
        metrics |= {f"valid_{name}": score for name, score in scores.items()}

    score, stopping, improved, stop = _judge(trainer, state, metrics, valid_data is not None)
    epoch = state.epoch + 1
    return TrainState(
        learner=learner,
        key=state.key, epoch=epoch, step=state.step, metrics=metrics,
        stopping=stopping, stopped=state.stopped | stop,
        best_params=_better(improved, params, state.best_params),
        best_model_state=_better(improved, learner.model_state, state.best_model_state),
        best_score=jnp.where(improved, score, state.best_score),
        best_epoch=jnp.where(improved, epoch, state.best_epoch),
        partial=jax.tree.map(jnp.zeros_like, state.partial),
    )  # fmt: skip


def _better(improved: jax.Array, new: Tree, best: Tree | None) -> Tree | None:
    return None if best is None else select(improved, new, best)


def _judge(trainer: Any, state: TrainState, metrics: dict, validated: bool) -> tuple:
    """The score, and what the rule says of it; with nothing to select by, the last epoch is the best."""
    if trainer.early_stopping is None and not validated:
        return metrics["loss"], state.stopping, jnp.array(True), jnp.array(False)
    rule = trainer.stopping_rule()
    known = [name for name in metrics if validated or not name.startswith("valid_")]
    names = watched(rule)
    for name in [rule.monitor, *jax.tree.leaves(names)]:
        if name not in known:
            raise ValueError(
                f"early stopping monitors {name!r}, but the history has {', '.join(known)}: "
                "pass valid_data, or monitor one of these."
            )
    scores = jax.tree.map(metrics.__getitem__, names)
    return metrics[rule.monitor], *rule.update(state.stopping, scores)
