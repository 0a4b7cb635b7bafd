"""Batch normalization: its statistics, its gradient in closed form, its invariances, its folding."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.initializers import zeros
from jaxopt_notes.layers import batch_norm, conv, dense, fold_batch_norm, mlp, moments, serial
from tests.compiled import apply, compiled, grad, init


def run(layer, x, params=None, state=None, train=True):
    fresh = init(layer, jax.random.key(0), x)
    return apply(layer, params or fresh[0], state or fresh[1], x, train=train)


@pytest.mark.notes("S3-49", "S4-59", "S1-38")
@pytest.mark.parametrize("shape", [(64, 5), (8, 4, 4, 5)])
def test_output_has_mean_0_and_variance_1(shape, x64):
    """Over N for dense layers, over N, H, W for convolutions."""
    x = np.random.default_rng(0).normal(3, 2, shape)
    y, _ = run(batch_norm(eps=1e-12), jnp.asarray(x))
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(np.mean(y, axes), 0, atol=1e-12)
    np.testing.assert_allclose(np.var(y, axes), 1, rtol=1e-10)


@pytest.mark.notes("S3-49", "S4-59")
def test_formula(x64):
    rng = np.random.default_rng(0)
    x, scale, bias = rng.normal(size=(16, 3)), rng.normal(size=3), rng.normal(size=3)
    y, _ = run(batch_norm(eps=0.1), jnp.asarray(x), {"scale": jnp.asarray(scale), "bias": jnp.asarray(bias)})
    want = scale * (x - x.mean(0)) / np.sqrt(x.var(0) + 0.1) + bias
    np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-13)


@pytest.mark.notes("S4-59", "X-05")
def test_backward_is_the_closed_form_and_finite_differences(x64):
    """ai-edu eq. 11–21: δx = γ/√(σ² + ε)·(δ − mean(δ) − x̂·mean(δ·x̂)), δγ = Σδ·x̂, δβ = Σδ."""
    rng = np.random.default_rng(0)
    x, delta = rng.normal(size=(16, 3)), rng.normal(size=(16, 3))
    params = {"scale": rng.normal(size=3), "bias": rng.normal(size=3)}
    layer = batch_norm(eps=1e-5)

    def loss(x, params):
        return jnp.sum(jnp.asarray(delta) * run(layer, x, params)[0])

    dx, dparams = grad(loss, (0, 1))(jnp.asarray(x), jax.tree.map(jnp.asarray, params))
    inverse = 1 / np.sqrt(x.var(0) + 1e-5)
    hat = (x - x.mean(0)) * inverse
    want = params["scale"] * inverse * (delta - delta.mean(0) - hat * (delta * hat).mean(0))
    np.testing.assert_allclose(dx, want, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(dparams["scale"], (delta * hat).sum(0), rtol=1e-10)
    np.testing.assert_allclose(dparams["bias"], delta.sum(0), rtol=1e-12)
    step = np.zeros_like(x)
    step[3, 1] = 1e-5
    difference = (loss(jnp.asarray(x + step), params) - loss(jnp.asarray(x - step), params)) / 2e-5
    np.testing.assert_allclose(dx[3, 1], difference, rtol=1e-6)


@pytest.mark.notes("S4-59")
def test_scale_invariance(x64):
    """BN(a·W·x) = BN(W·x), so the gradient with respect to W shrinks by a."""
    rng = np.random.default_rng(0)
    x, kernel, weights = (jnp.asarray(rng.normal(size=shape)) for shape in ((32, 4), (4, 3), (32, 3)))
    layer = batch_norm(eps=1e-14)

    def loss(kernel):
        return jnp.sum(weights * run(layer, x @ kernel)[0])

    np.testing.assert_allclose(run(layer, x @ (7 * kernel))[0], run(layer, x @ kernel)[0], rtol=1e-9)
    np.testing.assert_allclose(7 * grad(loss)(7 * kernel), grad(loss)(kernel), rtol=1e-6, atol=1e-9)


@pytest.mark.notes("S1-33", "S1-37")
def test_bias_before_it_is_redundant_in_training(key):
    x = jax.random.normal(key, (32, 4))
    model = serial(dense(8), batch_norm(), jnp.tanh)
    params, state = init(model, key, x)
    shifted = {**params, "layers_0": {**params["layers_0"], "bias": jnp.linspace(-3, 3, 8)}}
    y, z = (apply(model, p, state, x, train=True)[0] for p in (params, shifted))
    np.testing.assert_allclose(y, z, atol=2e-6)
    evaluated = apply(model, shifted, state, x)[0] - apply(model, params, state, x)[0]
    assert jnp.abs(evaluated).max() > 0.1


@pytest.mark.notes("S1-33")
def test_before_and_after_the_activation(key):
    """After a ReLU the output is centred; before it, the output is not negative."""
    x = jax.random.normal(key, (64, 4))
    outputs = {}
    for place in ("before", "after"):
        model = mlp([8, 1], batch_norm=place)
        model = dataclasses.replace(model, layers=model.layers[:-1])
        params, state = init(model, key, x)
        outputs[place] = np.asarray(apply(model, params, state, x, train=True)[0])
        assert ("bias" in params["layers_0"]) == (place == "after")
    assert outputs["before"].min() == 0
    np.testing.assert_allclose(outputs["after"].mean(0), 0, atol=1e-6)


@pytest.mark.notes("S4-60", "S4-70")
def test_one_sample_gives_the_bias(key):
    """m = 1: the output is β whatever comes in, no gradient reaches the input, and nothing is NaN."""
    x = jnp.array([[5.0, -1e4]])
    params = {"scale": jnp.array([2.0, 3.0]), "bias": jnp.array([0.5, -0.5])}
    y, state = run(batch_norm(), x, params)
    np.testing.assert_array_equal(y, [[0.5, -0.5]])
    np.testing.assert_array_equal(grad(lambda x: run(batch_norm(), x, params)[0].sum())(x), [[0.0, 0.0]])
    np.testing.assert_array_equal(state["var"], [1.0, 1.0])  # one value has no unbiased variance
    np.testing.assert_allclose(run(batch_norm(unbiased=False), x, params)[1]["var"], [0.9, 0.9], rtol=1e-6)


@pytest.mark.notes("S4-60", "S4-70")
def test_error_of_the_batch_mean_falls_as_one_over_root_m():
    """The mean that 400 batches of m standard normal numbers leave with momentum 0 has σ = 1/√m."""
    layer = batch_norm(momentum=0.0)
    rng = np.random.default_rng(0)
    for m in (4, 64):
        x = jnp.asarray(rng.normal(size=(m, 400)), jnp.float32)
        error = np.asarray(run(layer, x)[1]["mean"]).std() * np.sqrt(m)
        assert abs(error - 1) < 4 / np.sqrt(2 * 400)


@pytest.mark.notes("S4-61", "S1-38")
@pytest.mark.parametrize("unbiased", [True, False])
def test_running_statistics_in_closed_form(unbiased, x64):
    """n equal batches: running = 0.9ⁿ·start + (1 − 0.9ⁿ)·batch; hence the population's after many."""
    x = np.random.default_rng(0).normal(2, 3, (10, 4))
    layer, state = batch_norm(unbiased=unbiased), None
    for n in range(1, 201):
        state = run(layer, jnp.asarray(x), state=state)[1]
        if n in (1, 7, 200):
            kept = 0.9**n
            np.testing.assert_allclose(state["mean"], (1 - kept) * x.mean(0), rtol=1e-12)
            np.testing.assert_allclose(
                state["var"], kept + (1 - kept) * x.var(0, ddof=int(unbiased)), rtol=1e-12
            )
    np.testing.assert_allclose(state["mean"], x.mean(0), rtol=1e-8)


