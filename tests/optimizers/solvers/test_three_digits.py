"""Methods of second order on a model whose products have three digits, as a TPU's have by default.

The products of the user's model keep the user's setting, and are emulated here: what goes into them, and into
those of its derivatives, is rounded to bfloat16. The methods' own algebra is precise. So steps end where the
model's digits do, and not in a divergence; with all digits asked for they go on.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.optimizers import apply_updates, levenberg_marquardt, newton, newton_cg, sophia

RNG = np.random.default_rng(0)
EPS = 2.0**-8  # of a bfloat16, relative: half of its last place


def product(a, b, emulated):
    if emulated:
        a, b = (lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7) for x in (a, b))
    return jnp.matmul(a, b, precision="highest")


def train(optimizer, params, value_fn, steps, **extra):
    def step(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(value_fn)(params)
        updates, state = optimizer.update(grads, state, params, value_fn=value_fn, **extra)
        return (apply_updates(params, updates), state), value

    (params, _), values = lax.scan(step, (params, optimizer.init(params)), length=steps)
    return params, values


@pytest.mark.full
def test_levenberg_marquardt_ends_where_the_digits_of_the_model_do():
    x = np.linspace(-2, 2, 48, dtype=np.float32)[:, None]
    y = np.sin(2 * x) + x / 2
    shapes = {"a": (1, 10), "b": (1, 10), "c": (10, 1)}
    params = {name: RNG.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}

    def run(emulated):
        def residual_fn(p):
            hidden = jnp.tanh(product(x, p["a"], emulated) + p["b"])
            return product(hidden, p["c"], emulated) - y

        def value_fn(p):
            return jnp.mean(residual_fn(p) ** 2)

        return train(levenberg_marquardt(), params, value_fn, 60, residual_fn=residual_fn)[1]

    values, emulated = (np.asarray(v) for v in jax.jit(lambda: (run(False), run(True)))())
    assert (np.diff(emulated) <= 1e-5 * emulated[:-1]).all()
    assert np.sqrt(emulated[-1]) < 2 * EPS * np.abs(y).max() < 0.02 * np.sqrt(emulated[0])
    assert values[-1] < emulated[-1] / 4


@pytest.mark.full
@pytest.mark.parametrize(
    ("optimizer", "steps"), [(newton(), 10), (newton_cg(), 10), (sophia(0.02, update_interval=1), 300)],
    ids=["newton", "newton_cg", "sophia"],
)  # fmt: skip
def test_the_minimum_of_a_model_of_three_digits_is_found_to_three_digits(optimizer, steps):
    x = RNG.normal(size=(64, 4)).astype(np.float32)
    labels = (x @ np.array([1.0, -2.0, 0.5, 1.0], np.float32) + RNG.logistic(size=64) > 0).astype(np.float32)

    def value_fn(w, emulated):
        z = product(x, w, emulated)
        return jnp.mean(jax.nn.softplus(z) - labels * z) + 0.01 * jnp.sum(w**2)

    @jax.jit
    def ends():
        start = jnp.zeros(4)
        found = [train(optimizer, start, lambda w: value_fn(w, e), steps)[0] for e in (False, True)]  # noqa: B023
        return found, [jnp.abs(jax.grad(value_fn)(w, False)).max() for w in found]

    (precise, emulated), slopes = ends()
    assert slopes[0] < 1e-2 * slopes_of_start(x, labels)
    assert np.abs(emulated - precise).max() < 4 * EPS * np.abs(precise).max()


def slopes_of_start(x, labels):
    return np.abs(((0.5 - labels)[:, None] * x).mean(0)).max()
