"""Numerical traps that one library or another falls into × every optimizer.

Zero gradients in float16, integer, complex, missing, empty, NumPy and Python leaves, dtypes and weak types
are in `test_optimizer_invariants.py`; global norms of float16, of 1e25 and 1e-25, of inf and NaN, and a
largest norm of 0 in `test_trees.py` and `optimizers/transforms/test_clipping.py`. Here is what is left:
numbers of another dtype, a gradient that never changes, and the derivative where a gradient is 0.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.optimizers import apply_updates
from tests.properties.registry import cases, loss, params, plain, step, types, update

# They take the distance from the start for the one to the bottom: without a bottom it grows for ever.
OF_A_BOTTOM = ("prodigy", "dadapt_sgd", "dadapt_adam", "dog", "dowg")


pytestmark = pytest.mark.full


@pytest.fixture(scope="module", params=cases("optimizers"), ids=str)
def subject(request):
    return request.param


def in_bfloat16(number):
    """The next bfloat16 number towards 0: to nearest, 0.999 would be 1."""
    word = np.float32(number).view(np.uint32) & np.uint32(0xFFFF0000)
    return jnp.asarray(word.view(np.float32), jnp.bfloat16)


def test_numbers_of_any_dtype_are_float32(subject):
    """A rate of `np.float64` widens nothing; one of bfloat16 does what its value does in float32.

    Under x64 bias corrections are float64's: 1 − 0.999 of float32 is off by 1.3e-5.
    """
    tree = params(jnp.float32)
    record, wide = subject.build(), jax.tree.map(np.float64, subject.build())
    single = jax.jit(lambda tree: step(subject, record, tree, record.init(tree)))(tree)
    for enabled in (False, True):
        with jax.enable_x64(enabled):
            state = wide.init(tree)
            found = jax.jit(lambda tree, state: step(subject, wide, tree, state))(tree, state)
            assert types(found) == types((tree, state))
            for a, b in zip(*map(jax.tree.leaves, plain((found, single))), strict=True):
                np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-7)

    def twice(record):
        single = jax.tree.map(lambda number: number.astype(jnp.float32), record)
        ends = []
        for numbers in (record, single):
            now = tree, numbers.init(tree)
            for _ in range(2):
                now = step(subject, numbers, *now)
            ends.append(now[0])
        return ends

    ends = jax.jit(twice)(jax.tree.map(in_bfloat16, subject.build()))
    for a, b in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_gradient_that_never_changes(subject):
    """Its variance is 0, and rounding makes that negative: for 1,000 steps every step is finite."""
    if subject.name in OF_A_BOTTOM:
        return
    tree = {"kernel": jnp.ones((2, 2)), "bias": jnp.array([1.0, 2.0, 3.0])}
    grads = {"kernel": jnp.full((2, 2), 0.1), "bias": jnp.array([1e-3, 0.3, 0.0])}

    def body(carry, _):
        tree, state = carry
        updates, state = update(subject, record, grads, state, tree)
        return (apply_updates(tree, updates), state), jnp.stack(
            [jnp.max(jnp.abs(u)) for u in jax.tree.leaves(updates)]
        )

    record = subject.build()
    longest = jax.jit(lambda start: lax.scan(body, start, length=1000)[1])((tree, record.init(tree)))
    assert jnp.isfinite(longest).all()


def test_the_derivative_of_a_step_is_finite_where_a_gradient_is_zero(subject):
    """With respect to gradients, parameters and numbers; one entry is 0, and all of one leaf are."""
    tree = params(jnp.float32)
    grads = {"kernel": jnp.array([[0.5, 0.0], [-1.5, 2.0]]), "bias": jnp.zeros(2)}

    def end(record, grads, tree):
        updates, _ = update(subject, record, grads, record.init(tree), tree)
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(apply_updates(tree, updates)))

    record = jax.tree.map(jnp.float32, subject.build())
    slopes = jax.jit(jax.grad(end, argnums=(0, 1, 2)))(record, grads, tree)
    for path, leaf in jax.tree.leaves_with_path(slopes):
        assert jnp.isfinite(leaf).all(), jax.tree_util.keystr(path)


@pytest.mark.parametrize("transform", cases("optimizers", "transforms"), ids=str)
def test_the_derivative_of_a_run_is_finite_where_entries_are_at_their_best(transform):
    """Of the loss after two steps, with respect to the start and to every number; it does reach the start."""
    tree = {"kernel": jnp.array([[1.5, 0.3], [-0.7, 0.3]]), "bias": jnp.full(2, 0.3)}  # gradients of 0 at 0.3

    def end(record, tree):
        state = record.init(tree)
        for _ in range(2):
            tree, state = step(transform, record, tree, state)
        return loss(tree)

    record = jax.tree.map(jnp.float32, transform.build())
    value, slopes = jax.jit(jax.value_and_grad(end, argnums=(0, 1)))(record, tree)
    assert jnp.isfinite(value)
    for path, leaf in jax.tree.leaves_with_path(slopes):
        assert jnp.isfinite(leaf).all(), jax.tree_util.keystr(path)
    assert jnp.any(slopes[1]["kernel"][:, 0] != 0)  # a rate of 1 leads straight to where a curvature is 1
