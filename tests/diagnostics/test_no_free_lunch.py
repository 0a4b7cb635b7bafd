import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.diagnostics import no_free_lunch


def majority(train_x, train_y, x):
    return jnp.full(len(x), jnp.mean(train_y) > 0.5)


def contrary(train_x, train_y, x):
    return ~majority(train_x, train_y, x)


def nearest(train_x, train_y, x):
    distances = jnp.sum(jnp.abs(x[:, None] - train_x[None]), axis=-1)
    return train_y[jnp.argmin(distances, axis=1)]


def logistic(train_x, train_y, x):
    """Ten steps of descent: probabilities, and a learner like any other."""

    def step(w, _):
        return w + 0.5 * train_x.T @ (train_y - jax.nn.sigmoid(train_x @ w)), None

    return jax.nn.sigmoid(x @ jax.lax.scan(step, jnp.zeros(3), None, 10)[0])


@pytest.mark.notes("S2-65")
def test_every_learner_errs_half_the_time_off_its_training_set():
    """Over all 2⁸ functions of three bits: the one that bets against its data, too."""
    points = [0, 2, 3, 5, 6]
    errors = jax.jit(lambda: [no_free_lunch(f, points) for f in (majority, contrary, nearest, logistic)])()
    for error in np.asarray(errors):
        assert error.shape == (256,)
        assert error.mean() == pytest.approx(0.5, abs=1e-6)
    np.testing.assert_allclose(errors[0] + errors[1], 1.0)
    assert np.asarray(errors[2]).min() == 0  # some targets suit it perfectly, and some not at all
    # By hand: f = 0 everywhere but at point 1, which the majority and the nearest (0 is one bit away) miss.
    np.testing.assert_allclose([errors[0][2], errors[2][2]], 1 / 3, rtol=1e-6)


def test_errors_say_what_is_wrong():
    for points in (range(8), [8]):
        with pytest.raises(ValueError, match=r"no_free_lunch\(train_points\) is .* expected part of 0 … 7"):
            no_free_lunch(majority, points)
    with pytest.raises(ValueError, match=r"no_free_lunch\(bits\) is 5, expected at most 4"):
        no_free_lunch(majority, [0], bits=5)
