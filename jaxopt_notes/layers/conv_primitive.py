"""Convolution as one primitive, whose form is chosen where it is compiled, and who is mapped.

A convolution y of x with a kernel is bilinear, so it and its two gradients are one trilinear form

    φ(x, kernel, y) = Σ x[b, s·p + d·t, i]·kernel[t, i, o]·y[b, p, o]

seen from three sides: each of the three arrays, given the other two, is the gradient of φ. That is the
primitive `conv`: `of` says which of the three it returns. Its derivatives and its transposes are the same
primitive with another `of`; so is what `vmap` makes of it, because an axis of members is merged into an axis
that the arrays which have it share already. Nothing but this one equation is traced, differentiated and
batched, any number of times and in any order, and no gradient keeps anything but x and the kernel.

How to compute it is decided when a program is lowered, when the platform is known and whether kernels differ
between members:

- TPU, and whatever is not named here: `native`, XLA's own convolution.
- CPU: `native_on_cpu`, member by member, or `im2col`, one matrix product, whichever is faster for the sizes;
  neither is slower inside `lax.scan`.
- GPU: `native`, but `im2col` if kernels are mapped. XLA makes a grouped convolution of those, which on an
  H100 took 2.8 to 6 times as long as products; of a single kernel it took between 0.9 and 2.4 times as long.

The patches of a 3×3 kernel are 9 times the image: where those of all members would take more than
`max_patch_bytes` on a GPU, fewer members at once are computed, and natively if even one takes more.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.typing import ArrayLike

from jaxopt_notes.layers.conv_forms import (
    Geometry,
    im2col,
    native,
    native_on_cpu,
    products,
    products_on_cpu,
)
from jaxopt_notes.one_core import on_one_core

__all__: list[str] = []

Form = Callable[[jax.Array, jax.Array, Geometry], jax.Array]

MAX_PATCH_BYTES = 2**32
PLATFORMS = ("cpu", "cuda", "rocm")  # all others have the native form


# The primitive. Its arrays have an axis M of members and one of groups, each of length 1 if there is no such
# thing: x [M, B, *size, G, i], k [M, *window, i, G, o], y [M, B, *out, G, o].

conv_p = Primitive("conv")

# Where arrays that share an axis of members merge it: into M if all three have it; into the examples, inputs
# or outputs if two have it, and the third is spread over it or summed.
MERGED = {
    "xky": {"x": 0, "k": 0, "y": 0},
    "xy": {"x": 1, "y": 1},
    "xk": {"x": -1, "k": -3},
    "ky": {"k": -1, "y": -1},
}


def convolve(x: jax.Array, kernel: jax.Array, geometry: Geometry, max_patch_bytes: int) -> jax.Array:
    """The convolution of x [B, *size, I] with a kernel [*window, I/groups, O]: [B, *out, O]."""
    y = _bind("y", **_canonical(x=x, k=kernel, groups=geometry.groups), **_setting(geometry, max_patch_bytes))
    return y.reshape(*y.shape[1:-2], kernel.shape[-1])


def convolve_transpose(
    y: jax.Array, kernel: jax.Array, geometry: Geometry, max_patch_bytes: int
) -> jax.Array:
    """The transpose of `convolve` with a kernel [*window, I/groups, O]: [B, *out, O] to [B, *size, I]."""
    x = _bind("x", **_canonical(k=kernel, y=y, groups=geometry.groups), **_setting(geometry, max_patch_bytes))
    return x.reshape(*x.shape[1:-2], geometry.groups * kernel.shape[-2])


def _canonical(groups: int, **arrays: jax.Array) -> dict[str, jax.Array]:
    """With axes of members and of groups; under `shard_map` all differ between devices, if one does."""
    varying = {name: _varying(array) for name, array in arrays.items()}
    axes = frozenset().union(*varying.values())
    for name, array in arrays.items():
        if axes - varying[name]:
            array = lax.pcast(array, tuple(axes - varying[name]), to="varying")
        arrays[name] = array.reshape(1, *array.shape[:-1], groups, array.shape[-1] // groups)
    return arrays


def _varying(x: jax.Array) -> frozenset:
    """Names of the mesh axes along which x differs between devices."""
    return getattr(getattr(jax.typeof(x), "manual_axis_type", None), "varying", frozenset())


def _setting(geometry: Geometry, max_patch_bytes: int) -> dict[str, Any]:
    # The precision is that of the place of the call, not of the lowering.
    precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return {"geometry": geometry, "mapped": False, "limit": max_patch_bytes, "precision": precision}


def _bind(
    of: str, *, x: ArrayLike | None = None, k: Any = None, y: ArrayLike | None = None, **setting: Any
) -> jax.Array:
    return conv_p.bind(*({"x": x, "k": k, "y": y}[name] for name in _others(of)), of=of, **setting)


def _others(of: str) -> str:
    return "xky".replace(of, "")


def _shape(of: str, geometry: Geometry, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the array `of`, from those of the other two."""
    if of == "x":  # from the kernel and y
        return (*b[:2], *geometry.size, a[-2], a[-3])
    if of == "k":  # from x and y
        return (a[0], *geometry.window, a[-1], *b[-2:])
    return (*a[:2], *geometry.out, *b[-2:])


def _abstract(a: Any, b: Any, *, of: str, geometry: Geometry, **setting: Any) -> Any:
    return a.update(shape=_shape(of, geometry, a.shape, b.shape), weak_type=False)


