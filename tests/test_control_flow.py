"""`apply_if` against plain Python, alone and in populations, and what a population's trace holds."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.control_flow import any_member, apply_if, apply_one
from jaxopt_notes.optimizers.solvers.bounded_loop import bounded_loop
from tests.jaxprs import equations

LABELS = jnp.array([0, 2, 1])


def largest(jaxpr):
    """The number of entries of the largest value that a program computes."""
    made = [variable.aval for equation in equations(jaxpr) for variable in equation.outvars]
    return max((np.prod(value.shape, dtype=int) for value in made if hasattr(value, "shape")), default=0)


def guarded(rate, keep, labels, key):
    """x·rate + Σ table[labels] and a draw where `keep`, else 2: closes over floats, integers, a key."""
    table = rate * jnp.arange(4.0)

    def function(state):
        x, key = state
        return x * rate + jnp.sum(table[labels]) + jax.random.uniform(key), jax.random.split(key)[0]

    return apply_if(keep, function, (jnp.asarray(2.0), key))[0]


def test_apply_if_is_an_if(key):
    labels, draw = LABELS, float(jax.random.uniform(key))
    for keep, want in ((True, 2 * 1.5 + 1.5 * 3 + draw), (False, 2.0)):
        assert float(guarded(1.5, jnp.array(keep), labels, key)) == pytest.approx(want)
        with jax.disable_jit():
            assert float(guarded(1.5, jnp.array(keep), labels, key)) == pytest.approx(want)
    rates, keep = jnp.array([[1.5, 0.5], [2.0, 1.0]]), jnp.array([[True, False], [False, True]])
    nested = jax.vmap(jax.vmap(guarded, (0, 0, None, None)), (0, 0, None, None))(rates, keep, labels, key)
    np.testing.assert_allclose(nested, np.where(keep, rates * 5 + draw, 2.0), rtol=1e-6)


@pytest.mark.parametrize("derive", [jax.grad, jax.jacfwd])
def test_derivatives_of_apply_if_pass_every_transformation(derive, key):
    """d/dr (2r + 3r + u) = 5 where the condition holds, also if what it closes over is traced and whole."""
    rates, keep = jnp.array([1.5, 0.5]), jnp.array([True, False])
    jitted = jax.jit(guarded)
    alone = [float(derive(jitted)(rate, k, LABELS, key)) for rate, k in zip(rates, keep, strict=True)]
    assert alone == [5.0, 0.0]
    members = jax.vmap(derive(jitted), (0, 0, None, None))(rates, keep, LABELS, key)
    of_members = derive(lambda r: jnp.sum(jax.vmap(jitted, (0, 0, None, None))(r, keep, LABELS, key)))(rates)
    np.testing.assert_array_equal(members, alone)
    np.testing.assert_array_equal(of_members, alone)


def test_no_derivative_passes_through_a_function_that_was_not_applied():
    """√ at 0 has an infinite slope: 0 · ∞ must not become NaN."""

    def root(keep, x):
        return apply_if(keep, jnp.sqrt, x)

    keep, x = jnp.array([False, True]), jnp.array([0.0, 4.0])
    assert float(jax.grad(root, 1)(keep[0], x[0])) == 1.0
    np.testing.assert_array_equal(jax.vmap(jax.grad(root, 1))(keep, x), [1.0, 0.25])


@pytest.mark.parametrize("derive", [lambda f, argnums: lambda *a: f(*a), jax.grad, jax.jacfwd])
def test_apply_one_is_one_of_several(derive):
    """x, x² and sin x; the slope of sin is cos, and that of √ at 0 does not make the others' NaN."""

    def one(which, x):
        return apply_one(which, [jnp.square, jnp.sin, jnp.sqrt], x)

    which, x = jnp.array([0, 1, 2, 0]), jnp.array([3.0, 3.0, 3.0, 0.0])
    alone = [float(derive(one, 1)(*pair)) for pair in zip(which, x, strict=True)]
    values = (
        [3.0, 9.0, np.sin(3.0), 0.0] if derive not in (jax.grad, jax.jacfwd) else [1.0, 6.0, np.cos(3.0), 1.0]
    )
    np.testing.assert_allclose(alone, values, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(derive(one, 1))(which, x), values, rtol=1e-6)


def test_a_function_runs_only_where_it_is_due():
    """Alone where the condition holds, in a population where it holds for any member."""
    calls = itertools.count()

    def counted(x):
        jax.debug.callback(lambda: next(calls))
        return x + 1

    step = jax.jit(lambda keep, x: apply_if(keep, counted, x))
    ran = [0]
    for keep in (jnp.array(False), jnp.array(True), jnp.array([False, False])):
        x = jnp.zeros(keep.shape)
        jax.block_until_ready(jax.vmap(step)(keep, x) if keep.ndim else step(keep, x))
        jax.effects_barrier()
        ran.append(next(calls))
    assert np.diff(ran).tolist() == [0, 2, 1]  # each look counts one, too


def test_a_population_copies_nothing_that_the_function_reads():
    data = jnp.ones((64, 8))
    step = jax.vmap(lambda keep, x: apply_if(keep, lambda x: x + jnp.sum(data[0]), x))
    program = jax.make_jaxpr(step)(jnp.array([True, False]), jnp.zeros(2))
    assert largest(program.jaxpr) < data.size
    twice = jax.make_jaxpr(jax.vmap(step))(jnp.ones((3, 2), bool), jnp.zeros((3, 2)))
    assert largest(twice.jaxpr) < data.size
    slope = jax.vmap(jax.grad(lambda x, keep: apply_if(keep, lambda x: x * jnp.sum(data[0]), x)))
    assert largest(jax.make_jaxpr(slope)(jnp.zeros(2), jnp.array([True, False])).jaxpr) < data.size


def test_a_condition_of_any_member_is_one_for_all(key):
    """Nested populations too: the branch stays a branch, and nothing is selected."""

    def step(keep, x):
        return jax.lax.cond(any_member(keep), lambda: x + 1, lambda: x)

    keep, x = jnp.array([[False, True], [False, False]]), jnp.zeros((2, 2))
    np.testing.assert_array_equal(jax.jit(jax.vmap(jax.vmap(step)))(keep, x), np.ones((2, 2)))
    np.testing.assert_array_equal(jax.jit(jax.vmap(step))(keep[1], x[1]), np.zeros(2))
    names = [
        equation.primitive.name for equation in equations(jax.make_jaxpr(jax.vmap(step))(keep[0], x[0]).jaxpr)
    ]
    assert "cond" in names
    assert "select_n" not in names


def test_a_bounded_loop_may_close_over_traced_integers_and_keys(key):
    """x ← r·x while x < 10, from 2, with r = 2: 16 = 2·r³, slope 6·r² = 24; and a term that is 0."""

    def loop(rate, labels, key):
        def body(x):
            return x * rate + 0 * (labels[0] + jax.random.bits(key, dtype=jnp.uint8)).astype(float)

        return bounded_loop(lambda x: x < 10, body, jnp.asarray(2.0), 5)

    assert float(jax.grad(jax.jit(loop))(2.0, LABELS.astype(jnp.uint8), key)) == 24.0
