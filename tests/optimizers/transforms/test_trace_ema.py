"""Sums and averages of past updates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import chain, sgd
from jaxopt_notes.optimizers.transforms.trace_ema import correct_bias, ema, trace
from tests.optimizers.runs import assert_follows


@pytest.mark.parametrize("decay", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("nesterov", [False, True])
def test_trace_in_closed_form(decay, nesterov, x64):
    """Σᵢ αᵗ⁻ⁱ·gᵢ, and with Nesterov α times that plus the newest once more."""

    def reference(theta, grads):
        for t in range(1, len(grads) + 1):
            total = np.tensordot(decay ** np.arange(t - 1, -1, -1.0), grads[:t], 1)
            theta = theta - 0.1 * (decay * total + grads[t - 1] if nesterov else total)
            yield theta

    assert_follows(chain(trace(decay, nesterov), sgd(0.1)), reference, rtol=1e-11)


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
@pytest.mark.parametrize("debias", [False, True])
def test_ema_in_closed_form(decay, debias, x64):
    """Σᵢ (1 − d)·dᵗ⁻ⁱ·gᵢ, over the sum of its weights."""

    def reference(theta, grads):
        for t in range(1, len(grads) + 1):
            weights = (1 - decay) * decay ** np.arange(t - 1, -1, -1.0)
            mean = np.tensordot(weights, grads[:t], 1)
            theta = theta - 0.1 * (mean / weights.sum() if debias else mean)
            yield theta

    assert_follows(chain(ema(decay, debias), sgd(0.1)), reference, rtol=1e-10)


def test_a_constant_comes_out_of_the_debiased_average_as_it_is():
    transform = ema(0.999)
    state = transform.init(jnp.zeros((), jnp.bfloat16))
    for _ in range(3):
        update, state = transform.update(jnp.array(3.0, jnp.bfloat16), state)
        assert float(update) == 3.0
    assert state.ema.dtype == jnp.float32


def test_decays_are_data():
    run = jax.vmap(lambda d: ema(d, debias=False).update(jnp.array(1.0), ema(d).init(jnp.zeros(())))[0])
    np.testing.assert_allclose(run(jnp.array([0.5, 0.9])), [0.5, 0.1], rtol=1e-6)


@pytest.mark.notes("S2-49")
def test_an_average_and_its_correction_make_the_corrected_average(x64):
    optimizer = chain(ema(0.8, debias=False), correct_bias(0.8), sgd(0.1))

    def reference(theta, grads):
        m = 0.0
        for t, g in enumerate(grads, start=1):
            m = 0.8 * m + 0.2 * g
            theta = theta - 0.1 * m / (1 - 0.8**t)
            yield theta

    assert_follows(optimizer, reference)
