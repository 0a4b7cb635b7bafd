"""The learning-rate range test against its formula, on a problem whose limits are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.plots import plot_lr_range

X = jnp.asarray(np.random.default_rng(0).choice([-1.0, 1.0], (64, 1)), jnp.float32)
DATA = (X, 3 * X)  # ½·(w − 3)²·2 in every batch: curvature 2, so rates above 1 diverge


def build(rate):
    layer = jn.dense(1, use_bias=False, kernel_init=jn.initializers.zeros())
    return jn.Trainer(layer, jn.sgd(rate), jn.mean_squared_error, metric=None, batch_size=8)


@pytest.fixture(scope="module")
def found():
    return jn.lr_range_test(build, DATA, 1e-3, 10.0, steps=60, seeds=2, key=jax.random.key(0))


def test_losses_are_those_of_the_rising_rate(found):
    np.testing.assert_allclose(found.rates, 1e-3 * 1e4 ** (np.arange(60) / 59), rtol=1e-12)
    w, losses = 0.0, []
    for rate in found.rates:
        losses.append((w - 3) ** 2)
        w -= rate * 2 * (w - 3)
    np.testing.assert_allclose(found.losses[:, :45], np.tile(losses[:45], (2, 1)), rtol=1e-3, atol=1e-9)
    mean, smoothed = 0.0, []
    for t, loss in enumerate(losses, 1):
        mean = 0.95 * mean + 0.05 * loss
        smoothed.append(mean / (1 - 0.95**t))
    np.testing.assert_allclose(found.smoothed[0, :45], smoothed[:45], rtol=1e-3)
    assert 0.01 < found.suggested < 1


def test_the_largest_rate_is_where_the_loss_rises():
    """Noise keeps the loss above 0, and beyond 2/curvature = 1 it grows."""
    noise = jnp.asarray(np.random.default_rng(1).choice([-1.0, 1.0], (64, 1)), jnp.float32)
    found = jn.lr_range_test(build, (X, 3 * X + noise), 1e-3, 100.0, key=jax.random.key(0))
    assert found.losses.shape == (4, 200)
    assert 0.01 < found.suggested < 1 < found.largest < 30


def test_the_picture_marks_the_suggested_rate(found):
    (axis,) = plot_lr_range(found).axes
    star = axis.lines[-1]
    assert star.get_xdata() == [found.suggested]
    assert axis.get_xscale() == "log"


def test_what_is_no_range_is_refused():
    for options, error in [
        ({"high": 1e-7}, r"lr_range_test\(high\) is 1e-07, expected more than low"),
        ({"steps": 2}, r"lr_range_test\(steps\) is 2"),
        ({"smoothing": 1.0}, r"lr_range_test\(smoothing\) is 1"),
        ({"factor": 1.0}, r"lr_range_test\(factor\) is 1"),
    ]:
        with pytest.raises(ValueError, match=error):
            jn.lr_range_test(build, DATA, key=jax.random.key(0), **options)
    with pytest.raises(ValueError, match="not finite at the rate 1e-06"):
        jn.lr_range_test(build, (X * jnp.nan, X), steps=3, key=jax.random.key(0))
    for options, error in [
        ({"build": 3}, r"lr_range_test\(build\) is 3, expected a function"),
        ({"build": lambda rate: None}, r"what lr_range_test\(build\) returns is None, expected a Trainer"),
        ({"key": 0}, r"lr_range_test\(key\) is 0, expected a typed key"),
        ({"data": X}, r"lr_range_test\(data\) is a .*, expected \(x, y\)"),
    ]:
        with pytest.raises(TypeError, match=error):
            jn.lr_range_test(**{"build": build, "data": DATA, "key": jax.random.key(0)} | options)
    with pytest.raises(TypeError, match=r"lr_range_test\(build\) needs the value of the rate"):
        jn.lr_range_test(lambda rate: build(float(rate)), DATA, steps=3, key=jax.random.key(0))
