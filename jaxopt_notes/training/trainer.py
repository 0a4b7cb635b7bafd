"""The whole training run as a pure function of one record.

A `Trainer` holds everything a run is made of: model, optimizer, loss, penalty, augmentation, early
stopping. All its numbers are leaves. `init` makes a `TrainState` and `advance` moves it by some
epochs, and that is the only training loop there is: `fit` is a host loop of calls of it, a sweep is
`jax.vmap` of it, a resumed run is one more call, a hyperparameter gradient is `jax.grad` through it.

Inside is a scan over epochs of a scan over shuffled mini-batches, all on the device. Everything
random comes from `fold_in(state.key, epoch)`, so a run cut in pieces equals the uncut run bit for
bit. A run that has stopped early is frozen at epoch ends: alone it skips the epoch, in a population
the old and the new state are selected once an epoch, no step pays for it, and an epoch in which no
member runs is skipped (`apply_if`).
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.control_flow import apply_if
from jaxopt_notes.dtypes import Tree, is_none
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.masks import as_mask, read_mask
from jaxopt_notes.metrics import accuracy
from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform
from jaxopt_notes.optimizers.wrappers.skip_nonfinite import SkipNonfinite, skip_nonfinite
from jaxopt_notes.record import as_leaf, check_count, record, static
from jaxopt_notes.training.early_stopping.patience import patience
from jaxopt_notes.training.epoch import TrainState, run_epoch, start
from jaxopt_notes.training.evaluation import check_weights, count
from jaxopt_notes.training.models import as_model
from jaxopt_notes.training.step_history import windows_of, with_windows


@record
class Trainer:
    """A training run as data.

        θ ← θ + update(∇[Σᵢ wᵢ·loss(model(xᵢ; θ), yᵢ) / Σᵢ wᵢ + penalty(θ)])   for each mini-batch

    Arguments:
        model: a layer: `init(key, x) -> (params, state)`, `apply(params, state, x, key=, train=)`; any object
            with `init(key, x) -> params` and `apply(params, x)`; a module of Flax linen, Flax NNX or Equinox.
            Modules of the last two hold parameters, which every run then begins with; `lambda rngs: …` or
            `lambda key: …`, which makes such a module, draws new ones for every seed.
        optimizer: `init(params)`, `update(grads, state, params)`; those of optax serve as well.
        loss: (outputs, targets) → one value per example; a function, a `jax.tree_util.Partial`
            whose numbers are leaves, or a record.
        penalty: params → scalar, a term of the training loss only, or a penalty of the model, such as
            `activity_penalty`; `None` for none.
        augmentation: (key, x, y) → (x, y), in training only, as `random_flip()`; `None` for none.
        early_stopping: a rule such as `patience()`; `None` runs every epoch and keeps the parameters
            of the least validation loss (without validation data the last ones).
        metric: (outputs, targets) → values per example, which are averaged, or a scalar; a dict of such
            functions by name for several; `None` for none. "valid_<name>" in the history is taken of all
            validation data at once, so scores that are no means (AUC, F1, R²) are exact too.
        batch_size: examples per step, static. The last batch of an epoch counts by its size.
        eval_batch_size: examples evaluated at once at most, static; it bounds the memory.
        skip_nonfinite: whether a step whose gradient is not finite changes nothing and is counted,
            static.
        trainable: which parameters are trained, static: a function from the parameters to a tree of bools,
            or such a tree, in which one bool may stand for a whole layer; `None` for all. The others are
            frozen: no gradient of theirs is computed, and the optimizer holds no state for them.
        collect: what is watched at every step, such as `diagnostics.collector()`: a record that is called
            with a `StepRecord` (parameters, gradients, updates, activations, loss), or a function of it, and
            returns a dict of numbers or arrays by name. The history has the mean over each epoch's steps
            that were taken. `None` for nothing, which costs nothing.
        history_every: also keep the history of every so many steps, static: "step_loss" [epochs, windows],
            and "step_<name>" of what is collected. `None` for none.

    Returns:
        A `Trainer` record. Functions in it are made fit to be leaves; `init` validates.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> x = jnp.linspace(-1, 1, 8)[:, None]
        >>> trainer = Trainer(dense(1), sgd(0.5), mean_squared_error, metric=None, batch_size=4)
        >>> state = trainer.init(jax.random.key(0), (x, 2 * x))
        >>> state, history = trainer.advance(state, (x, 2 * x), epochs=30)
        >>> print(state.best_params["kernel"].round(2), history["loss"].shape)
        [[2.]] (30,)

    Source: Goodfellow, Bengio & Courville 2016, section 8.1.3 and algorithm 7.1.

    Elsewhere: Keras adds penalties to the validation loss as well. A short last batch is
    filled with samples from the epoch's beginning; they count nothing, in batch normalization neither.
    """

    model: Layer
    optimizer: GradientTransform
    loss: Any
    penalty: Any = None
    augmentation: Any = None
    early_stopping: Any = None
    metric: Any = accuracy
    batch_size: int = static(default=32)
    eval_batch_size: int = static(default=1024)
    skip_nonfinite: bool = static(default=True)
    trainable: Any = static(default=None)
    collect: Any = None
    history_every: int | None = static(default=None)

    def __post_init__(self) -> None:
        # JAX rebuilds records with placeholders: what is recognized becomes a pytree, nothing is refused.
        put = functools.partial(object.__setattr__, self)
        for name in ("loss", "penalty", "augmentation", "metric", "collect"):
            put(name, as_leaf(getattr(self, name)))
        if isinstance(self.metric, dict):
            put("metric", {name: as_leaf(metric) for name, metric in self.metric.items()})
        put("trainable", as_mask(self.trainable))
        if hasattr(self.optimizer, "init") and hasattr(self.optimizer, "update"):
            put("optimizer", as_transform(self.optimizer))
        put("model", as_model(self.model))

    def init(self, key: jax.Array, train_data: tuple) -> TrainState:
        """The state before the first epoch.

        Arguments:
            key: a typed random key; the run is a function of it.
            train_data: (x, y), arrays with a common leading axis; or (x, y, weights), with a number ≥ 0 for
                each example [n]: what it counts in the mean of its batch. One of weight 0 counts nothing,
                in batch normalization neither.

        Raises:
            TypeError, ValueError: a part of the trainer, the key or the data is not what it must be.
        """
        _check(self, key, train_data)
        return _start(self, key, train_data)

    def advance(
        self, state: TrainState, train_data: tuple, valid_data: tuple | None = None, epochs: int = 1
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """Train for some more epochs.

        Arguments:
            state: from `init`, or from an earlier call.
            train_data: (x, y), or (x, y, weights).
            valid_data: (x, y) to select by, (x, y, weights), or `None`.
            epochs: how many, static.

        Returns:
            The state, and the history: arrays of shape [epochs]. "loss": the mean over the training
            examples as the epoch met them, without penalty; "skipped": steps not taken; with
            validation data "valid_loss" (no penalty, no dropout) and "valid_<metric>"; and what a collector
            makes, [epochs, …]. A run that has
            stopped repeats its last entries; `state.epoch` says how many it ran.
        """
        epochs = check_count("Trainer.advance(epochs)", epochs)
        return _advance(self, state, train_data, valid_data, epochs)

    def guarded_optimizer(self) -> GradientTransform:
        """The optimizer that runs: inside `skip_nonfinite`, unless that is switched off."""
        guard = self.skip_nonfinite and not isinstance(self.optimizer, SkipNonfinite)
        return skip_nonfinite(self.optimizer) if guard else self.optimizer

    def moving(self, params: Tree) -> Tree:
        """The parameters that are trained, `None` in place of the others."""
        if self.trainable is None:
            return params
        keep = read_mask(self.trainable, params)
        return jax.tree.map(lambda leaf, own: leaf if own else None, params, keep, is_leaf=is_none)

    def stopping_rule(self) -> Any:
        """The rule that runs: without early stopping one that never stops and keeps the best."""
        return patience(jnp.inf) if self.early_stopping is None else self.early_stopping


def check_trainer(where: str, trainer: Any) -> None:
    """Refuse what is no `Trainer`, or has a part that is none.

    Raises:
        TypeError, ValueError: naming the part, what it is, and what was expected.
    """
    if not isinstance(trainer, Trainer):
        raise TypeError(f"{where} is {trainer!r}, expected a Trainer: jn.Trainer(model, optimizer, loss).")
    check_count("Trainer(batch_size)", trainer.batch_size, 1)
    check_count("Trainer(eval_batch_size)", trainer.eval_batch_size, 1)
    if trainer.history_every is not None:
        check_count("Trainer(history_every)", trainer.history_every, 1, "None keeps no history of steps")
    as_transform(trainer.optimizer)
    if inspect.isclass(trainer.model):
        name = trainer.model.__name__
        raise TypeError(f"Trainer(model) is the class {name}, expected a model: {name}(...).")
    for name, methods in {"model": ("init", "apply"), "early_stopping": ("init", "update")}.items():
        part = getattr(trainer, name)
        optional = part is None and name != "model"
        if not optional and not all(callable(getattr(part, method, None)) for method in methods):
            also = ", or a module of Flax or Equinox" if name == "model" else ""
            raise TypeError(
                f"Trainer({name}) is {part!r}, expected an object with {' and '.join(methods)}{also}."
            )
    for name in ("loss", "penalty", "augmentation", "metric", "collect"):
        part = getattr(trainer, name)
        optional = part is None and name != "loss"
        if name == "metric" and isinstance(part, dict):
            _check_metrics(part)
        elif name == "metric" and isinstance(part, tuple | list):
            raise TypeError(
                f"Trainer(metric) is {part!r}, expected a function of (outputs, targets), or a dict for "
                'several: {"accuracy": accuracy, "auc": roc_auc}.'
            )
        elif not optional and not callable(part) and not (name == "penalty" and hasattr(part, "apply")):
            raise TypeError(f"Trainer({name}) is {part!r}, expected a function or a record that is called.")
    if trainer.augmentation is not None and not _takes_three(trainer.augmentation):
        raise TypeError(
            f"Trainer(augmentation) is {trainer.augmentation!r}, expected a function of (key, x, y) that "
            "returns (x, y): of one that changes inputs alone make lambda key, x, y: (augment(key, x), y)."
        )


def _check(trainer: Trainer, key: Any, train_data: Any) -> None:
    check_trainer("the trainer", trainer)
    if not jnp.issubdtype(jnp.asarray(key).dtype, jax.dtypes.prng_key):
        raise TypeError(f"Trainer.init(key) is {key!r}, expected a typed key: jax.random.key(seed).")
    if not (isinstance(train_data, tuple | list) and len(train_data) in (2, 3)):
        raise TypeError(
            f"Trainer.init(train_data) is a {type(train_data).__name__}, expected a pair (x, y), or "
            "(x, y, weights)."
        )
    check_weights("Trainer.init(train_data)", train_data)
    count(train_data)


def _check_metrics(metrics: dict) -> None:
    for name, metric in metrics.items():
        if not isinstance(name, str) or name == "loss":
            raise ValueError(f"Trainer(metric) has the name {name!r}, expected a string other than 'loss'.")
        if not callable(metric):
            raise TypeError(
                f"Trainer(metric) has {metric!r} as {name!r}, expected a function of (outputs, targets)."
            )


def _takes_three(function: Callable) -> bool:
    try:
        inspect.signature(function).bind(None, None, None)
    except TypeError:
        return False
    except ValueError:  # builtin functions may have no signature
        return True
    return True


_start = jax.jit(start)


@functools.partial(jax.jit, static_argnames="epochs")
def _advance(
    trainer: Trainer, state: TrainState, train_data: tuple, valid_data: tuple | None, epochs: int
) -> tuple:
    run = functools.partial(run_epoch, trainer, train_data, valid_data)
    if trainer.history_every is not None:  # the data may be others than those of the last epoch
        windows = windows_of(trainer, count(train_data))
        state = state._replace(metrics=with_windows(state.metrics, windows))

    def body(state: TrainState, _: None) -> tuple:
        state = run(state) if trainer.early_stopping is None else apply_if(~state.stopped, run, state)
        return state, state.metrics

    history: dict
    if epochs == 1:  # a loop of one turn would be one more to trace, to vectorize and to compile
        state, latest = body(state, None)
        history = {name: entry[None] for name, entry in latest.items()}
    else:
        state, history = lax.scan(body, state, None, length=epochs)
    if valid_data is None:
        history = {name: values for name, values in history.items() if not name.startswith("valid_")}
    return state, history
