"""An optimizer of this library as one of optax, for places that do not take a record."""

from typing import Any

from jaxopt_notes.optimizers.core.chain import as_transform
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform


def to_optax(optimizer: GradientTransform) -> Any:
    """An optimizer as an `optax.GradientTransformationExtraArgs`.

        (init, update) = (optimizer.init, optimizer.update)

    Most of optax, Flax and Equinox takes a record as it is; see `jaxopt_notes.interop`. The two functions
    hold the record: its numbers, arrays or tracers included, are constants of what is compiled.

    Arguments:
        optimizer: any optimizer or chain.

    Returns:
        A pair of functions, `init(params)` and `update(updates, state, params=None, **extra)`; optax hands
        extra arguments such as `value` on to it.

    Raises:
        TypeError: not a gradient transform. ModuleNotFoundError: optax is missing.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.optimizers import sgd
        >>> optimizer = to_optax(sgd(jnp.float32(0.5)))  # doctest: +SKIP
        >>> optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))[0]  # doctest: +SKIP
        Array([-0.5, -0.5], dtype=float32)
    """
    transform = as_transform(optimizer)
    try:
        import optax
    except ImportError as error:
        raise ModuleNotFoundError(
            "to_optax() needs optax, which is not importable: pip install optax. "
            "The record itself follows the same protocol and needs none."
        ) from error
    return optax.GradientTransformationExtraArgs(transform.init, transform.update)
