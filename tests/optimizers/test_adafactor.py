"""Adafactor: the formula, which axes are factored, and when factoring changes nothing."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adafactor import adafactor
from tests.optimizers.runs import RATES, STEPS, falling_rate, follow


def rms(x):
    return np.sqrt(np.mean(x**2))


def reference(
    theta, grads, rates, *, axes=None, rate_decay=0.8, offset=0, clip=1.0, beta=None, decay=0.0,
    eps=1e-30, least=1e-3, relative=True, scaled=True,
):  # fmt: skip
    """`axes`: the one that row means are taken along, and that of column means."""
    v = 0.0 if axes is None else (0.0, 0.0)
    m = np.zeros_like(theta)
    for t, (g, eta) in enumerate(zip(grads, np.broadcast_to(rates, len(grads)), strict=True), 1):
        b = 1 - float(max(t - offset, 1)) ** -rate_decay
        square = g**2 + eps
        if axes is None:
            v = b * v + (1 - b) * square
            whole = v
        else:
            v = tuple(b * x + (1 - b) * square.mean(a, keepdims=True) for x, a in zip(v, axes, strict=True))
            whole = v[0] * v[1] / v[0].mean(axes[1], keepdims=True)
        u = g / np.sqrt(whole)
        u = u / max(1, rms(u) / clip)
        rho = min(eta, t**-0.5) if relative else eta
        step = rho * (max(least, rms(theta)) if scaled else 1) * u
        if beta is not None:
            step = m = beta * m + (1 - beta) * step
        theta = theta - step - eta * decay * theta
        yield theta


def problem(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape), rng.normal(size=(STEPS, *shape)) * rng.normal(size=shape)


def assert_follows(optimizer, shape, rates, **numbers):
    theta, grads = problem(shape)
    found, _ = follow(optimizer, theta, grads)
    np.testing.assert_allclose(found, np.stack(list(reference(theta, grads, rates, **numbers))), rtol=1e-11)


@pytest.mark.parametrize(("shape", "axes"), [((), None), ((3,), None), ((3, 2), (0, 1)), ((4, 2, 5), (2, 0))])
def test_golden_with_default_numbers(shape, axes, x64):
    """The largest axis and the second largest are factored, an axis between them is kept."""
    assert_follows(adafactor(min_dim_size_to_factor=2), shape, 0.01, axes=axes)


@pytest.mark.parametrize(("rate", "rates"), [(0.7, 0.7), (falling_rate, RATES)])
@pytest.mark.parametrize("axes", [None, (0, 1)])
@pytest.mark.parametrize("switch", [True, False])
def test_golden_with_all_arguments(rate, rates, axes, switch, x64):
    optimizer = adafactor(
        rate, 2, 0.6, 2, clipping_threshold=0.7, momentum=0.8, weight_decay=0.1, eps=1e-2, eps_scale=1.3,
        relative_step=switch, multiply_by_parameter_scale=switch, factored=axes is not None,
    )  # fmt: skip
    assert_follows(
        optimizer, (3, 2), rates, axes=axes, rate_decay=0.6, offset=2, clip=0.7, beta=0.8, decay=0.1,
        eps=1e-2, least=1.3, relative=switch, scaled=switch,
    )  # fmt: skip


def test_squares_of_rank_one_are_factored_exactly(x64):
    rng = np.random.default_rng(0)
    magnitude = np.outer(rng.uniform(1, 2, 4), rng.uniform(1, 2, 3))
    grads = magnitude * rng.choice([-1.0, 1.0], (STEPS, 4, 3))
    found, _ = follow(adafactor(0.1, 2), np.ones((4, 3)), grads)
    expected, _ = follow(adafactor(0.1, factored=False), np.ones((4, 3)), grads)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_step_is_a_share_of_the_size_of_the_weights(x64):
    """At most η·rms(θ) in root mean square, however large one gradient is among small ones."""
    theta, grads = problem((4, 3))
    grads[5] *= 1e6
    path, _ = follow(adafactor(0.1, 2), theta, grads)
    points = np.concatenate([theta[None], path])
    shares = [rms(b - a) / rms(a) for a, b in itertools.pairwise(points)]
    assert max(shares) == pytest.approx(0.1, rel=1e-9)


def test_the_state_of_a_matrix_is_a_row_and_a_column():
    params = {"large": jnp.zeros((256, 128)), "small": jnp.zeros((256, 127)), "bias": jnp.zeros(256)}
    state = adafactor().init(params)
    shapes = jax.tree.map(jnp.shape, (state.rows, state.columns))
    assert shapes[0] == {"large": (128,), "small": (256, 127), "bias": (256,)}
    assert shapes[1] == {"large": (256,), "small": (0,), "bias": (0,)}
    assert state.mu == ()


def test_gradients_of_zero_are_no_danger_without_eps():
    optimizer = adafactor(min_dim_size_to_factor=2, eps=0.0)
    grads = jnp.array([[0.0, 0.0], [0.0, 3.0]])
    for g in (jnp.zeros((2, 2)), grads):
        updates, _ = optimizer.update(g, optimizer.init(g), jnp.ones((2, 2)))
        assert jnp.isfinite(updates).all()
        np.testing.assert_array_equal(updates == 0, g == 0)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"adafactor\(clipping_threshold\) is 0, .*inf switches it off"):
        adafactor(clipping_threshold=0.0)
    with pytest.raises(TypeError, match=r"adafactor\(min_dim_size_to_factor\) is 2.5"):
        adafactor(min_dim_size_to_factor=2.5)
    with pytest.raises(ValueError, match="adafactor needs the parameters"):
        adafactor().update(jnp.ones(2), adafactor().init(jnp.ones(2)))
