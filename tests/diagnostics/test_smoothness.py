"""Along the gradient, over batches, between layers and against differences: where all is known by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.diagnostics import (
    distribution_shift,
    gradient_check,
    gradient_noise,
    internal_covariate_shift,
    landscape_smoothness,
    noise_scale_of_norms,
)

RNG = np.random.default_rng(0)


@pytest.mark.notes("S3-08", "S3-09", "S4-68")
def test_smoothness_of_quadratics_and_of_logistic_regression():
    """‖∇f(x) − ∇f(y)‖ ≤ L‖x − y‖ with L = λ_max; for the logistic loss λ_max(XᵀX)/(4n), met at w = 0."""
    curvatures = np.array([0.5, 2.0, 8.0], np.float32)
    x0, rates = np.array([1.0, -2.0, 0.3], np.float32), np.array([0.0, 0.1, 0.2, 0.4], np.float32)
    x = RNG.normal(size=(20, 3)).astype(np.float32)
    signs = np.sign(RNG.normal(size=20)).astype(np.float32)

    @jax.jit
    def measured(rates):
        quadratic = landscape_smoothness(
            lambda p, c: jnp.sum(c * p["x"] ** 2) / 2, {"x": x0}, rates, curvatures
        )
        logistic = landscape_smoothness(lambda w: jnp.mean(jnp.log1p(jnp.exp(-signs * (x @ w)))), x0, rates)
        nearby = landscape_smoothness(
            lambda w: jnp.mean(jnp.log1p(jnp.exp(-(x @ w)))), jnp.zeros(3), jnp.array([0.01])
        )
        return quadratic, quadratic.loss_range, logistic.effective_beta, nearby.effective_beta

    quadratic, (low, high), beta, nearby = jax.tree.map(np.asarray, measured(rates))
    g = curvatures * x0
    path = x0 - rates[:, None] * g
    np.testing.assert_allclose(quadratic.losses, (curvatures * path**2).sum(1) / 2, rtol=1e-5)
    np.testing.assert_allclose(quadratic.gradient_changes, rates * np.linalg.norm(curvatures * g), rtol=1e-4)
    np.testing.assert_allclose(
        quadratic.betas[1:], np.linalg.norm(curvatures * g) / np.linalg.norm(g), rtol=1e-4
    )
    assert quadratic.betas[0] == 0
    assert quadratic.effective_beta <= 8
    np.testing.assert_allclose([low, high], [quadratic.losses.min(), quadratic.losses.max()])
    limit = np.linalg.eigvalsh(x.T @ x)[-1] / 80
    assert 0 < beta < limit
    h = x.T @ x / 80
    g = x.mean(0)
    np.testing.assert_allclose(nearby, np.linalg.norm(h @ g) / np.linalg.norm(g), rtol=0.01)


@pytest.mark.notes("S3-26", "S1-61")
def test_the_variance_of_batches_is_that_of_all_of_them():
    """Every subset of the examples: tr Σ/m·(n − m)/(n − 1), and half of it for twice the batch."""
    x, y = RNG.normal(size=(7, 2)).astype(np.float32), RNG.normal(size=7).astype(np.float32)
    w = np.array([0.3, -1.0], np.float32)

    def loss(w, x, y):
        return jnp.mean((x @ w - y) ** 2)

    @jax.jit
    def measured(w):
        found = [gradient_noise(loss, w, x, y, chunk_size=size) for size in (3, 16)]
        return [(p.squared_norm, p.trace, p.noise_scale, *map(p.variance, (2, 3, 7))) for p in found]

    chunked, whole = np.asarray(measured(w))
    np.testing.assert_allclose(chunked, whole, rtol=1e-4, atol=1e-6)
    own = (2 * (x @ w - y)[:, None] * x).astype(float)
    mean = own.mean(0)
    np.testing.assert_allclose(whole[0], mean @ mean, rtol=1e-4)
    np.testing.assert_allclose(whole[1], ((own - mean) ** 2).sum() / 7, rtol=1e-4)
    np.testing.assert_allclose(whole[2], ((own - mean) ** 2).sum() / 7 / (mean @ mean), rtol=1e-4)
    for m, found in ((2, whole[3]), (3, whole[4]), (7, whole[5])):
        batches = [own[list(rows)].mean(0) for rows in itertools.combinations(range(7), m)]
        expected = np.mean([np.sum((b - mean) ** 2) for b in batches])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    # From norms of batches with replacement: E‖g_b‖² = ‖G‖² + tr Σ/b.
    sizes = [whole[0] + whole[1] / b for b in (2, 6)]
    estimate = noise_scale_of_norms(*sizes, 2, 6)
    np.testing.assert_allclose([estimate.squared_norm, estimate.trace], whole[:2], rtol=1e-4)
    np.testing.assert_allclose(estimate.variance(4, replacement=True), whole[1] / 4, rtol=1e-4)


@pytest.mark.notes("S1-31", "S4-64")
def test_shifts_of_features_and_of_gradients():
    """A planted shift is found; of a layer with frozen ones below there is none."""
    a = RNG.normal(size=(600, 3)).astype(np.float32)
    b = RNG.normal(size=(400, 3)).astype(np.float32) * np.float32([1, 1, 2]) + np.float32([0, 1, 0])
    shapes = {"layers_0": (2, 3), "layers_2": (3, 3), "layers_10": (3, 1)}
    before = {name: {"kernel": RNG.normal(size=s).astype(np.float32)} for name, s in shapes.items()}
    moved = {name: {"kernel": layer["kernel"] + np.float32(0.1)} for name, layer in before.items()}
    x, y = RNG.normal(size=(5, 2)).astype(np.float32), RNG.normal(size=(5, 1)).astype(np.float32)

    def forward(params, x):
        for name in shapes:
            x = x @ params[name]["kernel"]
        return x

    @jax.jit
    def measured(after):
        loss = lambda p: jnp.mean((forward(p, x) - y) ** 2)  # noqa: E731
        frozen = after | {name: before[name] for name in ("layers_0", "layers_2")}
        nets = [internal_covariate_shift(loss, before, p) for p in (after, frozen)]
        return distribution_shift(a, b), nets, distribution_shift(jnp.zeros((2, 1)), jnp.zeros((3, 1)))

    shift, (net, frozen), still = jax.tree.map(np.asarray, measured(moved))
    np.testing.assert_allclose(shift.mean, [0, 1, 0], atol=0.2)
    np.testing.assert_allclose(shift.std, [1, 1, 2], rtol=0.15)
    # Of N(0,1) and N(1,1): 2Φ(½) − 1; of N(0,1) and N(0,4): Φ(t) − Φ(t/2) at t = √(8·ln2/3).
    np.testing.assert_allclose(shift.ks, [0.04, 0.3829, 0.1615], atol=0.08)
    assert (still.mean[0], still.ks[0]) == (0, 0)
    w, v = ([params[name]["kernel"].astype(float) for name in shapes] for params in (before, moved))

    def slope(a, b, c):  # by the last layer and by the one in the middle
        hidden = x @ a
        residual = 2 * (hidden @ b @ c - y) / 5
        return hidden.T @ residual @ c.T, (hidden @ b).T @ residual

    middle, top = slope(*w)[0], slope(*w)[1]
    new_middle, new_top = slope(v[0], w[1], w[2])[0], slope(v[0], v[1], w[2])[1]
    for name, g, h in (("layers_2", middle, new_middle), ("layers_10", top, new_top)):
        np.testing.assert_allclose(net[name].distance, np.linalg.norm(g - h), rtol=1e-4)
        np.testing.assert_allclose(net[name].relative, np.linalg.norm(g - h) / np.linalg.norm(g), rtol=1e-4)
        cosine = np.sum(g * h) / np.linalg.norm(g) / np.linalg.norm(h)
        np.testing.assert_allclose(net[name].cosine, cosine, rtol=1e-4)
    assert net["layers_0"].distance == 0
    assert all(entry.distance == 0 and np.isclose(entry.cosine, 1) for entry in frozen.values())


@pytest.mark.notes("S1-01", "X-15")
def test_gradients_agree_with_differences_and_a_fault_is_named(x64, key):
    params = {"a": RNG.normal(size=(3, 2)), "b": RNG.normal(size=2) + 1j, "count": np.int32(2)}

    def loss(p, x):
        return jnp.sum(jnp.tanh(x @ p["a"]) ** 2) + jnp.sum(jnp.abs(p["b"] ** 2) ** 2)

    x = RNG.normal(size=(4, 3))
    moving = {"a": params["a"], "b": params["b"]}

    @jax.jit
    def checks(x):
        right = gradient_check(loss, params, key, x)
        grads = jax.grad(loss, holomorphic=False)(moving, x)
        conjugate = jax.tree.map(jnp.conj, grads)
        wrong = gradient_check(loss, moving, key, x, gradient={**conjugate, "a": 1.01 * grads["a"]})
        still = gradient_check(lambda p: 0.0 * jnp.sum(p["a"]), {"a": params["a"]}, key)
        return right, wrong, still.worst

    right, wrong, still = jax.tree.map(np.asarray, checks(x))
    assert sorted(right.errors) == ["a", "b"]
    assert right.worst < 1e-6
    assert 1e-3 < wrong.errors["a"] < 0.1
    assert wrong.errors["b"] < 1e-6  # JAX's gradient is the conjugate of the direction of ascent
    assert still == 0


def test_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match=r"gradient_noise\(\*data\) is empty"):
        gradient_noise(lambda p: 0.0, 1.0)
    with pytest.raises(ValueError, match=r"distribution_shift\(after\) has shape \(2, 3\)"):
        distribution_shift(jnp.ones((2, 2)), jnp.ones((2, 3)))
