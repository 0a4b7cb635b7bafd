"""The same arguments give the same values as optax and torch, and each other's places are open."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes import schedules as s
from jaxopt_notes.optimizers.adam import adam

optax = pytest.importorskip("optax")

pytestmark = pytest.mark.full
T = jnp.arange(0, 40)

PAIRS = [
    (s.constant(0.3), lambda: optax.constant_schedule(0.3)),
    (s.exponential(0.8, 7, 0.3), lambda: optax.exponential_decay(0.8, 7, 0.3)),
    (s.exponential(0.8, 7, 0.3, 3, True, 0.1), lambda: optax.exponential_decay(0.8, 7, 0.3, 3, True, 0.1)),
    (s.exponential(0.8, 0, 0.3), lambda: optax.exponential_decay(0.8, 0, 0.3)),
    (s.polynomial(0.8, 0.1, 2, 12, 3), lambda: optax.polynomial_schedule(0.8, 0.1, 2, 12, 3)),
    (s.polynomial(0.8, 0.1, 2, 0), lambda: optax.polynomial_schedule(0.8, 0.1, 2, 0)),
    (s.linear(0.8, 0.1, 12, 3), lambda: optax.linear_schedule(0.8, 0.1, 12, 3)),
    (s.cosine(0.8, 12, 0.1, 1.5), lambda: optax.cosine_decay_schedule(0.8, 12, 0.1, 1.5)),
    (s.piecewise((4, 9), (1.0, 0.5, 0.1)), lambda: optax.piecewise_constant_schedule(1.0, {4: 0.5, 9: 0.2})),
    (s.warmup(5, 0.8, 0.2), lambda: optax.warmup_constant_schedule(0.2, 0.8, 5)),
    (
        s.warmup(5, s.exponential(0.8, 7, 0.3)),
        lambda: optax.warmup_exponential_decay_schedule(0.0, 0.8, 5, 7, 0.3),
    ),
    (
        s.warmup_cosine(0.1, 0.8, 5, 20, alpha=0.25),
        lambda: optax.warmup_cosine_decay_schedule(0.1, 0.8, 5, 20, end_value=0.2),
    ),
    (
        s.join([s.constant(0.4), s.linear(1.0, 0.0, 10)], [6]),
        lambda: optax.join_schedules(
            [optax.constant_schedule(0.4), optax.linear_schedule(1.0, 0.0, 10)], [6]
        ),
    ),
    (s.one_cycle(20, 0.9, 0.3, 5.0, 10.0), lambda: optax.cosine_onecycle_schedule(20, 0.9, 0.3, 5.0, 10.0)),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda x: type(x).__name__)
def test_values_are_those_of_optax(ours, theirs):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        expected = jnp.stack([jnp.asarray(theirs()(t), jnp.float32) for t in T])
    np.testing.assert_allclose(jax.vmap(ours)(T), expected, rtol=2e-5, atol=1e-7)


def test_our_schedules_drive_an_optax_optimizer_and_theirs_ours():
    params, grads = {"w": jnp.ones(3)}, {"w": jnp.array([1.0, -2.0, 0.5])}
    with jax.numpy_dtype_promotion("standard"):
        by_ours = _run(optax.adam(s.cosine(0.1, 5)), params, grads)
        by_theirs = _run(adam(optax.cosine_decay_schedule(0.1, 5)), params, grads)
    np.testing.assert_allclose(by_ours["w"], by_theirs["w"], rtol=1e-5)


def _run(optimizer, params, grads):
    state = optimizer.init(params)
    for _ in range(4):
        updates, state = optimizer.update(grads, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    return params


def _of_torch(torch, make):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.8)
    scheduler, rates = make(torch.optim.lr_scheduler, optimizer), []
    for _ in range(40):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


TORCH = [
    (s.step(0.8, 7, 0.1), lambda lr, o: lr.StepLR(o, 7, 0.1)),
    (s.exponential(0.8, 1, 0.9), lambda lr, o: lr.ExponentialLR(o, 0.9)),
    (s.sgdr(0.8, 5, 2, alpha=0.1), lambda lr, o: lr.CosineAnnealingWarmRestarts(o, 5, 2, eta_min=0.08)),
    (s.triangular(0.1, 0.9, 5), lambda lr, o: lr.CyclicLR(o, 0.1, 0.9, 5, cycle_momentum=False)),
    (s.triangular(0.1, 0.9, 5, 0.5),
     lambda lr, o: lr.CyclicLR(o, 0.1, 0.9, 5, mode="triangular2", cycle_momentum=False)),
    (s.polynomial(0.8, 0.0, 2, 20), lambda lr, o: lr.PolynomialLR(o, 20, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), TORCH, ids=lambda x: type(x).__name__)
def test_values_are_those_of_torch(ours, theirs):
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(jax.vmap(ours)(T), _of_torch(torch, theirs), rtol=2e-5, atol=1e-6)
