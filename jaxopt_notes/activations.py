"""Activations: plain functions from a pre-activation to an activation.

They are JAX's own where JAX has them and they are right. Every one of them keeps the dtype of its
input, and neither its values nor its gradients overflow or turn NaN at ±10⁴ in any floating-point
dtype, float16 included. Slopes and scales may be traced: `jax.vmap(leaky_relu, in_axes=(None, 0))`.

Saturation is what tells them apart. Where σ'(z) is 0 the chain rule multiplies everything before it
by 0: sigmoid and tanh at both ends, ReLU below 0; leaky ReLU nowhere.

What they cost seldom matters: an exponential for each number is nothing beside the matrix product before it.

What the weights before an activation are to be multiplied with, so that variances stay the same over depth,
is its `gain`: a layer z' = W·φ(z) with Var(W) = g²/fan_in keeps E[z²] where g² = 1/E[φ(z)²], with z standard
normal.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.dtypes import as_hyperparameter
from jaxopt_notes.numerics import log_softmax as precise_log_softmax
from jaxopt_notes.record import Number, check_choice

__all__ = [
    "ACTIVATIONS",
    "elu",
    "gain",
    "gelu",
    "identity",
    "leaky_relu",
    "log_softmax",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]


def identity(x: jax.Array) -> jax.Array:
    """The activation of a linear output.

        f(x) = x

    Example:
        >>> identity(jnp.array([-1.0, 2.0]))
        Array([-1.,  2.], dtype=float32)
    """
    return x


def sigmoid(x: jax.Array) -> jax.Array:
    """The logistic function, from 0 to 1; saturates at both ends.

        σ(x) = 1/(1 + e⁻ˣ)            σ'(x) = σ(x)·(1 − σ(x)) ≤ ¼

    Example:
        >>> sigmoid(jnp.array([-1e4, 0.0, 1e4]))
        Array([0. , 0.5, 1. ], dtype=float32)

    Source: Cybenko 1989.
    """
    return jax.nn.sigmoid(x)


def tanh(x: jax.Array) -> jax.Array:
    """The hyperbolic tangent, from −1 to 1: a sigmoid centred at 0; saturates at both ends.

        tanh(x) = 2σ(2x) − 1            tanh'(x) = 1 − tanh(x)²

    Example:
        >>> tanh(jnp.array([-1e4, 0.0, 1e4]))
        Array([-1.,  0.,  1.], dtype=float32)

    Source: LeCun et al. 1998, section 4.4.
    """
    return jnp.tanh(x)


def softsign(x: jax.Array) -> jax.Array:
    """Like tanh, but its tails approach ±1 as 1/x, so it saturates more slowly.

        f(x) = x/(1 + |x|)            f'(x) = 1/(1 + |x|)²

    Example:
        >>> softsign(jnp.array([-1.0, 0.0, 3.0]))
        Array([-0.5 ,  0.  ,  0.75], dtype=float32)

    Source: Glorot & Bengio 2010. Elsewhere: `jax.nn.soft_sign`.
    """
    return jax.nn.soft_sign(x)


def relu(x: jax.Array) -> jax.Array:
    """The rectifier: does not saturate above 0; its gradient at 0 is 0.

        f(x) = max(0, x)            f'(x) = 1 if x > 0, else 0

    Example:
        >>> relu(jnp.array([-1.0, 0.0, 2.0]))
        Array([0., 0., 2.], dtype=float32)
        >>> float(jax.grad(relu)(0.0))
        0.0

    Source: Glorot, Bordes & Bengio 2011.
    """
    return jax.nn.relu(x)


def leaky_relu(x: jax.Array, negative_slope: Number = 0.01) -> jax.Array:
    """A rectifier that lets a little through below 0, so that no unit dies.

        f(x) = x if x ≥ 0, else α·x

    Arguments:
        x: floating-point array. negative_slope: α; learned per unit it makes PReLU.

    Example:
        >>> leaky_relu(jnp.array([-100.0, 2.0]))
        Array([-1.,  2.], dtype=float32)

    Source: Maas et al. 2013. The gradient at 0 is 1, as in JAX; torch has α.
    """
    return _with_number(jax.nn.leaky_relu, x, negative_slope)


def elu(x: jax.Array, alpha: Number = 1.0) -> jax.Array:
    """The exponential linear unit: approaches −α below 0.

        f(x) = x if x > 0, else α·(eˣ − 1)

    Arguments:
        x: floating-point array. alpha: α; the slope is continuous at 0 for α = 1.

    Example:
        >>> elu(jnp.array([-1e4, 0.0, 1e4]))
        Array([-1.e+00,  0.e+00,  1.e+04], dtype=float32)

    Source: Clevert et al. 2016.
    """
    return _with_number(jax.nn.elu, x, alpha)


def _with_number(function: Callable, x: jax.Array, number: Number) -> jax.Array:
    """A function of an array and a hyperparameter, in at least float32; the dtype of x stays."""
    kind = np.promote_types(jnp.result_type(x), np.float32)
    return function(jnp.asarray(x, kind), as_hyperparameter(number).astype(kind)).astype(jnp.result_type(x))


def selu(x: jax.Array) -> jax.Array:
    """An ELU scaled so that mean 0 and variance 1 is a fixed point of a layer with LeCun weights.

        f(x) = λ·(x if x > 0, else α·(eˣ − 1))            λ = 1.0507, α = 1.6733

    Example:
        >>> selu(jnp.array([0.0, 1.0]))
        Array([0.      , 1.050701], dtype=float32)

    Source: Klambauer et al. 2017.
    """
    return jax.nn.selu(x)


def gelu(x: jax.Array, approximate: bool = True) -> jax.Array:
    """The Gaussian error linear unit: x times the probability that a standard normal lies below x.

        f(x) = x·Φ(x) ≈ ½x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))

    Arguments:
        x: floating-point array.
        approximate: the form with tanh, at most 5·10⁻⁴ away; False for the exact one.

    Example:
        >>> [f"{y:.4f}" for y in gelu(jnp.array([-1.0, 0.0, 1.0]))]
        ['-0.1588', '0.0000', '0.8412']

    Source: Hendrycks & Gimpel 2016.

    Elsewhere: the approximation is the default in JAX too, the exact form in torch. The gradient of
    `jax.nn.gelu` is NaN where x³ overflows (|x| > 40 in float16), and it keeps six arrays for it where this
    one keeps one; beyond ±10 this one is a ReLU, which it equals there to 10⁻²².
    """
    return _gelu(jnp.asarray(x), approximate)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _gelu(x: jax.Array, approximate: bool) -> jax.Array:
    return _gelu_and_slope(x, approximate)[0]


@_gelu.defjvp
def _gelu_jvp(approximate: bool, primals: tuple, tangents: tuple) -> tuple:
    y, slope = _gelu_and_slope(primals[0], approximate)
    return y, slope * tangents[0]


def _gelu_and_slope(x: jax.Array, approximate: bool) -> tuple[jax.Array, jax.Array]:
    """x·Φ and its derivative Φ + x·Φ′, where Φ ends at ±10."""
    c = jnp.clip(x, -10, 10)
    if approximate:
        scale = float(np.sqrt(2 / np.pi))
        t = jnp.tanh(scale * (c + 0.044715 * c**3))
        below, density = 0.5 * (1 + t), 0.5 * scale * (1 - t * t) * (1 + 3 * 0.044715 * c * c)
    else:
        below = 0.5 * lax.erfc(-c * float(np.sqrt(0.5)))
        density = float(np.sqrt(0.5 / np.pi)) * jnp.exp(-0.5 * c * c)
    return jnp.maximum(x, -10) * below, below + c * density


def silu(x: jax.Array) -> jax.Array:
    """The sigmoid linear unit, also called swish.

        f(x) = x·σ(x)

    Example:
        >>> print(silu(jnp.array([-1e4, 0.0, 1e4])).tolist())
        [-0.0, 0.0, 10000.0]

    Source: Ramachandran et al. 2017.
    """
    return jax.nn.silu(x)


def softplus(x: jax.Array) -> jax.Array:
    """A smooth rectifier, whose derivative is the sigmoid.

        f(x) = log(1 + eˣ)            f'(x) = σ(x)

    Example:
        >>> softplus(jnp.array([-1e4, 0.0]))
        Array([0.       , 0.6931472], dtype=float32)

    Source: Dugas et al. 2001.
    """
    return jax.nn.softplus(x)


def softmax(x: jax.Array, axis: int = -1) -> jax.Array:
    """Positive numbers that sum to 1; the maximum is subtracted first, so nothing overflows.

        f(x)ᵢ = e^(xᵢ − max x) / Σⱼ e^(xⱼ − max x)

    Arguments:
        x: logits. axis: the axis of the classes.

    Example:
        >>> softmax(jnp.array([1e4, 1e4]))
        Array([0.5, 0.5], dtype=float32)

    Source: Bridle 1990 (outputs). For a loss use `log_softmax`, or the logits themselves.
    """
    return jax.nn.softmax(x, axis=axis)


def log_softmax(x: jax.Array, axis: int = -1) -> jax.Array:
    """The logarithm of softmax, which stays finite where softmax underflows to 0 or rounds to 1.

        f(x)ᵢ = xᵢ − max x − log Σⱼ e^(xⱼ − max x)

    Arguments:
        x: logits. axis: the axis of the classes.

    Example:
        >>> log_softmax(jnp.array([0.0, 1e4]))
        Array([-10000.,      0.], dtype=float32)
    """
    kind = np.promote_types(jnp.result_type(x), np.float32)
    return precise_log_softmax(jnp.asarray(x, kind), axis).astype(jnp.result_type(x))


ACTIVATIONS: dict[str, Callable] = {
    function.__name__: function
    for function in (
        identity,
        sigmoid,
        tanh,
        softsign,
        relu,
        leaky_relu,
        elu,
        selu,
        gelu,
        silu,
        softplus,
        softmax,
        log_softmax,
    )
}
"""The activations by name."""

PER_SIDE, END = 800, 10.0  # Simpson's rule on both sides of 0, where most corners are


def gain(activation: str | Callable[[jax.Array], jax.Array]) -> jax.Array:
    """The gain that keeps the mean square of pre-activations.

        g = 1/√E[φ(z)²],  z ~ N(0, 1)

    Arguments:
        activation: φ, a name in `jaxopt_notes.activations.ACTIVATIONS`, or a function that acts on each
            number by itself; its numbers may be traced.

    Returns:
        A scalar: √2 for ReLU; for `variance_scaling` its square is the scale, for `orthogonal` it is.

    Raises:
        ValueError: an unknown name; one that acts on several numbers at a time (softmax).

    Example:
        >>> print(*(f"{name} {gain(name):.3f}" for name in ("identity", "relu", "tanh", "selu")))
        identity 1.000 relu 1.414 tanh 1.593 selu 1.000

    Source: He et al. 2015, section 2.2, for any activation.

    Elsewhere: `torch.nn.init.calculate_gain` has the same for ReLU and Leaky ReLU, 5/3 for tanh, ¾ for SELU
    and 1 for sigmoid, by rules of thumb.
    """
    if isinstance(activation, str):
        known = tuple(name for name in ACTIVATIONS if not name.endswith("softmax"))
        activation = ACTIVATIONS[check_choice("gain(activation)", activation, known)]
    half = np.linspace(0, END, 2 * PER_SIDE + 1)
    simpson = np.resize([2.0, 4.0], half.size)
    simpson[[0, -1]] = 1
    weights = simpson * np.exp(-(half**2) / 2) * (END / (2 * PER_SIDE)) / (3 * np.sqrt(2 * np.pi))
    kind = jnp.result_type(float)
    total = sum(
        jnp.sum(jnp.asarray(weights, kind) * jnp.square(activation(jnp.asarray(z, kind))))
        for z in (half, -half)
    )
    return 1 / jnp.sqrt(total)
