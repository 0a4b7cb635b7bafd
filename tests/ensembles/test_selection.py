"""Greedy selection beside the loop of the paper in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jaxopt_notes.ensembles import average, greedy_selection
from jaxopt_notes.losses import mean_squared_error, softmax_cross_entropy
from tests.compiled import compiled

RNG = np.random.default_rng(0)
LABELS = RNG.integers(3, size=60)
LOGITS = 2 * np.eye(3)[LABELS] * RNG.uniform(0, 1, size=(8, 60, 1)) + RNG.normal(size=(8, 60, 3))


def by_numpy(logits, initial, steps):
    """Caruana et al. 2004, section 2: sorted initialization, then forward selection with replacement."""
    p = scipy.special.softmax(logits, axis=2)
    loss = lambda mean: -np.log(mean[np.arange(60), LABELS]).mean()  # noqa: E731
    order = list(np.argsort([loss(own) for own in p])[:initial])
    losses = [loss(p[order[: i + 1]].mean(axis=0)) for i in range(initial)]
    while len(order) < steps:
        found = [loss(p[[*order, m]].mean(axis=0)) for m in range(len(p))]
        order.append(int(np.argmin(found)))
        losses.append(min(found))
    size = initial + int(np.argmin(losses[initial - 1 :])) if initial else 1 + int(np.argmin(losses))
    return order, losses, np.bincount(order[:size], minlength=len(p)) / size


@pytest.mark.notes("S1-68")
@pytest.mark.usefixtures("x64")
def test_the_steps_of_the_paper():
    spoiled = np.concatenate([LOGITS, np.full((1, 60, 3), np.nan)])  # a member that has diverged
    found = jax.jit(
        lambda logits: [
            greedy_selection(logits, LABELS, softmax_cross_entropy, 12, initial=initial) for initial in (0, 3)
        ]
    )(spoiled)
    for chosen, initial in zip(found, (0, 3), strict=True):
        order, losses, weights = by_numpy(LOGITS, initial, 12)
        np.testing.assert_array_equal(chosen.order, order)
        np.testing.assert_allclose(chosen.losses, losses, rtol=1e-12)
        np.testing.assert_allclose(chosen.weights[:-1], weights, rtol=1e-12)
        assert chosen.weights[-1] == 0
    best = min(-np.log(scipy.special.softmax(o, axis=1)[np.arange(60), LABELS]).mean() for o in LOGITS)
    weights = np.asarray(found[0].weights)[:-1]
    mixed = compiled(average)(LOGITS, weights, of="probabilities")
    together = np.mean(compiled(softmax_cross_entropy)(mixed, LABELS))
    assert together < 0.95 * best
    np.testing.assert_allclose(together, np.min(found[0].losses), rtol=1e-9)


def test_of_numbers_and_what_is_refused():
    outputs, ones = np.float32([[5, 5], [0, 1.5], [2, 0.5]]), np.ones(2, np.float32)
    chosen = compiled(greedy_selection)(outputs, ones, mean_squared_error, 3, of="outputs")
    assert chosen.weights.tolist() == [0.0, 0.5, 0.5]
    heavy = np.float32([0, 1])  # the second example alone: the last member is off by a half, as the first
    weighed = compiled(greedy_selection)(outputs, ones, mean_squared_error, 1, of="outputs", samples=heavy)
    np.testing.assert_allclose(weighed.losses, [0.25])
    lost = np.where(np.arange(3)[:, None] == 0, np.nan, outputs)  # two are left of the three to begin with
    begun = compiled(greedy_selection)(lost, ones, mean_squared_error, 3, of="outputs", initial=3)
    assert begun.weights[0] == 0
    assert sorted(begun.order[:2].tolist()) == [1, 2]
    with pytest.raises(ValueError, match=r"initial\) is 4, expected at most the 9 steps and the 3 members"):
        greedy_selection(outputs, jnp.ones(2), mean_squared_error, 9, initial=4)
