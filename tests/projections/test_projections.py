"""Projections and proximal operators beside their definitions: the nearest point, found by brute force."""

import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes import projections
from tests.compiled import compiled_functions

p = compiled_functions(projections)

SETS = {
    "box": functools.partial(p.project_box, lower=-0.5, upper=1.0),
    "l2_ball": functools.partial(p.project_l2_ball, radius=1.5),
    "l1_ball": functools.partial(p.project_l1_ball, radius=1.5),
    "simplex": functools.partial(p.project_simplex, total=2.0),
    "max_norm": functools.partial(p.project_max_norm, max_norm=0.7),
    "spectral_ball": functools.partial(p.project_spectral_ball, radius=1.2),
    "non_negative": p.project_non_negative,
}
INSIDE = {
    "box": lambda x: ((x >= -0.5) & (x <= 1.0)).all(),
    "l2_ball": lambda x: np.sum(x**2) <= 1.5**2,
    "l1_ball": lambda x: np.abs(x).sum() <= 1.5,
    "simplex": lambda x: (x >= 0).all() and abs(x.sum() - 2) < 1e-6,
    "max_norm": lambda x: (np.linalg.norm(x, axis=0) <= 0.7).all(),
    "spectral_ball": lambda x: np.linalg.norm(x, 2) <= 1.2,
    "non_negative": lambda x: (x >= 0).all(),
}


def points(count=40, seed=0):
    return jax.device_put(2 * np.random.default_rng(seed).normal(size=(count, 3, 2)))


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


@pytest.mark.parametrize("name", sorted(SETS.keys() - {"simplex", "non_negative"}))
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
        "spectral_ball": [[1.2, 0.0], [0.0, -1.2]],
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
    functions = (
        p.project_l2_ball, p.project_max_norm, p.project_l1_ball, p.project_simplex,
        p.soft_threshold, p.hard_threshold,
        lambda x, r: p.project_box(x, -r, r),
    )  # fmt: skip

    @jax.jit
    def all_of_them(starts):
        def with_gradients(function, start):
            def total(x, r):
                projected = function(x, r)
                return projected.astype(jnp.float32).sum(), projected

            return jax.value_and_grad(total, (0, 1), has_aux=True)(start, 0.5)

        return [jax.vmap(functools.partial(with_gradients, function))(starts) for function in functions]

    for (total, projected), slopes in all_of_them(np.array([[[0, 0], [0, 1]], np.zeros((2, 2))], dtype)):
        assert projected.dtype == dtype
        assert np.isfinite(total).all()
        assert all(np.isfinite(s.astype(np.float32)).all() for s in slopes)


def test_mistakes_are_named():
    for build, name in (
        (lambda: p.soft_threshold(jnp.ones(2), -1.0), "soft_threshold.threshold"),
        (lambda: p.project_simplex(jnp.ones(2), 0.0), "project_simplex.total"),
        (lambda: p.project_sparse(jnp.ones(2), -1), "project_sparse.k"),
    ):
        with pytest.raises(ValueError, match=name):
            build()


# Entries of every size


def exactly_onto_the_simplex(values, total):
    """Michelot 1986: subtract the mean excess, drop what is no longer positive, until nothing is dropped."""
    values, total = [Fraction(float(v)) for v in values], Fraction(float(total))
    kept = range(len(values))
    while True:
        tau = (sum(values[i] for i in kept) - total) / len(kept)
        left = [i for i in kept if values[i] > tau]
        if len(left) == len(kept):
            return np.array([float(max(v - tau, 0)) for v in values])
        kept = left


def exactly_onto_the_l1_ball(values, radius):
    values = np.asarray(values, np.float64)
    if sum(Fraction(abs(float(v))) for v in values) <= Fraction(float(radius)):
        return values
    return np.sign(values) * exactly_onto_the_simplex(np.abs(values), radius)


def exactly_onto_the_l2_ball(values, radius):
    values = np.asarray(values, np.float64)
    norm = np.sqrt(np.sum(values**2))
    return values if norm <= radius else values * (float(radius) / norm)


ROWS = np.array(
    [
        [4e7, 0.0, 0.0, 0.0, 0.0],
        [1e5 + 0.25, 1e5, 1e5 - 0.125, 0.0, -3.0],
        [1e30, 1e30, 1e-30, -1e30, 0.0],
        [1e37, -1e37, 1e-37, 2.0, 0.0],
        [1e-30, 2e-30, -3e-30, 1e-35, 0.0],
        [1.0, 1.0, 1.0, 1.0, 1.0],
        [0.5, 0.5, -0.5, 0.25, 0.0],
        [1.0, 1.0 + 1e-6, 1.0 - 1e-6, 0.0, 1e-20],
        [0.0, 0.0, 0.0, 0.0, 0.0],
    ],
    np.float32,
)
RADII = np.array([1e-30, 1e-3, 1.0, 2.0, 1e8, 1e30], np.float32)


