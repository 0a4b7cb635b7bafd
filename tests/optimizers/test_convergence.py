"""Every registered optimizer reaches the minimum of three problems within a stated budget of steps.

The problems are a quadratic of condition number 10, Rosenbrock's valley from its customary start, and a
logistic regression. An optimizer has reached the minimum when every point of the last tenth of its run is
within `TOLERANCE` of it, so passing by is not enough. `BUDGETS` holds one line an optimizer: for each problem
a learning rate (or a schedule, or None for the default), a number of steps, and further arguments if need be.
One without a line has the quadratic to solve, at the rate behind its registry line, which falls to 0.
"""

import functools
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes import optimizers
from jaxopt_notes.optimizers import OPTIMIZERS, apply_updates, evaluation_params
from jaxopt_notes.problems import logistic_regression, quadratic, rosenbrock
from jaxopt_notes.schedules import cosine, exponential, linear

TOLERANCE = 1e-3


def labelled(examples=60, seed=0):
    """Two overlapping clouds of points with a bias column: no plane separates them."""
    rng = np.random.default_rng(seed)
    y = np.arange(examples) % 2
    x = rng.normal(size=(examples, 2)) + np.where(y[:, None] == 1, [1.0, -0.5], [-0.5, 0.5])
    return np.column_stack([x, np.ones(examples)]), y


def logistic_minimum(x, y, l2):
    """The minimum by Newton's method, in NumPy."""
    w = np.zeros(x.shape[1])
    for _ in range(20):
        p = 1 / (1 + np.exp(-x @ w))
        hessian = x.T @ (x * (p * (1 - p))[:, None]) / len(y) + l2 * np.eye(len(w))
        w = w - np.linalg.solve(hessian, x.T @ (p - y) / len(y) + l2 * w)
    return w


LINE = re.compile(r"^from \S+ import .*?(\w+) as \1  # rate (\S+)$", re.MULTILINE)
RATES = dict.fromkeys(OPTIMIZERS, 0.1) | {
    name: float(rate) for name, rate in LINE.findall(inspect.getsource(optimizers))
}

# name: problem, start, minimum
PROBLEMS = {
    "quadratic": (quadratic((1.0, 10.0)), [2.0, -1.0], [0.0, 0.0]),
    "rosenbrock": (rosenbrock(), [-1.2, 1.0], [1.0, 1.0]),
    "logistic": (logistic_regression(*labelled(), 0.1), [0.0, 0.0, 0.0], logistic_minimum(*labelled(), 0.1)),
}


def falls(rate, steps, **arguments):
    """A rate that falls to 0 over the steps, on a cosine."""
    return cosine(rate, steps), steps, arguments


