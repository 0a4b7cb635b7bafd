"""The forms of a convolution, and which of them is best where.

`native` is XLA's own operation; `im2col` one matrix product, of the patches that a kernel sees. Both are of
x and the kernel, and JAX derives their gradients. On CPUs that has a cliff: XLA's fast routine takes images
NHWC and kernels HWIO, and gradients are convolutions of other axes. Outside a loop XLA moves the axes;
inside `lax.scan`, where a training loop lives, it does not, and computes gradients by a naive loop, 14 to 200
times as long. `native_on_cpu` gives all three in that one layout, which is as fast inside a loop as outside.

`products_on_cpu` says where products are faster, from sizes alone (`products` has all three): kernels of few
numbers; and fewer pixels than the kernel has places, where XLA would exchange image and kernel and compute
them by the naive loop. (Processor time, float32: of 3×3 kernels products took a
third to a half of the time of `native_on_cpu` for one and three channels to 8 and 16, a sixtieth for 512
channels of 2×2 pixels, twice for 16 channels of 32×32, and the gradient by a kernel four times for 32 to 64
channels of 28×28.) Where a program has all cores, gradients by the image are products as long as the patches
are few: XLA divides products among threads, and most convolutions not. The native form is also a single
operation, or three with the axes that a gradient moves, where products are many: each loop that XLA compiles
takes 15 to 50 ms.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxopt_notes.dtypes import compute_dtype

__all__: list[str] = []

Pads = Sequence[tuple[int, int]]

SHORT_PATCH = 64  # numbers in a patch: it is soon written
SMALL_KERNEL = 256  # numbers
SHARED_PATCHES = 2**19  # numbers in the patches of all examples


class Geometry(NamedTuple):
    """The sizes of a convolution, in pixels, one for each dimension of space."""

    size: tuple[int, ...]  # of the image
    window: tuple[int, ...]  # of the kernel
    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]  # before and after; below 0 they cut
    dilation: tuple[int, ...]
    groups: int = 1

    @property
    def out(self) -> tuple[int, ...]:
        """The size of the output."""
        return tuple(
            (size + sum(pads) - (k - 1) * d - 1) // stride + 1
            for size, k, stride, pads, d in zip(*self[:5], strict=True)
        )


# The forms: x [B, *size, I] and kernel [*window, I/groups, O] to y [B, *out, O]


def native(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """XLA's own operation; accelerators sum it in float32 whatever the dtype."""
    strides, pads, dilation, groups = geometry[2:]
    return _convolve(x, kernel, strides, pads, (1,) * len(strides), dilation, groups)


