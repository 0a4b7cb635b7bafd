"""What every registered loss owes: one value per example, gradients, shapes, dtypes, leaves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxopt_notes.losses import LOSSES, huber, sigmoid_binary_cross_entropy, softmax_cross_entropy
from tests.compiled import compiled, grad

huber = compiled(huber)
sigmoid_binary_cross_entropy = compiled(sigmoid_binary_cross_entropy)
softmax_cross_entropy = compiled(softmax_cross_entropy)

ERRORS = ["mean_squared_error", "half_mean_squared_error", "mean_absolute_error", "huber"]
PAIRED = [*ERRORS, "sigmoid_binary_cross_entropy"]  # outputs and targets of one shape


def example(name, dtype=np.float32):
    """Outputs and targets of three examples."""
    rng = np.random.default_rng(0)
    if name == "sequence_cross_entropy":
        return jnp.asarray(rng.normal(size=(3, 4, 5)), dtype), jnp.asarray(
            rng.integers(0, 5, (3, 4)), jnp.int32
        )
    outputs = jnp.asarray(rng.normal(size=(3, 5)), dtype)
    if name == "softmax_cross_entropy":
        return outputs, jnp.asarray(rng.integers(0, 5, 3), jnp.int32)
    return outputs, jnp.asarray(rng.integers(0, 2, (3, 5)), jnp.int32)


@pytest.mark.parametrize("name", LOSSES)
def test_one_value_per_example(name):
    loss, (outputs, targets) = LOSSES[name], example(name)

    @jax.jit
    def together_and_one_by_one(outputs, targets):
        alone = [loss(outputs[i : i + 1], targets[i : i + 1])[0] for i in range(3)]
        return loss(outputs, targets), jnp.stack(alone)

    values, alone = together_and_one_by_one(outputs, targets)
    assert values.shape == (3,)
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, alone, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.usefixtures("x64")
def test_gradient_is_that_of_finite_differences(name):
    outputs, targets = example(name, np.float64)

    direction = np.random.default_rng(1).normal(size=outputs.shape)

    @jax.jit
    def slopes(o):
        risk = lambda o: jnp.sum(LOSSES[name](o, targets) * np.arange(1.0, 4.0))  # noqa: E731
        difference = risk(o + 1e-6 * direction) - risk(o - 1e-6 * direction)
        return jnp.sum(jax.grad(risk)(o) * direction), difference / 2e-6

    np.testing.assert_allclose(*slopes(outputs), rtol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_rounds_only_the_result(name, dtype):
    outputs, targets = example(name, dtype)
    loss = LOSSES[name]
    values, wide = jax.jit(lambda o: (loss(o, targets), loss(o.astype(jnp.float32), targets)))(outputs)
    assert values.dtype == dtype
    np.testing.assert_array_equal(values, np.asarray(wide).astype(dtype))


@pytest.mark.parametrize("name", LOSSES)
def test_equal_outputs_have_finite_gradients(name):
    outputs, targets = example(name)
    outputs = jnp.zeros_like(outputs)
    if name in ERRORS:
        targets = jnp.zeros_like(targets)
    gradient = jax.jit(grad(lambda o: jnp.sum(LOSSES[name](o, targets))))(outputs)
    assert np.isfinite(gradient).all()
    if name in ERRORS:
        assert not np.any(gradient)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("mean_squared_error", lambda e: (e**2).mean()),
        ("half_mean_squared_error", lambda e: (e**2 / 2).mean()),
        ("mean_absolute_error", lambda e: np.abs(e).mean()),
        ("huber", lambda e: np.where(np.abs(e) <= 1, e**2 / 2, np.abs(e) - 0.5).mean()),
    ],
)
@pytest.mark.usefixtures("x64")
def test_an_image_is_one_example(name, formula):
    """The mean is over height, width and channels; a vector of outputs has one number an example."""
    rng = np.random.default_rng(0)
    outputs, targets = 2 * rng.normal(size=(2, 3, 3, 4, 2))
    loss = LOSSES[name]
    both = jax.jit(lambda o, t: (loss(o, t), loss(o[:, 0, 0, 0], t[:, 0, 0, 0])))
    values, flat = both(outputs, targets)
    np.testing.assert_allclose(values, [formula(e) for e in outputs - targets], rtol=1e-14)
    np.testing.assert_allclose(flat, [formula(e) for e in (outputs - targets)[:, 0, 0, 0]], rtol=1e-14)


@pytest.mark.parametrize("name", PAIRED)
def test_a_forgotten_axis_is_an_error_and_not_a_broadcast(name):
    with pytest.raises(ValueError, match=r"shape \(8,\), .* \(8, 1\): pass outputs\[\.\.\., 0\]"):
        LOSSES[name](jnp.zeros((8, 1)), jnp.zeros(8))
    with pytest.raises(ValueError, match=r"shape \(8, 1\), .* \(8,\): pass targets\[\.\.\., 0\]"):
        LOSSES[name](jnp.zeros(8), jnp.zeros((8, 1)))
    with pytest.raises(ValueError, match=r"shape \(4, 3\), .* \(8, 3\): nothing is broadcast"):
        LOSSES[name](jnp.zeros((8, 3)), jnp.zeros((4, 3)))


@pytest.mark.parametrize(
    ("loss", "argument", "values"),
    [
        (softmax_cross_entropy, "label_smoothing", [0.0, 0.1, 1.0]),
        (sigmoid_binary_cross_entropy, "label_smoothing", [0.0, 0.1, 1.0]),
        (huber, "delta", [0.1, 1.0, np.inf]),
    ],
)
def test_numbers_bound_by_partial_are_leaves(loss, argument, values):
    """One trace serves every number, and `vmap` maps over them."""
    outputs, targets = example(loss.__name__)
    traces = []

    @jax.jit
    def evaluate(bound):
        traces.append(None)
        return bound(outputs, targets)

    alone = [evaluate(Partial(loss, **{argument: value})) for value in values]
    assert len(traces) == 1
    batch = Partial(loss, **{argument: jnp.array(values)})
    np.testing.assert_allclose(jax.vmap(evaluate)(batch), jnp.stack(alone), rtol=1e-6)
    assert not np.allclose(alone[0], alone[1])


@pytest.mark.parametrize(
    ("loss", "argument", "value"),
    [
        (softmax_cross_entropy, "label_smoothing", 0.0),
        (softmax_cross_entropy, "label_smoothing", 0.3),
        (sigmoid_binary_cross_entropy, "label_smoothing", 0.0),
        (huber, "delta", 0.7),
    ],
)
@pytest.mark.usefixtures("x64")
def test_gradient_with_respect_to_the_number(loss, argument, value):
    outputs, targets = example(loss.__name__, np.float64)

    def risk(number):
        return jnp.sum(jax.jit(loss)(outputs, targets, **{argument: number}))

    slope = (risk(value + 1e-6) - risk(value - 1e-6)) / 2e-6
    np.testing.assert_allclose(grad(risk)(value), slope, rtol=1e-7)


@pytest.mark.parametrize(
    ("loss", "number"),
    [(softmax_cross_entropy, {"label_smoothing": 1.5}), (huber, {"delta": 0.0}), (huber, {"delta": np.nan})],
)
def test_a_number_outside_its_interval_is_named(loss, number):
    (argument,) = number
    with pytest.raises(ValueError, match=rf"{loss.__name__}\({argument}\) is .* expected a number in"):
        loss(*example(loss.__name__), **number)


def test_huber_between_its_limits(x64):
    """Quadratic up to δ, then of slope δ; for δ = ∞ half the squared error, for small δ the absolute one."""
    e = np.array([[-3.0], [-0.5], [0.0], [0.5], [2.0]])
    zero = np.zeros_like(e)
    np.testing.assert_allclose(huber(e, zero, delta=0.5), [1.375, 0.125, 0, 0.125, 0.875])
    np.testing.assert_allclose(huber(e, zero, delta=np.inf), e[:, 0] ** 2 / 2)
    np.testing.assert_allclose(huber(e, zero, delta=1e-9) / 1e-9, np.abs(e[:, 0]), atol=1e-9)
    slopes = grad(lambda e: jnp.sum(huber(e, zero, delta=0.5)))(jnp.asarray(e))
    np.testing.assert_allclose(slopes[:, 0], [-0.5, -0.5, 0, 0.5, 0.5])
