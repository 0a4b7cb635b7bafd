"""Penalties: goldens of the notes, cost and gradient that belong together, what is penalised."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.linear_model

from jaxopt_notes.penalties import PENALTIES, elastic_net, l1, l1_norm, l2, l2_norm
from tests.compiled import compiled, grad, value_and_grad

l1_norm = compiled(l1_norm)
l2_norm = compiled(l2_norm)

PARAMS = {
    "dense": {"kernel": jnp.array([[1.0, -2.0], [0.0, 4.0]]), "bias": jnp.array([3.0, -5.0])},
    "norm": {"scale": jnp.ones((1, 2)), "bias": jnp.ones(2)},
}
W = np.array([1.0, -2.0, 0.0, 4.0])


@pytest.mark.parametrize(
    ("penalty", "cost", "slope"),
    [
        (l2(0.5), 0.25 * 21, 0.5 * W),
        (l1(0.5), 0.5 * 7, 0.5 * np.sign(W)),
        (elastic_net(0.5, l1_ratio=0.25), 0.125 * 7 + 0.1875 * 21, 0.125 * np.sign(W) + 0.375 * W),
    ],
)
def test_cost_and_gradient_of_weights_only(penalty, cost, slope):
    value, gradient = value_and_grad(penalty)(PARAMS)
    np.testing.assert_allclose(value, cost, rtol=1e-6)
    np.testing.assert_allclose(gradient["dense"]["kernel"].reshape(-1), slope, rtol=1e-6)
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradient["norm"]))
    assert not gradient["dense"]["bias"].any()


@pytest.mark.notes("S4-28")
def test_norms_of_the_notes():
    x = jnp.array([1.0, -2.0, 0.0, -4.0])
    assert l1_norm(x) == 7.0
    assert float(l2_norm(x)) == pytest.approx(4.5826, abs=5e-5)


@pytest.mark.notes("S4-29")
def test_l1_leaves_a_zero_weight_where_it_is():
    assert grad(l1(0.3, mask=None))(jnp.array([2.0, 0.0, -0.0])).tolist() == [jnp.float32(0.3), 0.0, 0.0]


@pytest.mark.notes("S4-32")
def test_l2_norm_has_a_gradient_at_zero():
    assert grad(l2_norm)({"w": jnp.zeros(3)})["w"].tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(grad(l2_norm)(jnp.array([3.0, -4.0])), [0.6, -0.8], rtol=1e-6)


@pytest.mark.notes("S0-16", "S4-33")
@pytest.mark.usefixtures("x64")
def test_one_step_by_hand():
    """w = 1, ∇ = ½, η = λ = 0.1: (1 − ηλ)·1 − η·½ = 0.94."""
    w, rate, strength = 1.0, 0.1, 0.1
    slope = grad(lambda w: 0.5 * w + l2(strength, mask=None)(w))(w)
    np.testing.assert_allclose(w - rate * slope, 0.94, rtol=1e-14)
    np.testing.assert_allclose(w - rate * slope, (1 - rate * strength) * w - rate * 0.5, rtol=1e-14)


@pytest.mark.notes("S2-68", "S2-69")
@pytest.mark.usefixtures("x64")
def test_the_conventions_of_the_notes():
    """The gradients λw/m and λ·sign(w)/m belong to the costs (λ/2m)‖w‖² and (λ/m)‖w‖₁; λ‖w‖² has 2λw."""
    w, strength, m = jnp.asarray(W), 0.3, 8
    half, whole = l2(strength / m, mask=None), l2(2 * strength, mask=None)
    np.testing.assert_allclose(half(w), strength / (2 * m) * np.sum(W**2), rtol=1e-14)
    np.testing.assert_allclose(grad(half)(w), strength * W / m, rtol=1e-14)
    lasso = l1(strength / m, mask=None)
    np.testing.assert_allclose(lasso(w), strength / m * np.sum(np.abs(W)), rtol=1e-14)
    np.testing.assert_allclose(grad(lasso)(w), strength * np.sign(W) / m, rtol=1e-14)
    np.testing.assert_allclose(whole(w), strength * np.sum(W**2), rtol=1e-14)
    np.testing.assert_allclose(grad(whole)(w), 2 * strength * W, rtol=1e-14)


@pytest.mark.notes("S3-13")
@pytest.mark.usefixtures("x64")
def test_l2_raises_the_smallest_curvature_by_lambda():
    matrix = jnp.asarray(np.diag([0.0, 1.0, 3.0]))
    penalty = l2(0.25, mask=None)
    hessian = jax.jit(jax.hessian(lambda w: 0.5 * w @ matrix @ w + penalty(w)))(jnp.ones(3))
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), [0.25, 1.25, 3.25], rtol=1e-13)


@pytest.mark.notes("S3-13")
@pytest.mark.usefixtures("x64")
def test_l2_makes_the_convergence_of_gradient_descent_linear():
    """On the convex w⁴ alone the error's ratio tends to 1; with λ it tends to 1 − ηλ."""

    def ratio(strength):
        slope = grad(lambda w: w**4 / 4 + l2(strength, mask=None)(w))
        _, path = jax.lax.scan(lambda w, _: (w - 0.1 * slope(w), w), jnp.float64(1.0), length=500)
        return float(path[-1] / path[-2])

    assert 0.998 < ratio(0.0) < 1
    assert ratio(0.5) == pytest.approx(1 - 0.1 * 0.5, abs=1e-9)


