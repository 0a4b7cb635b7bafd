"""Examples with weights in a sweep, and its winner trained again on all of them: loops in NumPy."""

import dataclasses

import jax
import numpy as np
import pytest

import jaxopt_notes as jn
from tests.training.linear import Linear, squared

RNG = np.random.default_rng(3)
X = RNG.normal(size=(14, 2))
Y = X @ [1.0, -0.5] + 0.3 * RNG.normal(size=14)
W = np.arange(14) % 4 / 2  # some examples count nothing, others twice
TRAIN, VALID = slice(8), slice(8, 14)


def run(train_weights=True, valid_weights=True, **options):
    parts = [
        tuple(np.float32(a[part]) for a in ((X, Y, W) if weighted else (X, Y)))
        for part, weighted in ((TRAIN, train_weights), (VALID, valid_weights))
    ]

    def build(h):
        return jn.Trainer(Linear(), jn.sgd(h["rate"]), squared, metric=None, batch_size=8)

    return jn.sweep(build, {"rate": jn.choice([0.02, 0.2])}, parts, jn.grid_search(2), epochs=12,
                    key=jax.random.key(0), progress=False, **options)  # fmt: skip


def loss(theta, x, y, w):
    return np.average((x @ theta[:2] + theta[2] - y) ** 2, weights=w)


def descend(theta, x, y, w, rate):
    residual = (x @ theta[:2] + theta[2] - y) * w
    return theta - rate * 2 * np.append(x.T @ residual, residual.sum()) / w.sum()


def path(rate, train, valid):
    theta, found = np.zeros(3), []
    for _ in range(12):
        theta = descend(theta, *train, rate)
        found.append((loss(theta, *valid), theta))
    return found


@pytest.mark.full
def test_examples_count_by_their_weights_in_training_and_in_the_score():
    results = run(valid_weights=False)
    train, valid = (X[TRAIN], Y[TRAIN], W[TRAIN]), (X[VALID], Y[VALID], np.ones(6))
    for i, rate in enumerate(results.columns["rate"]):
        curve = [score for score, _ in path(rate, train, valid)]
        np.testing.assert_allclose(results.history["valid_loss"][i, 0], curve, rtol=1e-4)


@pytest.mark.full
@pytest.mark.notes("S4-01", "X-06")
def test_the_winner_is_trained_on_all_data_by_either_algorithm():
    results = run(keep_params="best")
    rate = results.best["rate"]
    train, valid = ((X[part], Y[part], W[part]) for part in (TRAIN, VALID))
    everything = X, Y, W
    curve = path(rate, train, valid)
    best = min(range(12), key=lambda t: curve[t][0])

    again = results.refit(keep="updates", progress=False)  # of one step each, where all data have two
    assert int(again.state.step) == best + 1
    assert int(results.refit(progress=False).state.step) == 2 * (best + 1)

    further = results.refit(keep="parameters", epochs=1, progress=False)
    theta = curve[best][1]
    assert loss(theta, *valid) > loss(theta, *train)
    assert int(further.state.step) == 2  # 14 examples in batches of 8
    scores = further.evaluate(tuple(np.float32(a) for a in everything))["loss"]
    assert scores < loss(theta, *everything)
    trained_first = dataclasses.replace(results, models=()).refit(keep="parameters", epochs=1, progress=False)
    np.testing.assert_allclose(trained_first.params["w"], further.params["w"], rtol=1e-3)
    with pytest.raises(ValueError, match=r"refit\(keep\) is 'parameters', expected one of 'epochs'"):
        results.refit("train", keep="parameters")


def test_weights_are_one_number_for_each_example():
    parts = (X, Y, W[:, None]), (X, Y)
    with pytest.raises(ValueError, match=r"sweep\(data\), train, has weights of shape \(14, 1\), expected"):
        jn.sweep(lambda h: None, {"rate": 0.1}, parts, jn.grid_search(1), key=jax.random.key(0))
    for bad in (-1.0, np.nan, np.inf):
        parts = (X, Y), (X, Y, np.where(np.arange(14) == 3, bad, 1.0))
        with pytest.raises(ValueError, match=rf"validation, has the weight {bad}, expected finite"):
            jn.sweep(lambda h: None, {"rate": 0.1}, parts, jn.grid_search(1), key=jax.random.key(0))
