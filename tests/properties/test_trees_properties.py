"""Properties of tree arithmetic over random structures, shapes and dtypes."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import cast_like, zeros_like
from jaxopt_notes.masks import as_mask, path_name, weights_only, where_path
from jaxopt_notes.norms import global_norm

quick = hypothesis.settings(deadline=None, max_examples=25, derandomize=True)

FLOATS = ("float16", "bfloat16", "float32", "complex64")
OTHERS = ("int32", "uint8", "bool")
# Few shapes, so that few programs are compiled.
shapes = st.sampled_from([(), (3,), (2, 3), (0, 2)])
names = st.text("abcdef_0", min_size=1, max_size=3)


@st.composite
def leaves(draw, dtypes=FLOATS + OTHERS):
    """A leaf of small whole numbers, exact in every dtype."""
    shape, dtype = draw(shapes), draw(st.sampled_from(dtypes))
    values = draw(hnp.arrays(np.int32, shape, elements=st.integers(0, 8)))
    if dtype == "complex64":
        return jnp.asarray(values + 1j * values[::-1] if shape else values + 1j, dtype)
    return jnp.asarray(values, dtype)


def trees(leaf, max_leaves=6):
    def grow(children):
        return st.one_of(
            st.dictionaries(names, children, max_size=3),
            st.lists(children, max_size=3),
            st.tuples(children, children),
        )

    return st.recursive(st.none() | leaf, grow, max_leaves=max_leaves)


def floating(leaf):
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


@quick
@hypothesis.given(trees(leaves()))
def test_global_norm_is_that_of_all_numbers_in_a_row(tree):
    parts = [np.asarray(leaf, np.complex128).ravel() for leaf in jax.tree.leaves(tree) if floating(leaf)]
    expected = np.linalg.norm(np.concatenate([*parts, np.zeros(1)]))
    np.testing.assert_allclose(global_norm(tree), expected, rtol=1e-6)


@quick
@hypothesis.given(trees(leaves(("float32", "complex64"))), st.integers(-100, 100))
def test_global_norm_scales_with_its_tree(tree, exponent):
    """Exactly, by powers of two, far beyond where squares overflow and underflow."""
    factor = float(2.0**exponent)
    scaled = jax.tree.map(lambda x: x * factor, tree)
    np.testing.assert_allclose(global_norm(scaled), np.float32(factor) * global_norm(tree), rtol=1e-6)


@quick
@hypothesis.given(trees(leaves(FLOATS)))
def test_the_gradient_of_the_norm_is_a_unit_vector_or_zero(tree):
    parts = jax.tree.leaves(tree)
    gradient = jax.grad(global_norm)(parts)
    assert [(g.shape, g.dtype) for g in gradient] == [(x.shape, x.dtype) for x in parts]
    length = np.sqrt(sum(np.sum(np.abs(np.asarray(g, np.complex128)) ** 2) for g in gradient))
    np.testing.assert_allclose(length, 1.0 if any(np.any(x) for x in parts) else 0.0, rtol=1e-2)


@quick
@hypothesis.given(trees(leaves()), st.sampled_from([None, "float32", "bfloat16"]), st.booleans())
def test_zeros_like_keeps_the_structure_of_what_is_floating(tree, dtype, real):
    state = zeros_like(tree, dtype, real=real)
    before = jax.tree.leaves(tree)
    after = jax.tree.structure(tree).flatten_up_to(state)
    for leaf, zero in zip(before, after, strict=True):
        if not floating(leaf):
            assert zero is None
            continue
        assert zero.shape == leaf.shape
        assert not np.any(zero)
        assert jnp.iscomplexobj(zero) == (jnp.iscomplexobj(leaf) and not real)
        if not jnp.iscomplexobj(zero):
            assert zero.dtype == jnp.dtype(dtype or "float32")


@quick
@hypothesis.given(
    leaves(("float16", "bfloat16", "float32")), st.sampled_from([*FLOATS, "int32"]), st.booleans()
)
def test_cast_like_changes_the_kind_and_not_the_value(value, dtype, weak):
    like = {"complex64": 1j, "int32": 1}.get(dtype, 1.0) if weak else jnp.ones((), dtype)
    out = cast_like(value, like)
    kind = jnp.asarray(like)
    assert (out.dtype, out.weak_type, out.shape) == (kind.dtype, kind.weak_type, value.shape)
    np.testing.assert_array_equal(np.asarray(out, np.complex128), np.asarray(value, np.complex128))


@quick
@hypothesis.given(st.dictionaries(names, st.dictionaries(names, leaves(), max_size=3), max_size=3))
def test_path_names_lead_back_to_their_leaves(tree):
    for path, leaf in jax.tree.leaves_with_path(tree):
        outer, inner = path_name(path).split("/")
        assert tree[outer][inner] is leaf


@quick
@hypothesis.given(trees(st.booleans()), trees(st.booleans()))
def test_masks_are_equal_as_their_trees_are(tree, other):
    if tree is None or other is None:  # no mask
        return
    mask, again, different = as_mask(tree), as_mask(jax.tree.map(lambda x: x, tree)), as_mask(other)
    assert mask == again
    assert hash(mask) == hash(again)
    assert mask(tree) == tree
    same = jax.tree.structure(tree) == jax.tree.structure(other) and tree == other
    assert (mask == different) is same


@quick
@hypothesis.given(trees(leaves()))
def test_masks_have_the_structure_of_their_parameters(tree):
    for mask in (weights_only, where_path(lambda name, leaf: np.ndim(leaf) > 0)):
        chosen = mask(tree)
        assert jax.tree.structure(chosen) == jax.tree.structure(tree)
        assert all(type(leaf) is bool for leaf in jax.tree.leaves(chosen))
