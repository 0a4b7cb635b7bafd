"""One training step: a gradient of the weighted batch loss, and an update.

Optimizers that need more than a gradient find it in the further arguments of their `update`, under optax's
names: `value`, the objective at the parameters; `grad`, its gradient; `value_fn`, the objective as a function
of the parameters, with this batch and this draw of noise. Optimizers that ignore them pay nothing.
If the optimizer holds a loss scale, what is differentiated is the objective times that scale.

Leaves that are not `trainable` are constants to the step: nothing is differentiated by them, and where no
layer below them is trained either the backward pass ends there. The optimizer never sees them.

Examples of weight 0 only fill a batch: they have no part in the loss, and layers whose statistics are of the
whole batch, and augmentations that mix examples, are told to leave them out (`mask_batch`).

With a collector (`Trainer(collect=…)`) the step hands over what it was made of, a `StepRecord`, and gives
back what the collector makes of it. Outputs of layers are caught on their way through the one forward pass,
and what a collector does not look at is not computed: one that wants nothing costs nothing.
"""

import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype, is_float
from jaxopt_notes.layers.batch_mask import mask_batch
from jaxopt_notes.layers.capture import capture
from jaxopt_notes.losses.reduction import weighted_mean
from jaxopt_notes.optimizers.core.apply_updates import apply_updates
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform
from jaxopt_notes.optimizers.core.trainable import merge
from jaxopt_notes.optimizers.wrappers.loss_scaling import scale_loss
from jaxopt_notes.optimizers.wrappers.skip_nonfinite import SkipNonfinite
from jaxopt_notes.record import record, static


class Learner(NamedTuple):
    """What a training step changes: parameters, the model's state and the optimizer's.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> params = {"w": jnp.zeros(2)}
        >>> Learner(params, (), sgd(0.1).init(params)).model_state
        ()
    """

    params: Tree
    model_state: Tree
    opt_state: Tree


NOT_FINITE = (
    "are there NaN or infinities in the data, labels outside of 0 … classes − 1, or is the learning rate far "
    "too large? Steps whose gradient is not finite change nothing (history['skipped'] counts them)."
)


class StepRecord(NamedTuple):
    """What one training step was made of: all that a collector may look at.

    Arguments:
        params: the parameters before it.
        grads: the gradient of loss and penalty, not multiplied by a loss scale, before the optimizer changes
            it; `None` for parameters that are not trained.
        updates: what is added to the parameters; `None` likewise.
        activations: the output of every layer within the model, by path, as from `capture`.
        loss: of the batch, without penalty.
        weights: [B], what each example counts; 0 for padding.

    Example:
        >>> record = StepRecord(params=jnp.ones(2), grads=jnp.array([3.0, 4.0]), updates=None,
        ...                     activations={}, loss=jnp.array(1.0), weights=jnp.ones(8))
        >>> print(jnp.linalg.norm(record.grads))
        5.0
    """

    params: Tree
    grads: Tree
    updates: Tree
    activations: dict[str, Any]
    loss: jax.Array
    weights: jax.Array


@record
class Collected:
    """What a collector has made of some steps: sums over those that were taken, and how many these are.

    All numbers are one vector, since a loop that keeps a hundred scalars takes a hundred small steps.
    """

    numbers: jax.Array  # [N], or [steps, N]
    taken: jax.Array  # scalar, or [steps]
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = static()  # of each by name

    @property
    def total(self) -> dict[str, jax.Array]:
        """The sums by name."""
        ends = list(itertools.accumulate(math.prod(shape) for _, shape in self.shapes))
        parts = jnp.split(self.numbers, ends[:-1], axis=-1)
        named = zip(self.shapes, parts, strict=True)
        return {name: part.reshape(self.taken.shape + shape) for (name, shape), part in named}


def collected(values: dict[str, Any], taken: jax.Array) -> Collected:
    """What has been made of one step; nothing if it was not taken.

    Example:
        >>> print(collected({"a": jnp.ones(2), "b": jnp.array(3.0)}, jnp.array(True)).total["b"])
        3.0
    """
    numbers = {name: as_hyperparameter(values[name]) for name in sorted(values)}
    flat = jnp.concatenate([number.reshape(-1) for number in numbers.values()])
    shapes = tuple((name, number.shape) for name, number in numbers.items())
    return Collected(jnp.where(taken, flat, jnp.zeros_like(flat)), as_hyperparameter(taken), shapes)


def train_step(
    trainer: Any,
    learner: Learner,
    batch: tuple,
    weights: jax.Array,
    key: jax.Array,
    augmentation_key: jax.Array | None = None,
) -> tuple[Learner, jax.Array]:
    """Move the parameters by one mini-batch.

        L(θ) = Σᵢ wᵢ·loss(model(xᵢ; θ), yᵢ) / Σᵢ wᵢ
        θ ← θ + update(∇(S·(L + penalty))(θ))          (S is 1 unless the optimizer holds a loss scale)

    Arguments:
        trainer: a `Trainer`: model, loss, penalty, augmentation and optimizer.
        learner: where training is.
        batch: (x, y), B examples.
        weights: [B], what each example counts; 0 for padding.
        key: for the model (dropout).
        augmentation_key: for the augmentation, if there is one.

    Returns:
        The new learner, and L at the old parameters. After a gradient that is not finite, with a
        guarded optimizer, parameters and both states are the old ones.

    Raises:
        ValueError: the loss is already reduced to a scalar.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> from jaxopt_notes.training.trainer import Trainer
        >>> trainer = Trainer(dense(1), sgd(0.1), mean_squared_error, metric=None)
        >>> x, y = jnp.ones((4, 2)), jnp.ones((4, 1))
        >>> learner = trainer.init(jax.random.key(0), (x, y)).learner
        >>> step = jax.jit(lambda learner, key: train_step(trainer, learner, (x, y), jnp.ones(4), key))
        >>> learner, first = step(learner, jax.random.key(1))
        >>> learner, second = step(learner, jax.random.key(2))
        >>> bool(second < first)
        True

    Source: Goodfellow, Bengio & Courville 2016, section 8.1.3.
    """
    return collected_step(trainer, learner, batch, weights, key, augmentation_key)[:2]