@pytest.mark.usefixtures("x64")
def test_elastic_net_vanishes_where_scikit_learn_says():
    """At scikit-learn's solution the gradient is 0 for kept weights, within the jump for dropped ones."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(40, 5)), rng.normal(size=40)
    y = x @ np.array([2.0, -1.0, 0.0, 0.0, 0.5]) + 0.1 * noise
    model = sklearn.linear_model.ElasticNet(alpha=0.3, l1_ratio=0.7, fit_intercept=False, tol=1e-12)
    w = jnp.asarray(model.fit(x, y).coef_)
    penalty = elastic_net(0.3, l1_ratio=0.7, mask=None)
    slope = grad(lambda w: 0.5 * jnp.mean((x @ w - y) ** 2) + penalty(w))(w)
    kept = np.asarray(w) != 0
    assert 0 < kept.sum() < 5
    np.testing.assert_allclose(slope[kept], 0, atol=1e-8)
    assert bool(jnp.all(jnp.abs(slope[~kept]) <= 0.3 * 0.7))


@pytest.mark.parametrize("name", PENALTIES)
def test_strengths_are_leaves(name):
    strengths, traces = jnp.array([0.0, 0.1, 2.0]), []

    @jax.jit
    def cost(penalty):
        traces.append(None)
        return penalty(PARAMS)

    alone = jnp.stack([cost(PENALTIES[name](s)) for s in strengths])
    assert len(traces) == 1
    np.testing.assert_allclose(jax.vmap(lambda s: cost(PENALTIES[name](s)))(strengths), alone, rtol=1e-6)
    assert alone[0] == 0
    slope = grad(lambda s: PENALTIES[name](s)(PARAMS))(0.0)
    np.testing.assert_allclose(slope, (alone[2] - alone[0]) / 2, rtol=1e-6)


@pytest.mark.parametrize("name", PENALTIES)
def test_odd_trees(name):
    penalty = compiled(PENALTIES[name](1.0, mask=None))
    assert penalty({}) == 0
    odd = {"none": None, "steps": jnp.array([3, 4]), "empty": jnp.zeros((0, 2)), "w": jnp.array([2.0])}
    assert penalty(odd) == penalty(jnp.array([2.0]))
    chosen = compiled(PENALTIES[name](1.0, mask={"a": True, "b": False}))
    assert chosen({"a": jnp.array(2.0), "b": jnp.array(9.0)}) == penalty(jnp.array([2.0]))


@pytest.mark.parametrize("name", PENALTIES)
def test_half_precision_is_summed_in_single(name):
    """The sum of 4,096 squares or magnitudes of 8 exceeds bfloat16's digits and float16's range."""
    single, penalty = np.full(4096, 8, np.float32), PENALTIES[name](1.0, mask=None)
    expected, *costs = jax.jit(lambda *arrays: [penalty(a) for a in arrays])(
        single, single.astype(jnp.float16), single.astype(jnp.bfloat16)
    )
    for cost in costs:
        assert cost.dtype == jnp.float32
        assert cost.item() == expected.item()


def test_complex_weights_count_by_their_size():
    w = jnp.array([3.0 + 4.0j, 0.0])
    assert l1_norm(w) == 5.0
    assert l2(2.0, mask=None)(w) == 25.0
    for penalty in (l1(1.0, mask=None), l2(1.0, mask=None)):
        assert bool(jnp.all(jnp.isfinite(grad(penalty)(w))))
    # Against the gradient (JAX's is conjugated) the penalty falls.
    slope = jnp.conj(grad(l1(1.0, mask=None))(w))
    np.testing.assert_allclose(slope, [0.6 + 0.8j, 0.0], rtol=1e-6)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_negative_strength_is_named(name):
    with pytest.raises(ValueError, match=rf"{name}\(strength\) is -1, .* 0 switches the penalty off"):
        PENALTIES[name](-1.0)


@pytest.mark.parametrize("name", PENALTIES)
def test_squares_that_half_precision_cannot_hold(name):
    """300² is infinite in float16."""
    penalty = PENALTIES[name](1.0, mask=None)
    half, single = jax.jit(lambda *arrays: [penalty(a) for a in arrays])(np.float16([300]), np.float32([300]))
    assert half.item() == single.item()


def test_both_parts_of_elastic_net_have_its_mask():
    params = {"w": jnp.array([3.0]), "b": jnp.array([5.0])}
    penalty = elastic_net(1.0, l1_ratio=0.25, mask={"w": True, "b": False})
    np.testing.assert_allclose(penalty(params), 0.25 * 3 + 0.75 * 9 / 2, rtol=1e-6)