@pytest.mark.parametrize(
    ("project", "exactly"),
    [
        (p.project_simplex, exactly_onto_the_simplex),
        (p.project_l1_ball, exactly_onto_the_l1_ball),
        (p.project_l2_ball, exactly_onto_the_l2_ball),
        (lambda x, r: p.project_max_norm(x[:, None], r)[:, 0], exactly_onto_the_l2_ball),
    ],
    ids=["simplex", "l1_ball", "l2_ball", "max_norm"],
)
def test_entries_of_every_size_and_radii_far_from_them(project, exactly):
    """In float32, to some units in the last place of what the projection may be at most."""
    found = jax.jit(jax.vmap(jax.vmap(project, (None, 0)), (0, None)))(ROWS, RADII)
    for row, of_row in zip(ROWS, found, strict=True):
        for radius, x in zip(RADII, of_row, strict=True):
            np.testing.assert_allclose(x, exactly(row, radius), rtol=1e-6, atol=4e-7 * radius)
            if project is p.project_simplex:
                np.testing.assert_allclose(np.asarray(x, np.float64).sum(), radius, rtol=1e-6)


def test_many_entries_lose_nothing_of_their_total():
    """10⁵ of them, nearly equal: the rounding of τ would count for each."""
    v = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    for x, total in ((1000 + v, 1.0), (1e-3 * v + 1e6, 1e7), (v, 1e-3)):
        found = np.asarray(p.project_simplex(jnp.asarray(x, jnp.float32), total), np.float64)
        np.testing.assert_allclose(found.sum(), total, rtol=1e-5)
        ball = np.asarray(p.project_l1_ball(jnp.asarray(x, jnp.float32), total), np.float64)
        assert np.abs(ball).sum() <= total * (1 + 1e-5)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_rounds_only_the_result(dtype):
    @jax.jit
    def both(x, radius):
        projections = p.project_simplex, p.project_l1_ball, p.project_l2_ball, p.project_max_norm
        wide = x.astype(jnp.float32)
        return [f(x, radius) for f in projections], [f(wide, radius) for f in projections]

    x = np.array([[600.0, 599.0], [0.25, -3.0]], dtype)
    for radius in (1e-3, 1.0, 700.0):
        for found, wide in zip(*both(x, radius), strict=True):
            np.testing.assert_array_equal(found, np.asarray(wide).astype(dtype))