# name: (rate, steps) on the quadratic, on Rosenbrock's valley, on the logistic regression
BUDGETS = {
    "sgd": [(0.1, 100), (0.002, 10_000), (1.0, 50)],
    "momentum": [(0.03, 200), (0.003, 1000), (0.1, 200)],
    "heavy_ball": [(0.03, 200), (0.003, 1000), (0.1, 200)],
    "nesterov": [(0.05, 150), (0.001, 2500), (0.5, 100)],
    "nesterov_accelerated": [(0.1, 100), (0.001, 8000), (0.5, 100)],
    "adagrad": [(1.0, 50), (0.5, 12_000), (1.0, 50)],
    "adadelta": [falls(1.0, 500), falls(0.5, 12_000, rho=0.99), (2.0, 200)],
    "rmsprop": [falls(0.2, 100), falls(0.005, 12_000), falls(0.2, 100)],
    "adam": [(0.2, 200), falls(0.5, 2000), (0.1, 200)],
    "adamw": [(0.2, 200), falls(0.5, 2000), (0.1, 200)],
    "amsgrad": [(0.2, 200), (0.3, 1500), (0.1, 200)],
    "adamax": [(0.3, 200), (0.02, 6000), (0.1, 200)],
    "adamaxw": [(0.3, 200), (0.02, 6000), (0.1, 200)],
    "nadam": [(0.1, 150), falls(0.05, 5000), falls(0.5, 100)],
    "nadamw": [(0.1, 150), falls(0.05, 5000), falls(0.5, 100)],
    "radam": [(0.2, 200), (0.005, 12_000), falls(0.5, 200)],
    "adabelief": [(0.1, 200), falls(0.5, 2000), (0.1, 200)],
    "yogi": [(0.2, 200), (0.3, 1500), (0.1, 200)],
    "adopt": [(0.3, 200), (1.0, 3000), falls(0.5, 200)],
    "ademamix": [(0.5, 200), falls(0.05, 5000, b3=0.99), (0.2, 200)],
    "lamb": [(0.2, 200), falls(0.007, 12_000), falls(0.01, 2000)],
    "lars": [
        (0.2, 200, {"trust_coefficient": 0.1, "mask": None}),
        falls(0.05, 1000, trust_coefficient=0.1, mask=None),
        falls(0.05, 500, trust_coefficient=0.1, mask=None),
    ],
    "lion": [falls(0.01, 1000), falls(0.002, 5000), falls(0.02, 500)],
    "signum": [falls(0.005, 1000), falls(0.002, 5000), falls(0.005, 500)],
    "sign_sgd": [falls(0.02, 1000), (exponential(0.003, 850, 0.5), 15_000), falls(0.02, 200)],
    "adan": [(1.0, 100), falls(0.5, 1000), (1.0, 100)],
    "novograd": [falls(0.01, 200), falls(0.005, 1000), falls(0.01, 100)],
    "adafactor": [(0.5, 1000), falls(0.01, 12_000), falls(0.5, 200)],
    "sm3": [(0.5, 200), (5.0, 5000), (0.5, 200)],
    "rprop": [(0.1, 200), (0.01, 6000, {"eta_minus": 0.7, "eta_plus": 1.1}), (0.1, 200)],
    "fromage": [(0.2, 100), falls(0.005, 12_000), falls(0.02, 2000)],
    "muon": [(0.2, 200), falls(0.5, 2000), (0.1, 200)],
    "soap": [falls(0.5, 400), falls(0.5, 2000), falls(0.1, 500)],
    "sophia": [
        (0.1, 200, {"b1": 0.9, "b2": 0.9, "gamma": 1.0, "update_interval": 1}),
        falls(0.02, 5000, b1=0.9, b2=0.9),
        (0.1, 200, {"b1": 0.9, "b2": 0.9, "gamma": 1.0, "update_interval": 1}),
    ],
    "optimistic_gradient": [(0.05, 200), (0.0015, 15_000, {"beta": 0.1}), (0.5, 100)],
    "polyak_sgd": [
        (None, 100, {"max_learning_rate": np.inf}),
        (None, 3000, {"max_learning_rate": np.inf}),
        (None, 50, {"max_learning_rate": np.inf, "f_min": 0.435638199}),  # a little below the least value
    ],
    "noisy_sgd": [(0.1, 200, {"eta": 1e-6}), (0.002, 10_000, {"eta": 1e-6}), falls(1.0, 200, eta=1e-6)],
    "schedule_free_sgd": [
        (0.5, 300),
        (linear(0.0, 0.006, 12_000), 12_000, {"weight_power": 8.0}),  # early points weigh little
        (2.0, 200),
    ],
    "schedule_free_adamw": [(0.3, 500), (0.015, 12_000, {"b2": 0.95}), (0.3, 300)],
    "prodigy": [(None, 300), falls(1.0, 5000), (None, 300)],
    "dadapt_sgd": [falls(1.0, 500), falls(1.0, 5000, momentum=0.9), (None, 100)],
    "dadapt_adam": [falls(1.0, 500), falls(1.0, 5000), falls(1.0, 300)],
    "dog": [(2.0, 500), (None, 20_000), (None, 300)],
    "dowg": [(None, 100), (0.3, 12_000), (None, 100)],
}


@functools.partial(jax.jit, static_argnames="steps")
def distances(optimizer, problem, start, minimum, steps):
    """The largest coordinate of the error after each step: `[steps]`."""

    def step(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(problem)(params)
        extra = {"value": value, "grad": grads, "value_fn": problem}  # for those who need them
        updates, state = optimizer.update(grads, state, params, **extra)
        params = apply_updates(params, updates)
        error = jnp.max(jnp.abs(evaluation_params(optimizer, params, state) - minimum))
        return (params, state), error

    return lax.scan(step, (start, optimizer.init(start)), length=steps)[1]


@pytest.mark.full
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_reaches_the_minimum(name, problem, x64):
    known = BUDGETS.get(name, [falls(RATES[name], 2000)])
    if list(PROBLEMS).index(problem) >= len(known):
        return  # a rule without a line of its own is held to the first problem
    rate, steps, *more = known[list(PROBLEMS).index(problem)]
    arguments = ({} if rate is None else {"learning_rate": rate}) | dict(*more)
    f, start, minimum = PROBLEMS[problem]
    errors = np.asarray(
        distances(OPTIMIZERS[name](**arguments), f, jnp.array(start), jnp.array(minimum), steps)
    )
    assert errors[0] > 10 * TOLERANCE, "it must have a way to go"
    late = errors[-max(1, steps // 10) :]
    assert late.max() <= TOLERANCE, f"after {steps} steps it is {late.max():.2g} off the minimum"


def test_every_line_is_of_a_registered_optimizer():
    assert set(BUDGETS) <= set(OPTIMIZERS)
