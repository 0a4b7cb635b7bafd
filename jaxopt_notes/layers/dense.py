"""The dense layer: one matrix product and a bias.

`affine` is the formula, for arrays; `dense` makes a layer of it. It acts on the last axis, whatever
stands before it.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import Tree, compute_dtype
from jaxopt_notes.initializers import check_initializer, lecun_normal, zeros
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.half_product import half_product
from jaxopt_notes.layers.layer import (
    Shaped,
    along_last,
    check_features,
    floating,
    kernel_and_bias,
    parameter_dtype,
)
from jaxopt_notes.record import check_count, record, static

__all__ = ["Dense", "affine", "dense"]

SMALL_BATCH = 4096  # numbers


@record
class Dense:
    """See `dense`."""

    features: int = static()
    use_bias: bool = static()
    kernel_init: Initializer
    bias_init: Initializer

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        shape = (x.shape[-1], self.features)
        return kernel_and_bias(self, key, shape, shape[1:], parameter_dtype(x)), ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_features("dense", x, params["kernel"].shape[0])
        return affine(x, params["kernel"], params.get("bias")), state


def affine(x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """x·kernel + bias on the last axis of x [..., I], with kernel [I, O] and bias [O].

    Multiplied in the dtype of x, summed in at least float32, returned in the dtype of x.

    Example:
        >>> affine(jnp.array([[1.0, 2.0]]), jnp.array([[3.0], [4.0]]), jnp.array([0.5]))
        Array([[11.5]], dtype=float32)
    """
    x = floating(x)
    kernel = kernel.astype(x.dtype)
    y = _narrow_product(x, kernel) if _is_narrow(x, kernel) else product(x, kernel)
    return (y if bias is None else y + along_last(bias, y)).astype(x.dtype)


def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x [..., I] times kernel [I, O], summed and returned in at least float32.

    The gradient by the kernel sums over all axes but the last. XLA's CPU backend copies the gradient that
    comes in to do so, unless those axes are one: a step of [32, 64, 128]·[128, 512] took 27 ms, and 16 so.
    Elsewhere axes may be tiled or lie on several devices, and are left alone. (`lax.platform_dependent` would
    know better where a program will run, but keeps x for the gradient in the form of each platform.)
    """
    rows = x.reshape(-1, x.shape[-1]) if x.ndim > 2 and jax.default_backend() == "cpu" else x
    return half_product(_product, rows, kernel).reshape(*x.shape[:-1], kernel.shape[1])


def _product(x: jax.Array, kernel: jax.Array, dtype: DTypeLike | None = None) -> jax.Array:
    contract = (((x.ndim - 1,), (0,)), ((), ()))
    return lax.dot_general(x, kernel, contract, preferred_element_type=dtype or compute_dtype(x))


def _is_narrow(x: jax.Array, kernel: jax.Array) -> bool:
    """Whether few outputs (a classifier's) are made of more inputs, for a small batch.

    Of a training step in a loop (perceptrons of three layers, processor time) `_narrow_product` took 5% for
    32 examples, 64 inputs and 10 outputs, 3% for 64 examples, 2% for 128, and nothing for 128 and 256
    inputs. Its two transpositions take 50 ms to compile, a third of a perceptron's compilation.
    """
    inputs, outputs = kernel.shape
    exact = x.dtype == compute_dtype(x) and not jnp.iscomplexobj(x)
    return exact and 1 < outputs <= 32 and outputs < inputs and 32 * inputs <= x.size <= SMALL_BATCH


@jax.custom_jvp
def _narrow_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The product, with a kernel's gradient that XLA's CPU backend makes fast.

    As xᵀ·g, [I, O], it took 4 µs for 32 examples, 64 inputs and 10 outputs; as gᵀ·x, [O, I], transposed, it
    takes 1.4. The barriers keep the compiler from turning the second into the first.
    """
    return _product(x, kernel)


@_narrow_product.defjvp
def _narrow_product_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x, kernel), (dx, dkernel) = primals, tangents
    by_kernel = lax.platform_dependent(x, dkernel, cpu=_wide_rows, default=_product)
    return _narrow_product(x, kernel), _product(dx, kernel) + by_kernel


def _wide_rows(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x·kernel, so that its transpose has rows of I numbers instead of O."""
    rows = lax.optimization_barrier(kernel.T)
    y = lax.dot_general(rows, x, (((1,), (x.ndim - 1,)), ((), ())), preferred_element_type=compute_dtype(x))
    return jnp.moveaxis(lax.optimization_barrier(y), 0, -1)


def dense(
    features: int,
    *,
    use_bias: bool = True,
    kernel_init: Initializer = lecun_normal(),
    bias_init: Initializer = zeros(),
) -> Dense:
    """A dense (fully connected) layer.

        y = x·kernel + bias

    Arguments:
        features: O, the number of outputs, ≥ 1.
        use_bias: whether there is a bias; batch normalization right after makes it redundant.
        kernel_init: initializer of the kernel, called `(key, (I, O), dtype)`.
        bias_init: initializer of the bias, called `(key, (O,), dtype)`.

    Returns:
        A `Dense` record, from [B, ..., I] to [B, ..., O]; params {"kernel": [I, O], "bias": [O]}.

    Raises:
        TypeError, ValueError: `features` is not a whole number ≥ 1.

    Example:
        >>> import jax.numpy as jnp
        >>> layer = dense(3)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((8, 5)))
        >>> y, state = layer.apply(params, state, jnp.ones((8, 5)))
        >>> y.shape, params["kernel"].shape
        ((8, 3), (5, 3))

    Source: Goodfellow, Bengio & Courville 2016, section 6.1.

    Elsewhere: Flax's `Dense` has the same names and shapes, and draws kernels of the same variance from a
    truncated normal; torch's `Linear` keeps the kernel transposed, [O, I].
    """
    features = check_count("dense(features)", features, 1)
    return Dense(
        features,
        use_bias,
        check_initializer("dense(kernel_init)", kernel_init),
        check_initializer("dense(bias_init)", bias_init),
    )
