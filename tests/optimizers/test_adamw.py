"""AdamW: decay that the moments never see, on the leaves that the mask selects."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.masks import where_path
from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.adamw import adamw
from jaxopt_notes.optimizers.core.chain import chain
from jaxopt_notes.optimizers.transforms.weight_decay import add_l2
from tests.optimizers.runs import (
    RATES,
    STEPS,
    assert_follows,
    falling_rate,
    follow,
    random_grads,
    random_params,
)


def reference(theta, grads, rates, decays):
    """Loshchilov & Hutter 2019, algorithm 2, the decay multiplied by the rate."""
    m = v = np.zeros_like(theta)
    rates, decays = (np.broadcast_to(values, len(grads)) for values in (rates, decays))
    for t, (g, eta, lam) in enumerate(zip(grads, rates, decays, strict=True), 1):
        m = 0.9 * m + 0.1 * g
        v = 0.99 * v + 0.01 * g**2
        adam_step = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.99**t)) + 1e-8)
        theta = theta - eta * (adam_step + lam * theta)
        yield theta


@pytest.mark.notes("S0-12", "S4-34")
@pytest.mark.parametrize(("rate", "rates"), [(0.07, 0.07), (falling_rate, RATES)])
@pytest.mark.parametrize(("decay", "decays"), [(0.3, 0.3), (falling_rate, RATES)])
def test_golden(decay, decays, rate, rates, x64):
    assert_follows(
        adamw(rate, b2=0.99, weight_decay=decay, mask=None),
        lambda p, g: reference(p, g, rates, decays),
        1e-11,
    )


@pytest.mark.notes("S4-37")
@pytest.mark.parametrize(
    ("mask", "decayed"),
    [
        ("default", {"kernel"}),
        (where_path(lambda name, leaf: name == "bias"), {"bias"}),
        ({"kernel": True, "bias": True}, {"kernel", "bias"}),
        (lambda params: jax.tree.map(lambda leaf: False, params), set()),
    ],
    ids=["default", "path", "tree", "function"],
)
def test_mask(mask, decayed, x64):
    """By default weights are decayed and biases are not; any mask may say otherwise."""
    optimizer = adamw(0.07, b2=0.99, weight_decay=0.3, **({} if mask == "default" else {"mask": mask}))
    assert_follows(
        optimizer,
        lambda p, g: reference(p, g, 0.07, 0.3),
        1e-11,
        **{
            name: lambda p, g: reference(p, g, 0.07, 0.0)
            for name in ("kernel", "bias")
            if name not in decayed
        },
    )


@pytest.mark.notes("S0-12")
def test_without_gradients_it_decays_by_a_fixed_share(x64):
    """After t steps (1 − ηλ)ᵗ·θ is left."""
    params = random_params()
    zeros = jax.tree.map(lambda p: np.zeros((STEPS, *p.shape)), params)
    path, _ = follow(adamw(0.1, weight_decay=0.5), params, zeros)
    for t in range(STEPS):
        np.testing.assert_allclose(path["kernel"][t], 0.95 ** (t + 1) * params["kernel"], rtol=1e-13)
        np.testing.assert_array_equal(path["bias"][t], params["bias"])


@pytest.mark.notes("S4-34", "S0-12")
def test_is_not_adam_on_a_penalized_loss(x64):
    """Adam divides the gradient of an L2 penalty by √v, so strongly used weights hardly decay."""
    params, grads = random_params(), random_grads()
    coupled, _ = follow(chain(add_l2(0.3), adam(0.07)), params, grads)
    decoupled, _ = follow(adamw(0.07, weight_decay=0.3), params, grads)
    assert abs(coupled["kernel"] - decoupled["kernel"]).max() > 0.05
    np.testing.assert_allclose(coupled["bias"], decoupled["bias"], rtol=1e-13)


def test_needs_the_parameters_and_names_wrong_arguments():
    optimizer = adamw()
    with pytest.raises(ValueError, match="adamw needs the parameters"):
        optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))
    with pytest.raises(ValueError, match=r"adamw\(weight_decay\) is -1"):
        adamw(weight_decay=-1.0)
    with pytest.raises(ValueError, match=r"b1\) is 1"):
        adamw(b1=1.0)
