"""MAE and RMSE against scikit-learn, whatever the unit, and what has no weight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as sk

from jaxopt_notes.metrics import mae, rmse
from tests.compiled import compiled, value_and_grad

mae = compiled(mae)
rmse = compiled(rmse)


@jax.jit
def both(o, y, w):
    return mae(o, y, w), rmse(o, y, w)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_errors_as_in_scikit_learn(dtype):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(20, 3)).astype(dtype) * [1, 10, 0.01]
    o, w = y + rng.normal(size=(20, 3)) * [1, 3, 0.001], rng.uniform(size=20)
    w[::4] = 0
    scores = [sk.mean_absolute_error, sk.root_mean_squared_error]
    expected = np.array([score(y, o, sample_weight=w) for score in scores])
    o[::4] = np.nan
    with jax.enable_x64(dtype == "float64"):
        for unit in (1.0, 2.0**-100, 2.0**100):  # float32 holds neither square
            got = both(*(jnp.asarray(x, dtype) for x in (o * unit, y * unit, w)))
            assert got[0].dtype == got[1].dtype == dtype
            tolerance = 1e-6 if dtype == "float32" else 1e-12
            np.testing.assert_allclose(np.float64(got) / unit, expected, rtol=tolerance)


def test_errors_of_nothing_are_0_and_have_a_finite_gradient():
    same = jnp.ones(4)
    values, slopes = jax.jit(value_and_grad(lambda o: sum(both(o, same, None))))(same)
    assert values == 0
    assert np.isfinite(slopes).all()
    assert sum(both(jnp.zeros((0, 2)), jnp.zeros((0, 2)), None)) == 0
