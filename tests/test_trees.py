"""Safe roots and norms, dtypes that stay what they are, path names and masks."""

import itertools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes import norms
from jaxopt_notes.dtypes import (
    as_hyperparameter,
    cast_like,
    compute_dtype,
    is_float,
    is_none,
    real_dtype,
    zeros_like,
)
from jaxopt_notes.masks import as_mask, path_name, weights_only, where_path
from jaxopt_notes.norms import global_norm
from jaxopt_notes.numerics import abs_squared, safe_divide, safe_sqrt
from jaxopt_notes.record import Number, record, static
from tests.compiled import compiled, grad, value_and_grad

global_norm = compiled(global_norm)
abs_squared = compiled(abs_squared)
safe_divide = compiled(safe_divide)

# Dtypes


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        (1.0, True),
        (1j, True),
        (np.float64(1.0), True),
        (jnp.ones(2, jnp.bfloat16), True),
        (jnp.ones(2, jnp.complex64), True),
        (jax.ShapeDtypeStruct((2,), jnp.float16), True),
        (1, False),
        (True, False),
        (None, False),
        (jnp.arange(3), False),
        (jax.random.key(0), False),
    ],
)
def test_is_float(leaf, expected):
    assert is_float(leaf) is expected


def test_none_is_a_leaf_for_is_none():
    assert jax.tree.leaves({"a": None, "b": 1}, is_leaf=is_none) == [None, 1]


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["float16"], "float32"),
        (["bfloat16"], "float32"),
        (["bfloat16", "float16"], "float32"),
        (["float32"], "float32"),
        (["int32"], "float32"),
        (["bool"], "float32"),
        (["complex64"], "complex64"),
        (["float16", "complex64"], "complex64"),
        ([], "float32"),
        (["float8_e4m3fn"], "float32"),
        (["float8_e5m2", "float4_e2m1fn", "bfloat16"], "float32"),
        (["float8_e8m0fnu", "complex64"], "complex64"),
    ],
)
def test_compute_dtype_is_at_least_float32(dtypes, expected):
    assert compute_dtype(*(jnp.zeros(2, dtype) for dtype in dtypes)) == np.dtype(expected)


def test_compute_dtype_in_x64(x64):
    assert compute_dtype(jnp.zeros(2, jnp.float32), jnp.zeros(2, jnp.float64)) == np.float64
    assert compute_dtype(jnp.zeros(2, jnp.float64), jnp.zeros(2, jnp.complex64)) == np.complex128
    assert compute_dtype(jnp.zeros(2, jnp.float32)) == np.float32


def test_real_dtype():
    assert real_dtype(jnp.complex64) == np.float32
    assert real_dtype(np.complex128) == np.float64
    assert real_dtype(jnp.bfloat16) == jnp.bfloat16


@pytest.mark.parametrize("value", [0.999, 1, np.float16(0.5), jnp.float32(0.999), jnp.bfloat16(0.5)])
def test_a_hyperparameter_is_float32_and_never_weak(value):
    number = as_hyperparameter(value)
    assert (number.dtype, number.weak_type) == (jnp.float32, False)
    assert float(number) == np.float32(value)
    with jax.enable_x64(True):
        assert as_hyperparameter(value).dtype == jnp.float64


def test_a_hyperparameter_survives_small_parameters():
    """In bfloat16 it would be 1, and Adam's bias correction 0."""
    assert float(jnp.bfloat16(0.999)) == 1.0
    assert float(1 - as_hyperparameter(0.999)) > 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64", "int32"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 2)])
def test_cast_like_takes_the_dtype(dtype, shape):
    out = cast_like(jnp.full(shape, 2.0, jnp.float32), jnp.zeros(shape, dtype))
    assert (out.dtype, out.shape, out.weak_type) == (np.dtype(dtype), shape, False)
    np.testing.assert_array_equal(out, np.full(shape, 2, dtype))