def im2col(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """The shifted images that a kernel sees, times the kernel as a matrix, summed in at least float32."""
    groups, inputs, outputs = geometry.groups, *kernel.shape[-2:]
    shifted, wide = shifts(x, geometry), compute_dtype(x)
    if groups == 1:
        matrix = jnp.concatenate(shifted, axis=-1).reshape(-1, math.prod(kernel.shape[:-1]))
        y = jnp.matmul(matrix, kernel.reshape(-1, outputs), preferred_element_type=wide)
    elif inputs == 1:  # depthwise: products of vectors, not of matrices
        taps = kernel.astype(wide).reshape(-1, groups, outputs // groups)
        y = sum(
            s.reshape(-1, groups, 1).astype(wide) * tap[None] for s, tap in zip(shifted, taps, strict=True)
        )
    else:
        matrix = jnp.concatenate([s.reshape(-1, groups, inputs) for s in shifted], axis=-1)
        kernel = kernel.reshape(-1, groups, outputs // groups)
        y = jnp.einsum("bgi,igo->bgo", matrix, kernel, preferred_element_type=wide)
    return y.reshape(x.shape[0], *geometry.out, outputs).astype(x.dtype)


def products(of: str, a: jax.Array, b: jax.Array, geometry: Geometry) -> jax.Array:
    """As `native_on_cpu`, by one product each.

        y = patches(x)·k        k = patches(x)ᵀ·y        x = the sum of images y·k[t]ᵀ, each shifted by its t

    `im2col` and its gradients, in fewer operations, which take less time to trace and to compile.
    """
    wide, size = compute_dtype(a), math.prod(geometry.window)
    if of == "x":
        inputs, outputs = a.shape[-2:]
        z = _product(b, a.reshape(size * inputs, outputs), (b.ndim - 1, 1), wide)
        parts = [lax.slice_in_dim(z, t * inputs, (t + 1) * inputs, axis=-1) for t in range(size)]
        return functools.reduce(lax.add, map(_placed, parts, _corners(geometry), [geometry] * size)).astype(
            a.dtype
        )
    inputs = a.shape[-1]
    matrix = patches(a, geometry).reshape(-1, size * inputs)
    if of == "y":
        y = _product(matrix, b.reshape(size * inputs, -1), (1, 0), wide)
        return y.reshape(a.shape[0], *geometry.out, -1).astype(a.dtype)
    k = _product(matrix, b.reshape(-1, b.shape[-1]), (0, 0), wide)
    return k.reshape(*geometry.window, inputs, -1).astype(a.dtype)


def _product(a: jax.Array, b: jax.Array, axes: tuple[int, int], dtype: DTypeLike) -> jax.Array:
    """The sum over one axis of both."""
    return lax.dot_general(a, b, (((axes[0],), (axes[1],)), ((), ())), preferred_element_type=dtype)


def _placed(part: jax.Array, corner: tuple[int, ...], geometry: Geometry) -> jax.Array:
    """What one place of the kernel gives to the image, [B, *out, I] to [B, *size, I]."""
    sides = [
        (p - before, n + before - p - 1 - (out - 1) * stride, stride - 1)
        for p, (n, out, stride, (before, _), _) in zip(corner, _sizes(geometry), strict=True)
    ]
    return lax.pad(part, jnp.zeros((), part.dtype), [(0, 0, 0), *sides, (0, 0, 0)])


def patches(x: jax.Array, geometry: Geometry) -> jax.Array:
    """The pixels that each window covers, in row-major order, side by side: [B, *out, window·I].

    They are cut along one axis after the other. A 5×5 window takes 5 + 5 shifted images in place of 25, and
    the second five are copied in runs of five pixels. What stands before and behind an axis is one axis each,
    and windows are put together beside the last: XLA's CPU backend then makes one loop for each axis, of few
    indices, which compile in half the time.
    """
    x = _padded(x, geometry)
    for axis in reversed(range(len(geometry.size))):
        before, behind, last = x.shape[: axis + 1], x.shape[axis + 2 : -1], x.shape[-1]
        out, stride, distance = geometry.out[axis], geometry.strides[axis], geometry.dilation[axis]
        run = math.prod(behind) * last  # numbers of one place on the axis
        x = x.reshape(math.prod(before), -1, *(() if stride == 1 else (run,)))
        size = run if stride == 1 else 1
        places = range(0, geometry.window[axis] * distance, distance)
        cut = (lax.slice_in_dim(x, p * size, (p + (out - 1) * stride + 1) * size, stride, 1) for p in places)
        x = lax.concatenate([part.reshape(-1, 1, last) for part in cut], 1)
        x = x.reshape(*before, out, *behind, geometry.window[axis] * last)
    return x


def _padded(x: jax.Array, geometry: Geometry) -> jax.Array:
    zero = jnp.zeros((), x.dtype)
    return lax.pad(x, zero, [(0, 0, 0), *((*pads, 0) for pads in geometry.pads), (0, 0, 0)])


def _corners(geometry: Geometry) -> Iterator[tuple[int, ...]]:
    """For each place in the kernel, in row-major order, the first pixel that stands there."""
    steps = zip(geometry.window, geometry.dilation, strict=True)
    return itertools.product(*(range(0, k * d, d) for k, d in steps))


def shifts(x: jax.Array, geometry: Geometry) -> list[jax.Array]:
    """For each place in the kernel, in row-major order, the pixels that stand there: [B, *out, I]."""
    x = _padded(x, geometry)
    spans = [(out - 1) * stride + 1 for out, stride in zip(geometry.out, geometry.strides, strict=True)]
    return [
        lax.slice(
            x,
            (0, *place, 0),
            (x.shape[0], *(p + span for p, span in zip(place, spans, strict=True)), x.shape[-1]),
            (1, *geometry.strides, 1),
        )
        for place in _corners(geometry)
    ]


def native_on_cpu(of: str, a: jax.Array, b: jax.Array, geometry: Geometry) -> jax.Array:
    """The array `of` x [B, *size, I], k [*window, I, O] and y [B, *out, O], from the other two in this order.

        y = x ∗ k        x = y dilated by the strides ∗ k turned around        k = xᵀ ∗ yᵀ dilated

    One group only.
    """
    space = range(1, len(geometry.size) + 1)
    if of == "y":
        return native(a, b, geometry)
    if of == "x":
        last = len(space)
        turned = lax.transpose(lax.rev(a, tuple(range(last))), (*range(last), last + 1, last))
        pads = [
            (reach - before, n + before - 1 - (out - 1) * stride)
            for n, out, stride, (before, _), reach in _sizes(geometry)
        ]
        return _convolve(b, turned, (1,) * len(space), pads, geometry.strides, geometry.dilation)
    pads = [
        (before, reach + (out - 1) * stride + 1 - n - before)
        for n, out, stride, (before, _), reach in _sizes(geometry)
    ]
    last = len(space) + 1
    x, y = lax.transpose(a, (last, *space, 0)), lax.transpose(b, (*space, 0, last))
    k = _convolve(x, y, geometry.dilation, pads, (1,) * len(space), geometry.strides)
    return lax.transpose(k, (*space, 0, last))


def products_on_cpu(
    of: str, x: tuple[int, ...], y: tuple[int, ...], geometry: Geometry, threads: bool
) -> bool:
    """Whether `products` beats `native_on_cpu`.

    Arguments:
        of: what is sought: "y", "x" or "k".
        x, y: the shapes of both, [B, *size, I] and [B, *out, O].
        threads: whether the operation may have several cores.
    """
    window, inputs, outputs = math.prod(geometry.window), x[-1], y[-1]
    if window == 1 or geometry.groups > 1 or len(geometry.size) != 2:
        return True
    size, out = math.prod(geometry.size), math.prod(geometry.out)
    if window > min(size, out) or (of == "k" and out > size):  # XLA would exchange the two factors
        return True
    if threads and of == "x" and math.prod(y[:-1]) * window * inputs <= SHARED_PATCHES:
        return True
    short = window * inputs <= SHORT_PATCH
    if of != "x":  # these two share the patches
        return window * inputs * outputs <= SMALL_KERNEL
    return short or window * inputs * outputs >= 4 * math.prod(x)  # the native form turns the kernel around


def _sizes(geometry: Geometry) -> Iterator[tuple]:
    """For each dimension: pixels of x and of y, the stride, the padding, and how far the window reaches."""
    reaches = [(k - 1) * d for k, d in zip(geometry.window, geometry.dilation, strict=True)]
    return zip(geometry.size, geometry.out, geometry.strides, geometry.pads, reaches, strict=True)


def _convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, ...],
    pads: Pads,
    spread: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int = 1,
) -> jax.Array:
    space = "DHW"[-len(strides) :]
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        pads,
        lhs_dilation=spread,
        rhs_dilation=dilation,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        feature_group_count=groups,
    )