def _transpose(place: int, cotangent: jax.Array, a: Any, b: Any, *, of: str, **setting: Any) -> jax.Array:
    arrays = dict(zip(_others(of), (a, b), strict=True)) | {of: cotangent}
    return _bind(_others(of)[place], **{**arrays, _others(of)[place]: None}, **setting)


def _batch(arrays: tuple, axes: tuple, *, of: str, mapped: bool, **setting: Any) -> tuple[jax.Array, int]:
    operands = {name: of_it for name, *of_it in zip(_others(of), arrays, axes, strict=True)}
    having = "".join(name for name in "xky" if name == of or operands[name][1] is not None)
    merged, members = {}, 0
    for name, (array, axis) in operands.items():
        if axis is not None:
            members, at = array.shape[axis], MERGED[having][name] % (array.ndim - 1)
            array = jnp.moveaxis(array, axis, at)
            array = array.reshape(*array.shape[:at], members * array.shape[at + 1], *array.shape[at + 2 :])
        merged[name] = array
    result = _bind(of, **merged, mapped=mapped or "k" in having, **setting)
    at = MERGED[having][of] % result.ndim
    shape = (*result.shape[:at], members, result.shape[at] // members, *result.shape[at + 1 :])
    return result.reshape(shape), at


def _evaluate(form: Form, of: str, geometry: Geometry, a: jax.Array, b: jax.Array) -> jax.Array:
    """Every member by one form; the gradients are the transposes of it, which JAX derives."""

    def member(a: jax.Array, b: jax.Array) -> jax.Array:
        shape = _shape(of, geometry, (1, *a.shape), (1, *b.shape))[1:]
        a, b = (array.reshape(*array.shape[:-2], -1) for array in (a, b))
        if of == "y":
            return form(a, b, geometry).reshape(shape)
        function = {"x": lambda x: form(x, a, geometry), "k": lambda kernel: form(a, kernel, geometry)}[of]
        sought = jax.typeof(b).update(shape=(*shape[:-2], math.prod(shape[-2:])))
        return jax.linear_transpose(function, sought)(b)[0].reshape(shape)

    return member(a[0], b[0])[None] if a.shape[0] == 1 else jax.vmap(member)(a, b)


def _on_cpu(of: str, geometry: Geometry, a: jax.Array, b: jax.Array) -> jax.Array:
    if geometry.groups > 1:
        return _evaluate(im2col, of, geometry, a, b)
    shape = _shape(of, geometry, a.shape, b.shape)
    shapes = dict(zip(_others(of), (a.shape, b.shape), strict=True)) | {of: shape}
    x, y = ((*shapes[name][1:-2], shapes[name][-1]) for name in "xy")
    wide = a.dtype in (jnp.float32, jnp.float64)  # the native form sums in the dtype itself
    members = a.shape[0]
    threads = members == 1 and not on_one_core()
    by_products = not wide or products_on_cpu(of, x, y, geometry, threads)
    form = functools.partial(products if by_products else native_on_cpu, of, geometry=geometry)
    a, b = (lax.squeeze(array, (array.ndim - 2,) if members > 1 else (0, array.ndim - 2)) for array in (a, b))
    if members == 1:
        found = form(a, b)
    else:
        found = jax.vmap(form)(a, b) if by_products else lax.map(lambda ab: form(*ab), (a, b))
    return found.reshape(shape)


def _on_gpu(of: str, geometry: Geometry, a: jax.Array, b: jax.Array, mapped: bool, limit: int) -> jax.Array:
    x = a.shape if of != "x" else _shape("x", geometry, a.shape, b.shape)
    patches = x[1] * math.prod((*geometry.out, *geometry.window, *x[-2:])) * a.dtype.itemsize
    at_once = limit // max(patches, 1)
    if not mapped or at_once == 0:
        return _evaluate(native, of, geometry, a, b)
    if at_once >= a.shape[0]:
        return _evaluate(im2col, of, geometry, a, b)
    one = functools.partial(_evaluate, im2col, of, geometry)
    return lax.map(lambda ab: one(ab[0][None], ab[1][None])[0], (a, b), batch_size=at_once)


def _lower(platform: str | None, a: jax.Array, b: jax.Array, *, precision: Any, **setting: Any) -> jax.Array:
    of, geometry, mapped, limit = (setting[name] for name in ("of", "geometry", "mapped", "limit"))
    with jax.default_matmul_precision(precision):
        if platform in ("cuda", "rocm"):
            return _on_gpu(of, geometry, a, b, mapped, limit)
        if platform == "cpu":
            return _on_cpu(of, geometry, a, b)
        return _evaluate(native, of, geometry, a, b)


@functools.partial(jax.jit, static_argnames=("of", "geometry", "mapped", "limit", "precision"))
def _call(a: jax.Array, b: jax.Array, **setting: Any) -> jax.Array:
    """The convolution outside of any program, also where `jax.disable_jit` leaves none."""
    forms = {platform: functools.partial(_lower, platform, **setting) for platform in PLATFORMS}
    return lax.platform_dependent(a, b, default=functools.partial(_lower, None, **setting), **forms)


conv_p.def_abstract_eval(_abstract)
conv_p.def_impl(_call)
ad.defbilinear(conv_p, functools.partial(_transpose, 0), functools.partial(_transpose, 1))
batching.primitive_batchers[conv_p] = _batch
for _platform in (None, *PLATFORMS):
    _rule = mlir.lower_fun(functools.partial(_lower, _platform), multiple_results=False)
    mlir.register_lowering(conv_p, _rule, platform=_platform)