@pytest.mark.notes("S1-38", "S4-61")
def test_evaluation_uses_the_running_statistics_and_keeps_them(x64):
    x = np.random.default_rng(0).normal(size=(4, 2))
    state = {"mean": jnp.array([1.0, -1.0]), "var": jnp.array([4.0, 0.25])}
    layer = batch_norm(eps=1e-12)
    y, _ = run(layer, jnp.asarray(x), state=state, train=False)
    np.testing.assert_allclose(y, (x - [1, -1]) / [2, 0.5], rtol=1e-10)
    assert layer.apply(layer.init(None, x)[0], state, jnp.asarray(x))[1] is state


@pytest.mark.notes("S1-73")
def test_batch_mates_matter_in_training_only(key):
    x = jax.random.normal(key, (8, 3))
    other = x.at[1:].multiply(2.0)
    changed = {
        t: run(batch_norm(), x, train=t)[0][0] - run(batch_norm(), other, train=t)[0][0]
        for t in (True, False)
    }
    assert jnp.abs(changed[True]).min() > 1e-3
    np.testing.assert_array_equal(changed[False], np.zeros(3))


@pytest.mark.notes("S4-61")
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(("make", "shape"), [(dense, (6, 5)), (conv, (2, 6, 6, 3))])
def test_folded_layer_is_evaluation(make, shape, use_bias, x64):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=shape))
    first, norm = make(4, use_bias=use_bias), batch_norm()
    model = serial(first, norm)
    params, state = init(model, jax.random.key(0), x)
    for tree in (params, state):  # anything but the starting values
        tree["layers_1"] = {name: jnp.asarray(rng.uniform(0.5, 2, 4)) for name in tree["layers_1"]}
    if use_bias:
        params["layers_0"]["bias"] = jnp.asarray(rng.normal(size=4))
    folded = compiled(norm.fold)(params["layers_1"], state["layers_1"], params["layers_0"])
    assert set(folded) == {"kernel", "bias"}
    want = apply(model, params, state, x)[0]
    np.testing.assert_allclose(apply(make(4), folded, (), x)[0], want, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_low_precision_has_float32_statistics(dtype):
    """Mean 300 and variance about 90,000: the squares overflow float16, and bfloat16 cannot sum them."""
    x = jnp.asarray(np.random.default_rng(0).normal(300, 300, (512, 2)), dtype)
    y, state = run(batch_norm(), x)
    exact = np.asarray(x.astype(jnp.float32), np.float64)
    assert (y.dtype, state["mean"].dtype, state["var"].dtype) == (dtype, jnp.float32, jnp.float32)
    np.testing.assert_allclose(state["mean"], 0.1 * exact.mean(0), rtol=1e-5)
    np.testing.assert_allclose(state["var"], 0.9 + 0.1 * exact.var(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(
        y.astype(jnp.float32), (exact - exact.mean(0)) / exact.std(0), rtol=0.01, atol=0.01
    )


def test_large_mean_keeps_its_variance():
    """E[x²] − E[x]² would be wrong here by 100% in float32."""
    x = jnp.array([[1e4 - 1.0], [1e4 + 1.0]])
    np.testing.assert_allclose(run(batch_norm(), x)[0], [[-1.0], [1.0]], rtol=1e-4)


def test_momentum_is_a_leaf():
    x = jnp.array([[1.0], [3.0]])
    means = jax.vmap(lambda momentum: run(batch_norm(momentum), x)[1]["mean"])(jnp.array([0.0, 0.9, 1.0]))
    np.testing.assert_allclose(means[:, 0], [2.0, 0.2, 0.0], rtol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match=r"batch_norm\(momentum\) is 2"):
        batch_norm(2.0)
    with pytest.raises(ValueError, match=r"batch_norm\(eps\) is 0"):
        batch_norm(eps=0.0)


@pytest.mark.notes("S4-61")
@pytest.mark.parametrize("shape", [(6, 2), (3, 2, 4, 2), (1, 3, 3, 2)])
def test_the_running_variance_counts_batch_and_pixels(shape, x64):
    """With momentum 0 it is that of the batch, divided by B·H·W − 1."""
    x = np.random.default_rng(0).normal(size=shape)
    layer = batch_norm(momentum=0.0)
    params, state = init(layer, None, jnp.asarray(x))
    _, state = apply(layer, params, state, jnp.asarray(x), train=True)
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(state["mean"], x.mean(axis=axes), rtol=1e-12)
    np.testing.assert_allclose(state["var"], x.var(axis=axes, ddof=1), rtol=1e-12)


def test_a_single_value_says_nothing_of_the_variance():
    layer = batch_norm(momentum=0.5)
    x = jnp.array([[4.0, -2.0]])
    params, state = init(layer, None, x)
    _, state = apply(layer, params, state, x, train=True)
    np.testing.assert_allclose(state["mean"], [2, -1])
    np.testing.assert_array_equal(state["var"], [1, 1])
    _, state = apply(batch_norm(momentum=0.5, unbiased=False), params, state, x, train=True)
    np.testing.assert_array_equal(state["var"], [0.5, 0.5])


@pytest.mark.notes("S4-61")
def test_folding_without_scale_and_bias_at_another_eps(x64):
    kernel, mean, var = jnp.array([[2.0, 3.0]]), jnp.array([1.0, -1.0]), jnp.array([3.75, 0.75])
    folded = fold_batch_norm({"kernel": kernel}, {}, {"mean": mean, "var": var}, 0.25)
    np.testing.assert_allclose(folded["kernel"], [[1, 3]], rtol=1e-12)
    np.testing.assert_allclose(folded["bias"], [-0.5, 1], rtol=1e-12)


def test_features_on_other_axes(x64):
    """On the first axis after the batch; and on two, which each have statistics of their own."""
    x = np.random.default_rng(0).normal(size=(5, 3, 4, 2))
    for axis, over in ((1, (0, 2, 3)), ((-1, -3), (0, 2))):
        layer = batch_norm(momentum=0.0, axis=axis)
        params, state = init(layer, None, jnp.asarray(x))
        shape = np.squeeze(x.mean(over)).shape
        scale = np.random.default_rng(1).normal(size=shape)
        y, state = apply(layer, {**params, "scale": jnp.asarray(scale)}, state, jnp.asarray(x), train=True)
        wide = np.expand_dims(scale, over)
        hat = (x - x.mean(over, keepdims=True)) / np.sqrt(x.var(over, keepdims=True) + 1e-5)
        np.testing.assert_allclose(y, wide * hat, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(state["mean"], x.mean(over), rtol=1e-10)
        np.testing.assert_allclose(state["var"], x.var(over, ddof=1), rtol=1e-10)
        evaluated, _ = apply(layer, params, state, jnp.asarray(x))
        running = np.expand_dims(x.var(over, ddof=1), over)
        np.testing.assert_allclose(
            evaluated, (x - x.mean(over, keepdims=True)) / np.sqrt(running + 1e-5), rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("masked", [False, True])
def test_synchronized_over_a_named_axis_is_one_large_batch(masked, x64):
    """Values, gradients and statistics of two halves, which may be filled up to one length."""
    x = np.random.default_rng(0).normal(size=(2, 4, 3)) * [[[1.0]], [[3.0]]] + [[[0.0]], [[2.0]]]
    mask = np.array([[1, 1, 1, 1], [1, 0, 1, 0]], bool) if masked else np.ones((2, 4), bool)
    params = {"scale": jnp.array([1.0, 2.0, 3.0]), "bias": jnp.zeros(3)}

    def loss(layer, x, count):
        layer = dataclasses.replace(layer, mask=count if masked else None)
        y, state = apply(layer, params, init(layer, None, x)[1], x, train=True)
        return jnp.sum(jnp.where(count[:, None], jnp.sin(y), 0.0)), (y, state)

    halves = jax.jit(jax.vmap(grad(loss, 1, has_aux=True), (None, 0, 0), axis_name="devices"))
    dx, (y, state) = jax.device_get(halves(batch_norm(axis_name="devices"), x, mask))
    flat = jnp.asarray(x[mask])
    want_dx, (want_y, want) = grad(loss, 1, has_aux=True)(
        dataclasses.replace(batch_norm(), mask=None), flat, jnp.ones(len(flat), bool)
    )
    np.testing.assert_allclose(y[mask], want_y, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dx[mask], want_dx, rtol=1e-9, atol=1e-12)
    for name in ("mean", "var"):
        np.testing.assert_allclose(state[name], [want[name]] * 2, rtol=1e-12)


def test_starting_values_and_a_branch_that_starts_as_zero(key):
    """Zero-γ: what a residual branch ends with adds nothing at first, and still receives a gradient."""
    x = jax.random.normal(key, (6, 3))
    layer = batch_norm(scale_init=zeros())
    params, state = init(layer, key, x)
    np.testing.assert_array_equal(apply(layer, params, state, x, train=True)[0], jnp.zeros((6, 3)))
    gradient = grad(lambda p: jnp.sum(x * apply(layer, p, state, x, train=True)[0]))(params)["scale"]
    assert (jnp.abs(gradient) > 0.1).all()
    assert set(init(batch_norm(use_scale=False), key, x)[0]) == {"bias"}


def test_axes_that_cannot_be_are_refused():
    for axis in (0, (), (1, -1), (1, 1), 1.5):
        with pytest.raises(ValueError, match=r"batch_norm\(axis\) is"):
            batch_norm(axis=axis)
    layer = batch_norm()
    params, state = init(layer, None, jnp.ones((2, 3)))
    with pytest.raises(
        ValueError, match=r"has shape \(2, 1\), its mean was made for \(3,\) features on axis -1"
    ):
        apply(layer, params, state, jnp.ones((2, 1)))


def test_second_derivatives_of_the_variance(x64):
    """2(I − 11ᵀ/m)/m, the centring matrix: the mean moves with every value."""
    values = np.array([0.3, -1.0, 2.0])
    hessian = jax.jit(jax.hessian(lambda x: moments(x, (0,))[1][0]))(values)
    np.testing.assert_allclose(hessian, 2 / 3 * (np.eye(3) - 1 / 3), atol=1e-12)
