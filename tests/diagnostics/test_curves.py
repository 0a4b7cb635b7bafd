"""Learning and capacity curves of least squares, which one step of descent solves: against NumPy."""

import dataclasses
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.diagnostics import capacity_curve, learning_curve
from jaxopt_notes.layers import dense, mlp
from jaxopt_notes.losses import softmax_cross_entropy
from jaxopt_notes.metrics import accuracy
from jaxopt_notes.optimizers import adam, sgd
from jaxopt_notes.record import Number, record, static
from jaxopt_notes.training import Trainer, patience
from tests.training.linear import Linear, squared

DEGREES = (1, 3, 15)


@record
class Columns:
    """A linear model of the first columns."""

    number: int = static()
    start: Number = 0.0

    def init(self, key, x):
        return {"w": jnp.full(self.number, self.start, x.dtype)}, ()

    def apply(self, params, state, x, *, key=None, train=False):
        return x[:, : self.number] @ params["w"], state


@pytest.mark.full
@pytest.mark.notes("S2-56")
def test_training_errors_fall_with_the_degree_and_validation_errors_are_u_shaped(key):
    """Polynomials of degree 1, 3 and 15 through 20 noisy points of a sine, as columns orthonormal on them."""
    rng = np.random.default_rng(1)
    x, fine = np.linspace(-1, 1, 20), np.linspace(-0.98, 0.98, 50)
    powers = np.polynomial.legendre.legvander(np.concatenate([x, fine]), 15)
    columns = powers @ np.linalg.inv(np.linalg.qr(powers[:20])[1])
    y = np.sin(3 * x) + 0.2 * rng.normal(size=20)
    train, valid = (columns[:20], y), (columns[20:], np.sin(3 * fine))
    train, valid = jax.tree.map(np.float32, (train, valid))

    def build(degree):  # the Hessian of the mean is 2/n: this rate is Newton's
        model = Columns(degree + 1, 0.1)
        return Trainer(model, sgd(10.0), squared, metric=None, batch_size=20, early_stopping=patience(1))

    curve = capacity_curve(build, DEGREES, key, train, valid, epochs=2)
    assert curve.parameters == (2, 4, 16)
    for i, degree in enumerate(DEGREES):
        solution = columns[:20, : degree + 1].T @ y
        residuals = [of[0][:, : degree + 1] @ solution - of[1] for of in (train, valid)]
        expected = [np.mean(r**2) for r in residuals]
        got = [curve.train["loss"][i, 0], curve.valid["loss"][i, 0]]
        np.testing.assert_allclose(got, expected, rtol=1e-3)
    assert (np.diff(curve.train["loss"][:, 0]) < 0).all()
    assert curve.best == 3


def test_validation_data_judge_capacities_and_stop_none_of_them(key, monkeypatch):
    seen = []
    module = importlib.import_module("jaxopt_notes.diagnostics.capacity_curve")
    score = {"loss": np.ones(1)}
    monkeypatch.setattr(module, "trained_scores", lambda trainer, *_: seen.append(trainer) or (score, score))
    data = np.ones((4, 3), np.float32), np.ones(4, np.float32)

    def build(number):
        return Trainer(Columns(number), sgd(0.1), squared, metric=None, early_stopping=patience(1))

    assert capacity_curve(build, (1, 3), key, data, data).parameters == (1, 3)
    assert [trainer.early_stopping for trainer in seen] == [None, None]


@pytest.mark.full
@pytest.mark.notes("S0-10")
def test_the_gap_closes_with_more_samples(key):
    """Least squares of p numbers on n samples with noise σ²: the gap is about σ²·(p/n + p/(n − p − 1))."""
    keys = jax.random.split(key, 3)
    x = np.asarray(jax.random.normal(keys[0], (2064, 3)))
    y = x @ np.float32([1, -1, 0.5]) + 0.5 * np.asarray(jax.random.normal(keys[1], (2064,)))
    train, valid = (x[:64], y[:64]), (x[64:], y[64:])
    trainer = Trainer(Linear(), sgd(0.1), squared, metric=squared, batch_size=64)
    curve = learning_curve(trainer, keys[2], train, valid, [8, 16, 64], updates=200, seeds=30)
    assert curve.sizes == (8, 16, 64)
    assert curve.valid["squared"].shape == (3, 30)
    np.testing.assert_allclose(curve.valid["squared"], curve.valid["loss"], rtol=1e-5)
    assert (np.diff(curve.gap) < 0).all()
    assert len(np.unique(curve.train["loss"][0])) == 30  # samples of their own
    full = np.concatenate([train[0], np.ones((64, 1))], 1)
    exact = np.mean((full @ np.linalg.lstsq(full, train[1])[0] - train[1]) ** 2)
    np.testing.assert_allclose(curve.train["loss"][2], exact, rtol=1e-3)  # all samples: one solution
    np.testing.assert_allclose(curve.gap[1], 0.25 * (4 / 16 + 4 / 11), rtol=0.5)


@pytest.mark.full
@pytest.mark.notes("S3-32")
def test_a_network_can_learn_labels_that_mean_nothing(key):
    """Before regularizing, see that the model can over-fit: 32 points, random labels, 100 %."""
    x, labels = jax.random.normal(key, (32, 4)), jax.random.randint(jax.random.fold_in(key, 1), (32,), 0, 4)
    trainer = Trainer(mlp([64, 64, 4]), adam(1e-2), softmax_cross_entropy, metric=accuracy, batch_size=32)
    curve = learning_curve(trainer, key, (x, labels), (x, labels), [32], updates=300, seeds=3)
    np.testing.assert_array_equal(curve.train["accuracy"], 1.0)
    small = dataclasses.replace(trainer, model=dense(4))
    assert (
        np.max(learning_curve(small, key, (x, labels), (x, labels), [32], updates=300).train["accuracy"]) < 1
    )


def test_errors_say_what_is_wrong(key):
    data = (np.ones((8, 2), np.float32), np.ones(8, np.float32))
    trainer = Trainer(Linear(), sgd(0.1), squared, metric=None)
    with pytest.raises(ValueError, match=r"learning_curve\(sizes\) has 9, expected at most 8"):
        learning_curve(trainer, key, data, data, [4, 9])
    with pytest.raises(ValueError, match=r"capacity_curve\(epochs\) is 0"):
        capacity_curve(lambda c: trainer, [1], key, data, data, epochs=0)
