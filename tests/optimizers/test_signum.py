"""The sign of the gradient and of its average: the formulas, and what scaling a loss does to them."""

import numpy as np
import pytest

from jaxopt_notes.optimizers.signum import sign_sgd, signum
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow, random_grads, random_params


def reference(theta, grads, rates, beta):
    m = np.zeros_like(theta)
    for g, eta in zip(grads, np.broadcast_to(rates, len(grads)), strict=True):
        m = beta * m + (1 - beta) * g
        theta = theta - eta * np.sign(m)
        yield theta


@pytest.mark.parametrize(("rate", "rates"), [(0.1, 0.1), (falling_rate, RATES)])
@pytest.mark.parametrize("beta", [0.0, 0.6, 0.95])
def test_golden(rate, rates, beta, x64):
    assert_follows(signum(rate, beta), lambda p, g: reference(p, g, rates, beta))
    if beta == 0:
        assert_follows(sign_sgd(rate), lambda p, g: reference(p, g, rates, beta))


def test_an_average_outlasts_one_gradient_of_the_other_sign(x64):
    """β = 0.9: the third gradient is worth 0.1·4, those before 0.9·(0.09 + 0.1)·3 = 0.513."""
    grads = np.array([[3.0], [3.0], [-4.0], [-4.0]])
    path, _ = follow(signum(1.0), np.zeros(1), grads)
    np.testing.assert_allclose(np.diff(path[:, 0], prepend=0), [-1, -1, -1, 1])


@pytest.mark.parametrize("optimizer", [sign_sgd(0.1), signum(0.1)], ids=["sign_sgd", "signum"])
def test_the_scale_of_the_loss_does_not_matter(optimizer, x64):
    params, grads = random_params(), random_grads()
    found, _ = follow(optimizer, params, grads)
    scaled, _ = follow(optimizer, params, {name: 1e6 * g for name, g in grads.items()})
    np.testing.assert_allclose(found["kernel"], scaled["kernel"], rtol=1e-12)


def test_the_sign_of_a_complex_number_has_length_one(x64):
    path, _ = follow(sign_sgd(0.5), np.zeros(2, complex), np.array([[3 + 4j, 0j]]))
    np.testing.assert_allclose(path[0], [-0.3 - 0.4j, 0], rtol=1e-12)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"signum\(beta\) is 1, expected a number in \[0, 1\)"):
        signum(beta=1.0)
    with pytest.raises(ValueError, match=r"sign_sgd\(learning_rate\) is -1"):
        sign_sgd(-1.0)
