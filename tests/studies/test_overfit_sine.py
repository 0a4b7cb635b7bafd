"""A network that memorizes 25 points of a sine with its fifth harmonic, and what helps against it.

The target is 4 sin(x)/π + 4 sin(5x)/(5π), validation is 4 sin(x)/π alone: a network that reproduces the
training points exactly scores R² = 1 − (1/5)² = 0.96 there. Widths 1-16-16-16-1, plain gradient descent
at 0.1 on batches of 5, 20,000 epochs, all runs in one program.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn

PI = 3.1416  # as the source has it
EPOCHS, SEEDS = 20_000, 12


def wave(points, harmonics):
    x = np.linspace(0, 2 * PI, points)[:, None]
    return jnp.float32(x), jnp.float32(sum(4 * np.sin(k * x) / (k * PI) for k in harmonics))


TRAIN, VALID = wave(25, (1, 5)), wave(100, (1,))


def trainer(rates, patience):
    def layer(width):
        return jn.dense(width, kernel_init=jn.xavier_uniform())

    first, third = rates
    model = jn.serial(
        layer(16), jn.activation("sigmoid"), jn.dropout(first, mode="vanilla"),
        layer(16), jn.activation("tanh"),
        layer(16), jn.activation("tanh"), jn.dropout(third, mode="vanilla"),
        layer(1),
    )  # fmt: skip
    return jn.Trainer(
        model, jn.sgd(0.1), jn.half_mean_squared_error,
        metric=jn.r2, batch_size=5, early_stopping=jn.patience(patience),
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs():
    """Without remedy, with dropout, with early stopping: R² at the end, at the best epoch, epochs run."""

    def run(rates, patience, key):
        state = trainer(rates, patience).init(key, TRAIN)
        state, history = trainer(rates, patience).advance(state, TRAIN, VALID, EPOCHS)
        return history["valid_r2"][-1], history["valid_r2"][state.best_epoch - 1], state.epoch

    over_seeds = jax.vmap(run, (None, None, 0))
    program = jax.jit(jax.vmap(over_seeds, (0, 0, None)))
    rates = jnp.array([[0.0, 0.0], [0.1, 0.2], [0.0, 0.0]])
    patience = jnp.array([jnp.inf, jnp.inf, 800])
    found = program(rates, patience, jax.random.split(jax.random.key(0), SEEDS))
    return dict(zip(("last", "best", "epochs"), map(np.asarray, found), strict=True))


@pytest.mark.full
@pytest.mark.notes("S2-70")
def test_without_remedy_it_memorizes(runs):
    np.testing.assert_allclose(runs["last"][0], 0.96, atol=0.006)


@pytest.mark.full
@pytest.mark.notes("S2-80")
def test_dropout_generalizes_better(runs):
    """The source reports 0.9817. Networks differ by 0.008 under dropout, by 0.001 without."""
    without, dropout = np.median(runs["last"][:2], axis=1)
    assert dropout > without + 0.008
    np.testing.assert_allclose(dropout, 0.9817, atol=0.008)


@pytest.mark.full
@pytest.mark.notes("S2-78")
def test_early_stopping_keeps_a_far_better_network(runs):
    """It stops long before the end; what the notes print as its accuracy, 0.9605, is that of no remedy."""
    assert (runs["epochs"][2] < EPOCHS // 2).all()
    assert (runs["best"][2] > 0.98).all()
    assert (runs["epochs"][0] == EPOCHS).all()