def test_thresholds_and_boxes_at_the_ends_of_the_range():
    x = jnp.array([1e30, -1e-30, 3e38, 1.0, -1.0])
    np.testing.assert_allclose(p.soft_threshold(x, 1.0), [1e30, 0, 3e38, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(p.soft_threshold(x, 1e-31), [1e30, -0.9e-30, 3e38, 1, -1], rtol=1e-6)
    np.testing.assert_array_equal(p.hard_threshold(x, 1.0), [x[0], 0, x[2], 0, 0])  # what equals t goes
    np.testing.assert_array_equal(p.hard_threshold(x, 0.0), x)
    np.testing.assert_array_equal(p.project_box(x, -1.0, 1e29), np.clip(x, -1, np.float32(1e29)))
    np.testing.assert_array_equal(p.project_box(x, -jnp.inf, jnp.inf), x)
    np.testing.assert_array_equal(p.project_sparse(x, 2), [x[0], 0, x[2], 0, 0])
    np.testing.assert_array_equal(p.project_sparse(jnp.array([2.0, -2.0, 2.0]), 2), [2, -2, 0])


def test_a_radius_of_zero_leaves_nothing():
    x = jnp.array([3.0, 0.0, -1e30])
    for project in (p.project_l1_ball, p.project_l2_ball, p.project_sparse):
        found, slopes = jax.value_and_grad(lambda x, r, f=project: f(x, r)[0], (0, 1))(x, 0.0)
        assert not project(x, 0.0).any()
        assert found == 0
        assert all(np.isfinite(s).all() for s in slopes)
    assert not jax.jit(p.project_simplex)(x, 0.0).any()


@pytest.mark.parametrize("size", [1e-25, 1.0, 1e25])
def test_complex_numbers_of_any_size_keep_their_direction(size):
    x = jnp.asarray(np.array([3 + 4j, -1j, 0]) * size, jnp.complex64)
    for project in (p.project_l1_ball, p.project_l2_ball):
        short = project(x, 5 * size)
        expected = np.array([3 + 4j, -1j, 0]) * size
        if project is p.project_l1_ball:
            expected = np.array([4.5 * (0.6 + 0.8j), -0.5j, 0]) * size
        else:
            expected = expected * 5 / np.sqrt(26)
        np.testing.assert_allclose(short, expected, rtol=1e-5)
    np.testing.assert_allclose(p.soft_threshold(x, 2 * size), [(1.8 + 2.4j) * size, 0, 0], rtol=1e-5)


# Derivatives


def one_sided(project, x, direction, step):
    """The derivatives along a direction, from both sides: exact for piecewise linear functions."""
    before, here, after = (np.asarray(project(x + s * step * direction)) for s in (-1, 0, 1))
    return (here - before) / step, (after - here) / step


INSIDE_OR_AT_A_CORNER = [
    (lambda x: p.project_l1_ball(x, 1.0), [0.0, 0.3, -0.2]),
    (lambda x: p.project_l1_ball(x, 1.0), [2.0, 1.0, 0.0]),  # the second one is about to become positive
    (lambda x: p.project_l1_ball(x, 0.5), [0.75, 0.75, 0.75]),
    (lambda x: p.project_simplex(x, 1.0), [1.0, 0.0, -4.0]),
    (lambda x: p.project_simplex(x, 1.0), [2.0, 2.0, 2.0]),
    (lambda x: p.soft_threshold(x, 1.0), [1.0, -1.0, 0.0]),
    (lambda x: p.soft_threshold(x, 0.0), [1.0, -1.0, 0.0]),
    (lambda x: p.hard_threshold(x, 0.0), [1.0, -1.0, 0.0]),
    (lambda x: p.project_box(x, 0.0, 1.0), [0.0, 1.0, 0.5]),
    (lambda x: p.project_box(x, -jnp.inf, 1.0), [0.0, 1.0, 2.0]),
    (lambda x: p.project_sparse(x, 3), [0.0, 1.0, 0.0]),
    (lambda x: p.project_sparse(x, 1), [0.0, 1.0, 0.5]),
    (lambda x: p.project_l2_ball(x, 2.0), [0.0, 1.0, 0.0]),
]


@pytest.mark.parametrize(("project", "at"), INSIDE_OR_AT_A_CORNER)
def test_the_jacobian_is_one_of_the_one_sided_derivatives(project, at, x64):
    x = np.array(at)
    jacobian, project = np.asarray(jax.jit(jax.jacobian(project))(x)), jax.jit(project)
    for i in range(x.size):
        sides = one_sided(project, x, np.eye(x.size)[i], 2.0**-10)
        assert min(np.abs(jacobian[:, i] - side).max() for side in sides) < 1e-9, (i, jacobian, sides)


def test_inside_a_ball_and_on_the_wall_of_a_box_the_jacobian_is_the_identity():
    for project, at in (
        (lambda x: p.project_l1_ball(x, 1.0), [0.0, 0.3]),
        (lambda x: p.project_l2_ball(x, 1.0), [0.0, 0.3]),
        (lambda x: p.project_box(x, 0.0, 1.0), [0.0, 1.0]),
        (lambda x: p.soft_threshold(x, 0.0), [0.0, 0.3]),
        (lambda x: p.project_sparse(x, 2), [0.0, 0.0]),
    ):
        np.testing.assert_array_equal(jax.jit(jax.jacobian(project))(jnp.array(at)), np.eye(2))


@pytest.mark.parametrize("size", [1e-25, 1.0, 1e25])
def test_gradients_outside_have_the_same_size_at_every_scale(size):
    """∂P/∂v of a homogeneous projection does not depend on the unit, nor does ∂P/∂r."""
    v, weights = np.array([3.0, -4.0, 0.5]), np.array([1.0, -2.0, 0.5])
    norm = np.sqrt(np.sum(v**2))
    unit = v / norm
    expected = {
        p.project_l2_ball: (2 / norm * (weights - unit * (unit @ weights)), unit @ weights),
        p.project_l1_ball: ([-0.5, -0.5, 0], 1.5),  # 3 and −4 share what is left, 0.5 is 0
        p.project_simplex: ([0.25, 0, -0.25], 0.75),  # of total 6: 3 and 0.5 are positive
    }
    for project, (by_entry, by_radius) in expected.items():
        radius = 6.0 if project is p.project_simplex else 2.0
        by = jax.grad(lambda x, r, f=project: jnp.vdot(jnp.asarray(weights, x.dtype), f(x, r)), (0, 1))
        found = by(jnp.asarray(v * size, jnp.float32), np.float32(radius * size))
        np.testing.assert_allclose(found[0], by_entry, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[1], by_radius, rtol=1e-5)


def test_orders_need_real_numbers():
    for project in (p.project_simplex, lambda x: p.project_box(x, 0.0, 1.0)):
        with pytest.raises(TypeError, match=r"tree\) holds complex numbers \(\['a'\]\)"):
            project({"a": jnp.array([1j])})
