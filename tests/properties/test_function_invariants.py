"""Every loss, metric and activation × the invariants of a plain function of a batch.

Derivatives, `vmap` over their numbers and retracing are in `test_record_invariants.py`.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.properties.registry import examples, inputs, subjects


@pytest.mark.full
@pytest.mark.parametrize("subject", subjects("losses", "metrics"), ids=str)
def test_every_example_is_judged_alone(subject):
    function, (outputs, targets) = subject.build(), examples(subject)
    order = jnp.array([2, 0, 3, 1])

    @jax.jit
    def judged(outputs, targets):
        alone = jax.vmap(lambda output, target: function(output[None], target[None]))(outputs, targets)
        return function(outputs, targets), function(outputs[order], targets[order]), alone

    values, reordered, alone = judged(outputs, targets)
    if "weights" in inspect.signature(subject.factory).parameters and subject.family == "metrics":
        np.testing.assert_allclose(values, reordered, rtol=1e-6)  # of a whole data set
        assert values.shape == ((3, 3) if subject.name == "confusion_matrix" else ())
    else:
        np.testing.assert_allclose(values[order], reordered, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(values[:, None], alone, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("subject", subjects("losses", "activations"), ids=str)
def test_the_dtype_is_that_of_the_outputs(subject):
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            of_activation = subject.family == "activations"
            arguments = (inputs(subject, dtype),) if of_activation else examples(subject, dtype)
            values = jax.eval_shape(subject.build(), *arguments)
            assert (values.dtype, values.weak_type) == (jnp.dtype(dtype), False)
            if of_activation:
                assert values.shape == arguments[0].shape


@pytest.mark.parametrize("subject", subjects("activations"), ids=str)
def test_gradients_of_an_activation_are_finite_everywhere(subject):
    points, function = [[-6e4, -20.0, -1.0, 0.0, 1e-7, 1.0, 20.0, 6e4]], subject.build()
    xs = [jnp.array(points, dtype) for dtype in (jnp.float16, jnp.bfloat16, jnp.float32)]
    total = lambda xs: sum(jnp.sum(function(x), dtype=jnp.float32) for x in xs)  # noqa: E731
    assert all(jnp.isfinite(slopes).all() for slopes in jax.jit(jax.grad(total))(xs))
