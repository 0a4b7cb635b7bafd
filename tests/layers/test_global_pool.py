"""Global pooling: values, and who receives the gradient of a maximum."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import global_average_pool, global_max_pool
from tests.compiled import apply, grad


@pytest.mark.parametrize("size", [(5,), (3, 4), (2, 3, 2)])
def test_values(size):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    axes = tuple(range(1, len(size) + 1))
    np.testing.assert_allclose(apply(global_average_pool(), {}, (), x)[0], x.mean(axes), rtol=1e-5)
    np.testing.assert_array_equal(apply(global_max_pool(), {}, (), x)[0], x.max(axes))


def test_the_first_of_equal_largest_values_receives_the_gradient():
    x = jnp.array([[0.0, 2.0], [2.0, 1.0]]).reshape(1, 2, 2, 1)
    gradient = grad(lambda x: jnp.sum(apply(global_max_pool(), {}, (), x)[0]))(x)
    np.testing.assert_array_equal(gradient.ravel(), [0, 1, 0, 0])


def test_low_precision_and_nan():
    """400 ones: a bfloat16 sum stops growing at 256."""
    assert apply(global_average_pool(), {}, (), jnp.ones((1, 20, 20, 1), jnp.bfloat16))[0].item() == 1
    x = jnp.ones((1, 2, 2, 1)).at[0, 1, 0, 0].set(jnp.nan)
    assert jnp.isnan(apply(global_max_pool(), {}, (), x)[0]).all()


def test_errors():
    with pytest.raises(ValueError, match=r"global_max_pool\(x\) has shape \(2, 3\)"):
        apply(global_max_pool(), {}, (), jnp.ones((2, 3)))
