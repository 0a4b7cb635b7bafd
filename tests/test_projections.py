"""Projections and proximal operators beside their definitions: the nearest point, found by brute force."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes import projections as p

SETS = {
    "box": functools.partial(p.project_box, lower=-0.5, upper=1.0),
    "l2_ball": functools.partial(p.project_l2_ball, radius=1.5),
    "l1_ball": functools.partial(p.project_l1_ball, radius=1.5),
    "simplex": functools.partial(p.project_simplex, total=2.0),
    "max_norm": functools.partial(p.project_max_norm, max_norm=0.7),
}
INSIDE = {
    "box": lambda x: ((x >= -0.5) & (x <= 1.0)).all(),
    "l2_ball": lambda x: np.sum(x**2) <= 1.5**2,
    "l1_ball": lambda x: np.abs(x).sum() <= 1.5,
    "simplex": lambda x: (x >= 0).all() and abs(x.sum() - 2) < 1e-6,
    "max_norm": lambda x: (np.linalg.norm(x, axis=0) <= 0.7).all(),
}


def points(count=40, seed=0):
    return jnp.asarray(2 * np.random.default_rng(seed).normal(size=(count, 3, 2)))


@pytest.mark.notes("S0-13")
@pytest.mark.parametrize("name", SETS)
def test_a_projection_is_in_the_set_idempotent_and_non_expansive(name, x64):
    project = jax.jit(jax.vmap(SETS[name]))
    x, y = points(), points(seed=1)
    u, v = project(x), project(y)
    for row in u:
        assert INSIDE[name](np.asarray(row) * (1 - 1e-12 * (name != "simplex")))
    np.testing.assert_allclose(project(u), u, rtol=1e-12, atol=1e-14)
    apart, before = (
        np.linalg.norm(np.asarray(a - b).reshape(len(a), -1), axis=1) for a, b in ((u, v), (x, y))
    )
    assert (apart <= before * (1 + 1e-12)).all()
    assert (apart < 0.9 * before).any()


@pytest.mark.parametrize("name", SETS)
def test_no_other_point_of_the_set_is_nearer(name, x64):
    """⟨v − P(v), z − P(v)⟩ ≤ 0 for every z of the set: what defines the projection onto a convex one."""
    project = jax.jit(jax.vmap(SETS[name]))
    v = points()
    near, others = (np.asarray(project(x)).reshape(len(v), -1) for x in (v, points(seed=2)))
    away = np.asarray(v).reshape(len(v), -1) - near
    assert (np.einsum("ij,kij->ik", away, others[:, None] - near[None]) <= 1e-9).all()
    assert np.linalg.norm(away, axis=1).max() > 0.5


@pytest.mark.notes("S0-19", "S0-20", "S4-31")
@pytest.mark.parametrize(
    ("operator", "penalty", "threshold"),
    [(p.soft_threshold, np.abs, lambda t: t), (p.hard_threshold, np.sign, lambda t: np.sqrt(2 * t))],
)
def test_the_thresholds_are_proximal_operators(operator, penalty, threshold, x64):
    """argmin t·h(x) + ½(x − v)² on a fine grid that contains 0."""
    grid = np.arange(-4000, 4001) / 1000
    for t in (0.1, 0.5, 1.3):
        for v in (-2.31, -0.7, 0.04, 0.0, 0.9, 3.3):
            cost = t * np.abs(penalty(grid)) + (grid - v) ** 2 / 2
            np.testing.assert_allclose(operator(jnp.array(v), threshold(t)), grid[cost.argmin()], atol=1e-3)


def test_what_equals_the_threshold_is_dropped():
    x = jnp.array([0.5, -0.5, 0.75, -0.25, -1.0])
    np.testing.assert_array_equal(p.hard_threshold(x, 0.5), [0, 0, 0.75, 0, -1])
    np.testing.assert_array_equal(p.soft_threshold(x, 0.5), [0, 0, 0.25, 0, -0.5])
    np.testing.assert_array_equal(p.hard_threshold(x, 0.0), x)


@pytest.mark.parametrize("name", sorted(SETS.keys() - {"simplex"}))
def test_a_point_inside_stays_where_it_is(name):
    """Also a negative one, a small one and zero; a point at the border stays, too."""
    for x in (points(5, seed=3) * 0.05, jnp.zeros((5, 3, 2))):
        x = x.astype(jnp.float32)
        np.testing.assert_array_equal(jax.vmap(SETS[name])(x), x)
    border = {
        "box": [[-0.5, 1.0]],
        "l2_ball": [[0.0, -1.5]],
        "l1_ball": [[-0.5, 1.0]],
        "max_norm": [[-0.7, 0.7]],
    }
    np.testing.assert_array_equal(SETS[name](jnp.array(border[name])), jnp.array(border[name]))


def test_the_simplex_by_hand():
    """Its points stay; of (1, 0.5, −1) and the total 1, τ = 0.25; equal entries share what is over."""
    np.testing.assert_allclose(p.project_simplex(jnp.array([0.25, 0.0, 0.75])), [0.25, 0, 0.75], atol=1e-7)
    np.testing.assert_allclose(p.project_simplex(jnp.array([1.0, 0.5, -1.0])), [0.75, 0.25, 0], atol=1e-7)
    np.testing.assert_allclose(p.project_simplex(jnp.array([3.0, 3.0, 3.0]), 6.0), [2, 2, 2], atol=1e-6)
    np.testing.assert_allclose(p.project_simplex(jnp.array([-5.0, -5.0]), 0.5), [0.25, 0.25], atol=1e-6)


def test_a_ball_of_radius_zero_is_its_centre():
    for x in (jnp.array([3.0, -4.0]), jnp.zeros(2)):
        np.testing.assert_array_equal(p.project_l2_ball(x, 0.0), [0, 0])
        np.testing.assert_array_equal(p.project_max_norm(x[:, None], 0.0), [[0], [0]])


def test_max_norm_is_of_all_weights_into_a_unit(x64):
    """The last axis are the units, as in dense layers and convolutions; vectors and numbers stay."""
    kernel = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    length = np.sqrt((kernel**2).sum(axis=(0, 1, 2)))
    assert (length > 3).any()
    assert (length < 5).any()
    found = p.project_max_norm(
        {"kernel": jnp.asarray(kernel), "bias": jnp.full(5, 9.0), "scale": jnp.array(9.0)}, 4.5
    )
    np.testing.assert_allclose(found["kernel"], kernel * np.minimum(1, 4.5 / length), rtol=1e-14)
    np.testing.assert_array_equal(found["bias"], 9)
    assert found["scale"] == 9


@pytest.mark.notes("S0-19")
def test_the_k_largest_stay_and_of_equal_ones_the_first(x64):
    x = jnp.array([1.0, -3.0, 2.0, -2.0, 0.5])
    for k, expected in enumerate(([0] * 5, [0, -3, 0, 0, 0], [0, -3, 2, 0, 0], [0, -3, 2, -2, 0])):
        np.testing.assert_array_equal(p.project_sparse(x, k), expected)
    counts = jnp.arange(7.0)
    found = jax.vmap(p.project_sparse, (None, 0))(x, counts)
    np.testing.assert_array_equal((found != 0).sum(1), [0, 1, 2, 3, 4, 5, 5])


def test_a_count_is_rounded_to_the_nearest():
    x = jnp.array([1.0, -3.0, 2.0, -2.0])
    for k, kept in ((0.4, 0), (0.6, 1), (1.4, 1), (2.7, 3), (2.5, 2), (9.0, 4)):
        assert (p.project_sparse(x, k) != 0).sum() == kept, k
    np.testing.assert_array_equal(p.project_sparse(jnp.ones(3), 2), [1, 1, 0])


def test_a_tree_is_one_vector_and_the_rest_stays(x64):
    x = np.random.default_rng(0).normal(size=7)
    tree = {"a": jnp.asarray(x[:4].reshape(2, 2)), "b": (None, jnp.arange(3)), "c": jnp.asarray(x[4:])}
    for project in (
        p.project_l2_ball, p.project_l1_ball, p.project_simplex, functools.partial(p.project_sparse, k=3),
    ):  # fmt: skip
        found = project(tree)
        np.testing.assert_array_equal(found["b"][1], [0, 1, 2])
        expected = project(jnp.asarray(x))
        np.testing.assert_allclose(np.concatenate([found["a"].ravel(), found["c"]]), expected, rtol=1e-14)
        assert project({}) == {}


@pytest.mark.parametrize(
    "function",
    [
        functools.partial(p.soft_threshold, threshold=0.6),
        functools.partial(p.hard_threshold, threshold=0.6),
        p.project_l2_ball, p.project_l1_ball, functools.partial(p.project_sparse, k=2), p.project_max_norm,
    ],
)  # fmt: skip
def test_complex_numbers_are_pulled_along_their_rays(function):
    turn = np.complex64(np.exp(0.7j))
    x = jnp.array([[0.4, -2.0, 1.1], [0.0, 0.9, -0.3]])
    np.testing.assert_allclose(
        function(x.astype(jnp.complex64) * turn), np.asarray(function(x)) * turn, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_gradients_are_finite_at_zero_and_dtypes_stay(dtype):
    x = jnp.array([[0.0, 0.0], [0.0, 1.0]], dtype)
    for function in (
        p.project_l2_ball, p.project_max_norm, p.project_l1_ball, p.project_simplex,
        lambda x, t: p.soft_threshold(x, t), lambda x, t: p.hard_threshold(x, t),
        lambda x, r: p.project_box(x, -r, r),
    ):  # fmt: skip
        for start in (x, jnp.zeros_like(x)):
            total, slopes = jax.value_and_grad(
                lambda x, r, f=function: f(x, r).astype(jnp.float32).sum(), (0, 1)
            )(start, 0.5)
            assert function(start, 0.5).dtype == dtype
            assert np.isfinite(total)
            assert all(np.isfinite(s.astype(jnp.float32)).all() for s in slopes)


def test_mistakes_are_named():
    for build, name in (
        (lambda: p.soft_threshold(jnp.ones(2), -1.0), "soft_threshold.threshold"),
        (lambda: p.project_simplex(jnp.ones(2), 0.0), "project_simplex.total"),
        (lambda: p.project_sparse(jnp.ones(2), -1), "project_sparse.k"),
    ):
        with pytest.raises(ValueError, match=name):
            build()
