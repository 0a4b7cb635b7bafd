"""Prechelt's three classes of criteria, by their formulas in NumPy, on curves of random runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.training.early_stopping import replay, stop_gl, stop_pq, stop_up

STRIP = 5
# The 14 criteria of the paper.
GL, PQ, UP = np.array([1.0, 2, 3, 5]), np.array([0.5, 0.75, 1, 2, 3]), np.array([2.0, 3, 4, 6, 8])


def random_curves():
    """Validation errors that fall, wander and mostly rise again; training errors that fall, with noise."""
    rng = np.random.default_rng(0)
    t = np.arange(1, 81)
    floor, rise, noise = (
        rng.uniform(*range_, (40, 1)) for range_ in ((0.2, 0.5), (-0.001, 0.004), (0, 0.03))
    )
    valid = floor + 1 / t + rise * t + noise * rng.normal(size=(40, 80))
    train = 0.1 + 1 / t + 0.02 * rng.uniform(size=(40, 80))
    return np.abs(valid), train


def gl(valid, t):
    """Of epoch t, counted from 1 as in the paper."""
    return 100 * (valid[t - 1] / valid[:t].min() - 1)


def progress(train, t, k):
    strip = train[t - k : t]
    return 1000 * (strip.sum() / (k * strip.min()) - 1)


def up(valid, s, t, k):
    if t - k < 1 or not valid[t - 1] > valid[t - k - 1]:
        return False
    return s == 1 or up(valid, s - 1, t - k, k)


def first(stops, epochs):
    return next((t for t in range(1, epochs + 1) if stops(t)), epochs)


@jax.jit
def replayed(curves):
    over = lambda make, values: jax.vmap(lambda value: replay(make(value), curves))(values)  # noqa: E731
    return (
        over(stop_gl, GL),
        over(lambda alpha: stop_pq(alpha, min_progress=0), PQ),
        over(lambda times: stop_up(times, STRIP), UP),
        over(lambda low: stop_pq(jnp.inf, min_progress=low), np.array([60.0, 30.0])),
    )


@pytest.mark.notes("S4-02", "S4-05", "S4-06", "S4-07", "S4-08")
def test_the_fourteen_criteria_are_those_of_the_paper(x64):
    valid, train = random_curves()
    found = jax.device_get(replayed({"valid_loss": jnp.asarray(valid), "loss": jnp.asarray(train)}))
    n, epochs = valid.shape
    ends = lambda t: t % STRIP == 0  # noqa: E731
    rules = [
        [lambda v, r, t, a=a: gl(v, t) > a for a in GL],
        [lambda v, r, t, a=a: ends(t) and gl(v, t) / progress(r, t, STRIP) > a for a in PQ],
        [lambda v, r, t, s=s: ends(t) and up(v, int(s), t, STRIP) for s in UP],
        [lambda v, r, t, p=p: ends(t) and progress(r, t, STRIP) < p for p in (60, 30)],
    ]
    for got, family in zip(found, rules, strict=True):
        stop = np.array(
            [[first(lambda t: rule(valid[i], train[i], t), epochs) for i in range(n)] for rule in family]  # noqa: B023
        )
        np.testing.assert_array_equal(got.stop_epoch, stop)
        assert len(np.unique(stop)) > 5
        assert 0 < got.stopped.mean() <= 1
        kept = np.array([[valid[i, :t].argmin() + 1 for i, t in enumerate(row)] for row in stop])
        np.testing.assert_array_equal(got.best_epoch, kept)
        best = np.take_along_axis(np.tile(valid, (len(family), 1, 1)), kept[..., None] - 1, 2)[..., 0]
        np.testing.assert_allclose(got.best_score, best, rtol=1e-12)
        np.testing.assert_allclose(got.given_up, best - valid.min(1), atol=1e-12)
    for got in found[:3]:  # the slower the criterion, the later it stops, and the less is given up
        assert (np.diff(got.stop_epoch, axis=0) >= 0).all()
        assert (np.diff(got.given_up, axis=0) <= 1e-12).all()


def flags(rule, scores):
    """After which epochs a rule says stop, of one curve or two."""

    @jax.jit
    def run(scores):
        def step(state, score):
            state, _, stop = rule.update(state, score)
            return state, stop

        return jax.lax.scan(step, rule.init(), tuple(scores) if scores.ndim > 1 else scores)[1]

    return np.flatnonzero(run(jnp.array(scores))).tolist()


@pytest.mark.notes("S4-05", "S4-06")
def test_examples_by_hand():
    assert flags(stop_gl(5), [1, 0.5, 0.53, 0.5]) == [2]  # GL = 6 %
    assert flags(stop_gl(5, mode="max"), [0.9, 1.0, 0.96, 0.94]) == [3]
    assert flags(stop_gl(50), [-1.0, -2.0, -1.1, -0.9]) == [3]  # 45 % and 55 % of 2
    assert flags(stop_gl(5), [0.0, 0.0, 0.1, np.nan]) == [2, 3]
    # GL = 25 %. P = 1000·(0.95/0.9 − 1) = 55.6 and 1000·(0.89/0.88 − 1) = 11.4.
    curves = ([1.0, 0.8, 0.9, 1.0], [1.0, 0.9, 0.9, 0.88])
    assert flags(stop_pq(2.1, strip=2), curves) == [3]
    assert flags(stop_pq(2.3, strip=2), curves) == []
    # Training that is flat stops, however good the score; and NaN does.
    assert flags(stop_pq(9.0, strip=2), ([4.0, 3.0, 2.0, 1.0], [1.0, 0.5, 0.5, 0.5])) == [3]
    assert flags(stop_pq(9.0, strip=2), ([4.0, 3.0, 2.0, 1.0], [1.0, 0.5, 0.5, np.nan])) == [3]