@pytest.mark.parametrize("like", [1.0, 1, 1j])
@pytest.mark.parametrize("shape", [(), (3,), (0, 2)])
def test_cast_like_takes_the_weak_type(like, shape):
    out = cast_like(jnp.full(shape, 2.0, jnp.float32), like)
    assert (out.weak_type, out.dtype, out.shape) == (True, jnp.asarray(like).dtype, shape)
    np.testing.assert_array_equal(out, np.full(shape, 2.0))


def test_a_weakly_typed_loop_traces_once():
    traces = []

    @jax.jit
    def step(x):
        traces.append(x)
        return cast_like(jnp.float32(0.5) * x.astype(jnp.float32), x)

    x = jnp.full((3,), 8.0)  # of a Python number: weakly typed
    assert x.weak_type
    for _ in range(3):
        x = step(x)
    assert len(traces) == 1
    np.testing.assert_array_equal(x, [1.0, 1.0, 1.0])


def test_cast_like_has_a_gradient():
    g = grad(lambda x: jnp.sum(cast_like(x * x, 1.0)))(jnp.array([1.0, 3.0]))
    np.testing.assert_array_equal(g, [2.0, 6.0])


def test_zeros_like_makes_state_for_floats_only():
    params = {
        "half": jnp.ones((2, 3), jnp.bfloat16),
        "number": 1.5,
        "numpy": np.ones(2),
        "complex": jnp.ones(2, jnp.complex64),
        "empty": jnp.ones((0, 4)),
        "count": jnp.arange(3),
        "flag": jnp.array([True]),
        "none": None,
        "key": jax.random.key(0),
    }
    state = zeros_like(params)
    assert all(state[name] is None for name in ("count", "flag", "none", "key"))
    kinds = {name: (leaf.shape, leaf.dtype) for name, leaf in state.items() if leaf is not None}
    assert kinds == {
        "half": ((2, 3), np.float32),
        "number": ((), np.float32),
        "numpy": ((2,), np.float32),
        "complex": ((2,), np.complex64),
        "empty": ((0, 4), np.float32),
    }
    assert not any(np.any(leaf) or leaf.weak_type for leaf in jax.tree.leaves(state))
    assert zeros_like(params, real=True)["complex"].dtype == np.float32


def test_zeros_like_in_a_dtype_of_its_own():
    params = [jnp.ones(2), jnp.ones(2, jnp.complex64)]
    assert [leaf.dtype for leaf in zeros_like(params, jnp.bfloat16)] == [jnp.bfloat16, np.complex64]
    assert [leaf.dtype for leaf in zeros_like(params, jnp.bfloat16, real=True)] == [jnp.bfloat16] * 2


def test_zeros_like_in_x64(x64):
    params = [jnp.ones(2, jnp.float64), jnp.ones(2, jnp.float32), jnp.ones(2, jnp.complex128)]
    assert [leaf.dtype for leaf in zeros_like(params)] == [np.float64, np.float32, np.complex128]
    assert [leaf.dtype for leaf in zeros_like(params, real=True)] == [np.float64, np.float32, np.float64]