def collected_step(
    trainer: Any, learner: Learner, batch: tuple, weights: jax.Array, key: jax.Array,
    augmentation_key: jax.Array | None = None,
) -> tuple[Learner, jax.Array, Collected | None]:  # fmt: skip
    """`train_step`, and what the collector of the trainer makes of it, `None` if it has none."""
    x, y = batch
    if trainer.augmentation is not None:
        augment = mask_batch(trainer.augmentation, weights != 0)
        x, y = augment(augmentation_key, x, y)

    model = mask_batch(trainer.model, weights != 0)
    of_model = hasattr(trainer.penalty, "apply")  # a penalty that runs the model itself
    collects = trainer.collect is not None

    def run(params: Tree) -> tuple:
        """Outputs, the model's state, and the outputs of its layers if a collector may look at them."""
        if collects:
            return capture(model, params, learner.model_state, x, key=key, train=True)
        return *model.apply(params, learner.model_state, x, key=key, train=True), {}

    def objective(moving: Tree) -> tuple:
        params = merge(moving, learner.params)
        if of_model:
            outputs, model_state, penalty = trainer.penalty.apply(
                model, params, learner.model_state, x, y, weights, key=key
            )
            activations = run(params)[2] if collects else {}  # the compiler finds what is computed twice
        else:
            outputs, model_state, activations = run(params)
            penalty = 0.0 if trainer.penalty is None else trainer.penalty(params)
        values = trainer.loss(outputs, y)
        if jnp.ndim(values) == 0:
            raise ValueError(
                "Trainer(loss) returned a scalar, expected one value per example: leave out the mean."
            )
        loss = weighted_mean(values.astype(compute_dtype(values)), weights)
        if trainer.penalty is None:
            return loss, (loss, model_state, activations)
        return loss + jnp.asarray(penalty).astype(loss.dtype), (loss, model_state, activations)

    optimizer = trainer.guarded_optimizer()

    def scaled(moving: Tree) -> tuple:
        value, aux = objective(moving)
        return scale_loss(optimizer, value, learner.opt_state), (value, *aux)

    moving = trainer.moving(learner.params)
    grads, (value, loss, model_state, activations) = jax.grad(scaled, has_aux=True)(moving)
    updates, opt_state = optimizer.update(
        grads, learner.opt_state, moving,
        value=value, grad=grads, value_fn=lambda moving: objective(moving)[0],
    )  # fmt: skip
    if isinstance(optimizer, SkipNonfinite):
        model_state = select(opt_state.last_finite, model_state, learner.model_state)
    seen = None
    if collects:
        grads = _unscaled(optimizer, grads, learner.opt_state)
        kept = _stored_once(updates)
        made_of = StepRecord(learner.params, grads, kept, activations, loss, weights)
        taken = opt_state.last_finite if isinstance(optimizer, SkipNonfinite) else jnp.array(True)
        seen = _collected(trainer.collect(made_of), taken)
        updates = updates if seen is None else _after(seen, kept)
    return Learner(apply_updates(learner.params, updates), model_state, opt_state), loss, seen


def _unscaled(optimizer: GradientTransform, grads: Tree, state: Tree) -> Tree:
    """Gradients of the objective from those of its multiple, if an optimizer holds a loss scale."""
    one = jnp.ones((), jnp.float32)
    scale = scale_loss(optimizer, one, state)
    return grads if scale is one else jax.tree.map(lambda g: g.astype(scale.dtype) / scale, grads)


def _collected(found: Any, taken: jax.Array) -> Collected | None:
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise TypeError(
            f"Trainer(collect) returned {found!r}, expected a dict of numbers or arrays by name: "
            'lambda step: {"grad_norm": global_norm(step.grads)}.'
        )
    if not found:
        return None
    return collected(found, taken)


def _stored_once(updates: Tree) -> Tree:
    """Updates that a collector and the parameters read from one place.

    XLA's CPU backend would store several steps on the way to them and make the rest twice. A quotient it
    makes once, unless one number divides all: that it inverts. Here it does not know that nothing changes.
    """

    def divided(updates: Tree) -> Tree:
        return jax.tree.map(
            lambda u: u / jnp.where(jnp.isnan(u), 2, 1).astype(u.dtype) if is_float(u) else u, updates
        )

    return lax.platform_dependent(updates, cpu=divided, default=lambda updates: updates)


def _after(seen: Collected, updates: Tree) -> Tree:
    """Updates that on CPU wait for what was collected: else it is read off a copy of all parameters."""

    def waiting(updates: Tree, seen: Collected) -> Tree:
        total = jnp.sum(seen.numbers)
        always = (seen.taken >= 0) | jnp.isnan(total)
        return jax.tree.map(lambda u: jnp.where(always, u, jnp.zeros_like(u)), updates)

    return lax.platform_dependent(updates, seen, cpu=waiting, default=lambda updates, seen: updates)


def select(condition: jax.Array, on_true: Tree, on_false: Tree) -> Tree:
    """`jnp.where` leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), on_true, on_false)
