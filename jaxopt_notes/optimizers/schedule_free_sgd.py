"""Schedule-free gradient descent: a constant rate, and an average that needs no horizon."""

from jaxopt_notes.masks import Mask, MaskLike, as_mask
from jaxopt_notes.optimizers.core.chain import chain
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform
from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.optimizers.transforms.weight_decay import add_l2
from jaxopt_notes.optimizers.wrappers.schedule_free import ScheduleFreeBase, check_average
from jaxopt_notes.record import Number, record, static
from jaxopt_notes.schedules.schedule import Rate, check_rate


@record
class ScheduleFreeSGD(ScheduleFreeBase):
    """See `schedule_free_sgd`."""

    learning_rate: Rate
    b1: Number
    weight_decay: Rate
    weight_power: Number
    mask: Mask | None = static()

    def base(self) -> GradientTransform:
        return chain(add_l2(self.weight_decay, self.mask), sgd(self.learning_rate))


def schedule_free_sgd(
    learning_rate: Rate = 1.0,
    b1: Number = 0.9,
    *,
    weight_decay: Rate = 0.0,
    weight_power: Number = 2.0,
    mask: MaskLike = "weights_only",
) -> ScheduleFreeSGD:
    """Schedule-free gradient descent.

        z ← z − γ·(∇f(y) + λ·y)             c = γₜᵖ/(γ₁ᵖ + … + γₜᵖ)
        x ← (1 − c)·x + c·z                 y ← β·x + (1 − β)·z          (y are the parameters held)

    Arguments:
        learning_rate: γ ≥ 0, a number or a warm-up; it does not have to fall.
        b1, weight_power: β and p, as in `schedule_free`.
        weight_decay: λ ≥ 0, a number or a schedule.
        mask: which leaves are decayed: "weights_only" (rank ≥ 2, no scale or bias), `None` for
            all, a function of the parameters, or a tree of bools.

    Returns:
        A `ScheduleFreeSGD` record; evaluation, state and needs as in `schedule_free`.

    Raises:
        ValueError: a number outside its interval, or `update` without params.
        TypeError: an argument is not a number.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = schedule_free_sgd(0.5)
        >>> y = jnp.array(1.0)
        >>> update, state = optimizer.update(y, optimizer.init(y), y)
        >>> print(y + update, optimizer.evaluation_params(y + update, state))
        0.5 0.5

    Source: Defazio et al. 2024, equations 1–3, section 4 (the weights).

    Elsewhere: `optax.contrib.schedule_free_sgd`, `schedulefree.SGDScheduleFree`: the same at a constant rate,
    and both decay all leaves. With `warmup_steps` the first asks for the rate of the weights a step early.
    """
    b1, weight_power = check_average("schedule_free_sgd", b1, weight_power)
    return ScheduleFreeSGD(
        learning_rate=check_rate("schedule_free_sgd(learning_rate)", learning_rate),
        b1=b1,
        weight_decay=check_rate("schedule_free_sgd(weight_decay)", weight_decay),
        weight_power=weight_power,
        mask=as_mask(mask),
    )