# Roots, squares, quotients


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit, jax.vmap, lambda f: jax.jit(jax.vmap(f))])
def test_safe_sqrt_and_its_slope(transform):
    x = jnp.array([0.0, 0.25, 4.0, 1e-30, jnp.inf])
    np.testing.assert_allclose(transform(safe_sqrt)(x), np.sqrt(np.asarray(x)), rtol=1e-6)
    slope = jax.vmap(grad(safe_sqrt))(x)
    np.testing.assert_allclose(slope, [0.0, 1.0, 0.25, 0.5e15, 0.0], rtol=1e-6)
    second = jax.vmap(grad(grad(safe_sqrt)))(x[:3])
    np.testing.assert_allclose(second, [0.0, -2.0, -0.03125], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_safe_sqrt_keeps_the_dtype(dtype):
    x = jnp.array([0.0, 4.0], dtype)
    assert safe_sqrt(x).dtype == x.dtype
    slope = grad(lambda x: jnp.sum(safe_sqrt(x)))(x)
    assert slope.dtype == x.dtype
    np.testing.assert_array_equal(slope.astype(jnp.float32), [0.0, 0.25])


def test_safe_sqrt_of_a_negative_number_is_no_number():
    assert np.isnan(safe_sqrt(jnp.float32(-1.0)))


def test_abs_squared():
    np.testing.assert_array_equal(abs_squared(jnp.array([3.0, -2.0])), [9.0, 4.0])
    z = jnp.array([3 + 4j, 0j])
    assert abs_squared(z).dtype == jnp.float32
    np.testing.assert_array_equal(abs_squared(z), [25.0, 0.0])
    gradient = grad(lambda z: jnp.sum(abs_squared(z)))(z)
    np.testing.assert_array_equal(gradient, [6 - 8j, 0])  # JAX's convention: ∂x − i∂y


def test_safe_divide():
    x, y = jnp.array([1.0, 0.0, 5.0]), jnp.array([4.0, 0.0, 0.0])
    np.testing.assert_array_equal(safe_divide(x, y), [0.25, 0.0, 0.0])
    for gradient in grad(lambda x, y: jnp.sum(safe_divide(x, y)), (0, 1))(x, y):
        assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(grad(lambda y: safe_divide(jnp.float32(1), y))(jnp.float32(4)), -1 / 16)


# The norm of a tree


def test_global_norm_of_float16_is_computed_in_float32():
    """The sum of squares, 102,400, exceeds float16's largest number."""
    norm = global_norm(jnp.full(64, 40.0, jnp.float16))
    assert (float(norm), norm.dtype) == (320.0, jnp.float32)


@pytest.mark.parametrize("scale", [1e25, 1.0, 1e-25, 1.5e37, 2e-38])
def test_global_norm_neither_overflows_nor_underflows(scale):
    tree = {"a": scale * jnp.array([3.0, 0.0]), "b": [scale * jnp.array([[4.0]])]}
    np.testing.assert_allclose(global_norm(tree), np.float32(5 * scale), rtol=1e-6)
    gradient = grad(global_norm)(tree)
    np.testing.assert_allclose(gradient["a"], [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(gradient["b"][0], [[0.8]], rtol=1e-6)


def test_global_norm_of_the_huge_and_the_tiny_together():
    np.testing.assert_allclose(global_norm([jnp.float32(1e25), jnp.float32(1e-25)]), 1e25, rtol=1e-6)


@pytest.mark.parametrize("form", [norms._norm_in_double, norms._norm_of_scaled, norms._norm_in_three_sums])
def test_every_form_of_the_norm_on_numbers_of_every_size(form):
    """One is for float32 on CPU, one for float64 there, one for other devices; here each on any of them."""
    sizes = [1e-45, 1e-30, 1e-15, 1e-3, 1.0, 1e4, 1e12, 1e18, 1e30]
    for pair in [
        *itertools.product(sizes, sizes[2:]),
        (0.0, 0.0),
        (3e-30, 4e-30),
        (3e-16, 5e-16),
        (2e15, 3e15),
    ]:
        leaves = [jnp.full((1, 2), pair[0], jnp.float32), jnp.full(3, pair[1], jnp.float32)]
        expected = np.sqrt(sum((np.float64(leaf) ** 2).sum() for leaf in leaves))
        np.testing.assert_allclose(form(leaves), expected, rtol=1e-6, atol=1e-44, err_msg=str(pair))
    z = [jnp.array([3 + 4j, 0], jnp.complex64), jnp.array([12.0])]
    np.testing.assert_allclose(form(z), 13, rtol=1e-6)
    assert np.isposinf(form([jnp.array([1.0, jnp.inf])]))
    assert np.isnan(form([jnp.array([1.0, jnp.nan])]))


def test_many_tiny_numbers_count():
    """Each square of 1e-19 is lost to underflow beside the largest one, but together they are 6%."""
    tree = [jnp.full(10**6, 1e-19), jnp.array([4e-16])]
    np.testing.assert_allclose(global_norm(tree), np.sqrt(1e6 * 1e-38 + 16e-32), rtol=1e-5)


@pytest.mark.parametrize("bad", [jnp.inf, -jnp.inf])
def test_global_norm_of_an_infinite_leaf(bad):
    assert np.isposinf(global_norm([jnp.ones(2), jnp.array([1.0, bad])]))


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64"])
def test_global_norm_of_nan(dtype):
    assert np.isnan(global_norm([jnp.array([1, jnp.nan], dtype), jnp.array([jnp.inf])]))


@pytest.mark.parametrize("tree", [{}, None, [], jnp.zeros((0, 3)), [None, jnp.arange(3), True], jnp.zeros(3)])
def test_global_norm_of_nothing_is_zero(tree):
    norm = global_norm(tree)
    assert (float(norm), norm.dtype, norm.shape) == (0.0, jnp.float32, ())


def test_global_norm_counts_floating_point_leaves_only():
    tree = [3.0, np.float64(4.0), jnp.zeros((0, 3)), None, jnp.array([7, 8]), jnp.array([True])]
    norm = global_norm(tree)
    assert (float(norm), norm.weak_type) == (5.0, False)


def test_global_norm_of_complex_numbers():
    z = jnp.array([3 + 4j, 0])
    norm = global_norm([z, jnp.array([12.0])])
    assert (float(norm), norm.dtype) == (13.0, jnp.float32)
    gradient = grad(lambda z: global_norm([z]))(z)
    np.testing.assert_allclose(gradient, [0.6 - 0.8j, 0], rtol=1e-6)  # conj(z)/‖z‖
    np.testing.assert_allclose(global_norm(1e25 * z), 5e25, rtol=1e-6)
    np.testing.assert_array_equal(grad(lambda z: global_norm([z]))(jnp.zeros_like(z)), [0, 0])


def test_gradient_of_the_norm_at_zero_is_zero():
    tree = {"a": jnp.zeros((2, 2)), "b": jnp.zeros(3, jnp.float16), "empty": jnp.zeros((0,))}
    gradient = grad(global_norm)(tree)
    assert jax.tree.map(lambda g: (g.dtype, g.shape), gradient) == jax.tree.map(
        lambda x: (x.dtype, x.shape), tree
    )
    assert not any(np.any(g) for g in jax.tree.leaves(gradient))


def test_global_norm_under_every_transformation():
    """A batch in which every member takes another branch; each is as if alone."""
    batch = jnp.array([[3.0, 4.0], [0.0, 0.0], [3e25, 4e25], [3e-25, 4e-25], [jnp.inf, 1.0], [jnp.nan, 1.0]])
    norms, slopes = jax.jit(jax.vmap(value_and_grad(global_norm)))(batch)
    np.testing.assert_allclose(norms, [5.0, 0.0, 5e25, 5e-25, jnp.inf, jnp.nan], rtol=1e-6)
    np.testing.assert_allclose(slopes[:4], [[0.6, 0.8], [0.0, 0.0], [0.6, 0.8], [0.6, 0.8]], rtol=1e-6)
    x, v = jnp.array([3.0, 4.0]), jnp.array([1.0, 2.0])
    _, forward = jax.jvp(global_norm, (x,), (v,))
    np.testing.assert_allclose(forward, 0.6 + 1.6, rtol=1e-6)
    hessian = (np.eye(2) - np.outer([0.6, 0.8], [0.6, 0.8])) / 5
    np.testing.assert_allclose(jax.hessian(global_norm)(x), hessian, rtol=1e-5)


def test_global_norm_in_float64(x64):
    rng = np.random.default_rng(0)
    tree = {
        "a": rng.normal(size=(5, 3)),
        "b": [rng.normal(size=7), rng.normal(size=2) + 1j * rng.normal(size=2)],
    }
    flat = np.concatenate([np.abs(leaf).ravel() for leaf in jax.tree.leaves(tree)])
    for scale in (1.0, 1e200, 1e-200):
        norm = global_norm(jax.tree.map(lambda x, scale=scale: scale * x, tree))
        assert norm.dtype == jnp.float64
        np.testing.assert_allclose(norm, scale * np.linalg.norm(flat), rtol=1e-14)


def test_global_norm_of_mixed_precision(x64):
    """The scale 1e-200 is 0 in the float32 of the other leaf."""
    tree = [jnp.array([3e-200, 4e-200]), jnp.zeros(2, jnp.float32)]
    np.testing.assert_allclose(global_norm(tree), 5e-200, rtol=1e-14)
    np.testing.assert_allclose(grad(global_norm)(tree)[0], [0.6, 0.8], rtol=1e-14)
    assert not np.any(grad(global_norm)(tree)[1])


# Paths and masks


@record
class Layer:
    kernel: Number
    bias: Number


def test_path_names():
    tree = {"layers_0": {"kernel": 1.0}, "list": [2.0, (3.0,)], "record": Layer(4.0, 5.0)}
    names = [path_name(path) for path, _ in jax.tree.leaves_with_path(tree)]
    assert names == ["layers_0/kernel", "list/0", "list/1/0", "record/kernel", "record/bias"]
    assert path_name(()) == ""


def test_weights_only():
    params = {
        "layers_0": {"kernel": jnp.ones((3, 3, 1, 4)), "bias": jnp.ones(4)},
        "layers_1": {"scale": jnp.ones(4), "bias": jnp.ones(4)},
        "layers_2": {
            "scale": jnp.ones((4, 4)),
            "bias": jnp.ones((4, 4)),
            "kernel": jax.ShapeDtypeStruct((4, 2), jnp.float32),
        },
        "rescale": jnp.ones((2, 2)),
        "temperature": 1.0,
        "none": None,
    }
    assert weights_only(params) == {
        "layers_0": {"kernel": True, "bias": False},
        "layers_1": {"scale": False, "bias": False},
        "layers_2": {"scale": False, "bias": False, "kernel": True},
        "rescale": True,
        "temperature": False,
        "none": None,
    }


def is_bias(name, leaf):
    return name.endswith("bias") and np.ndim(leaf) == 1


def test_where_path():
    params = {"a": {"bias": np.ones(2), "kernel": np.ones(2)}, "bias": 1.0}
    assert where_path(is_bias)(params) == {"a": {"bias": True, "kernel": False}, "bias": False}


MASKS = {
    "function": lambda: weights_only,
    "path": lambda: where_path(is_bias),
    "tree": lambda: {"a": True, "b": [False, np.bool_(True)]},
    "all": lambda: None,
}


@record
class Masked:
    rate: Number
    mask: object = static(None)


@pytest.mark.parametrize("make", MASKS.values(), ids=MASKS)
def test_a_mask_is_structure(make):
    """Hashable, equal when made again the same way, and it pickles: so a record may hold it."""
    mask, again = as_mask(make()), as_mask(make())
    assert mask == again
    assert hash(mask) == hash(again)
    assert pickle.loads(pickle.dumps(mask)) == mask
    traces = []

    @jax.jit
    def call(masked):
        traces.append(masked.mask)
        return masked.rate

    call(Masked(1.0, mask))
    call(Masked(2.0, again))
    assert len(traces) == 1


def test_a_tree_of_bools_is_a_mask():
    tree = {"a": True, "b": [False, None, jnp.array(True)]}
    mask = as_mask(tree)
    assert mask({"a": 1.0, "b": [2.0, None, 3.0]}) == {"a": True, "b": [False, None, True]}
    assert repr(mask) == "{'a': True, 'b': [False, None, True]}"
    for other in ({"a": True, "b": [False, None, False]}, {"a": True, "c": [False, None, True]}):
        assert mask != as_mask(other)
    assert mask != tree
    assert as_mask(weights_only) is weights_only
    assert as_mask(None) is None
