"""PReLU: a leaky rectifier that learns its slope, one for each channel or one for all."""

import jax

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.initializers import check_initializer, constant
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.layer import Shaped, along_last, check_features, floating, parameter_dtype
from jaxopt_notes.record import record, static

__all__ = ["PReLU", "prelu"]


@record
class PReLU:
    """See `prelu`."""

    shared: bool = static()
    slope_init: Initializer

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        shape = (1,) if self.shared else x.shape[-1:]
        return {"negative_slope": self.slope_init(key, shape, parameter_dtype(x))}, ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        slope = params["negative_slope"]
        if not self.shared:
            check_features("prelu", x, slope.shape[0])
        wide = x.astype(compute_dtype(x))
        return jax.numpy.where(wide >= 0, wide, along_last(slope, wide) * wide).astype(x.dtype), state


def prelu(shared: bool = False, slope_init: Initializer = constant(0.25)) -> PReLU:
    """A leaky rectifier that learns its slope.

        y = x if x ≥ 0, else a·x            ∂L/∂a = Σ over x < 0 of x·∂L/∂y

    Arguments:
        shared: one slope for all channels, instead of one for each.
        slope_init: initializer of the slopes a.

    Returns:
        A `PReLU` record; params {"negative_slope": [C]}, or [1] if shared. A slope is a vector, so
        `weights_only` leaves it out of weight decay, which would draw it to ReLU.

    Raises:
        TypeError: `slope_init` is no initializer.

    Example:
        >>> import jax.numpy as jnp
        >>> params, state = prelu().init(jax.random.key(0), jnp.ones((1, 2)))
        >>> prelu().apply(params, state, jnp.array([[-4.0, 2.0]]))[0]
        Array([[-1.,  2.]], dtype=float32)

    Source: He et al. 2015, eq. 1; 0.25 is theirs.

    Elsewhere: torch has one slope by default; Flax's is one, of shape () and value 0.01. Keras has one for
    each unit, from 0. At 0 the gradient by x is 1 here, as in JAX's leaky ReLU, and a in torch.
    """
    return PReLU(shared, check_initializer("prelu(slope_init)", slope_init))
