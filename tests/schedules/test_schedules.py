"""Every schedule of the registry against every invariant: a schedule registered is a schedule tested."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.schedules import SCHEDULES, cosine, exponential, join, linear, warmup

# Arguments of one ordinary schedule for every name; the variants are other structures of it.
ARGUMENTS = {
    "constant": [{"value": 0.3}],
    "piecewise": [{"boundaries": (4, 9), "values": (1.0, 0.5, 0.2)}],
    "step": [{"init_value": 1.0, "transition_steps": 4, "decay_rate": 0.3}],
    "exponential": [
        {"init_value": 1.0, "transition_steps": 4, "decay_rate": 0.3},
        {"init_value": 1.0, "transition_steps": 4, "decay_rate": 0.3, "staircase": True, "end_value": 0.1},
    ],
    "natural_exponential": [
        {"init_value": 1.0, "decay_rate": 0.2, "transition_steps": 3},
        {"init_value": 1.0, "decay_rate": 0.2, "transition_steps": 3, "staircase": True},
    ],
    "inverse_time": [
        {"init_value": 1.0, "decay_rate": 0.2, "transition_steps": 3},
        {"init_value": 1.0, "decay_rate": 0.2, "transition_steps": 3, "staircase": True},
    ],
    "polynomial": [
        {"init_value": 1.0, "end_value": 0.1, "power": 0.5, "transition_steps": 8, "transition_begin": 2},
        {"init_value": 1.0, "end_value": 0.1, "power": 2.0, "transition_steps": 8, "cycle": True},
    ],
    "linear": [{"init_value": 1.0, "end_value": 0.1, "transition_steps": 8}],
    "cosine": [{"init_value": 1.0, "decay_steps": 8, "alpha": 0.1, "exponent": 0.5}],
    "linear_cosine": [{"init_value": 1.0, "decay_steps": 8, "num_periods": 1.5}],
    "noisy_linear_cosine": [{"init_value": 1.0, "decay_steps": 8, "initial_variance": 0.01, "beta": 0.1}],
    "sgdr": [{"init_value": 1.0, "decay_steps": 4, "t_mul": 1.5, "m_mul": 0.9, "alpha": 0.1}],
    "triangular": [{"init_value": 0.1, "peak_value": 1.0, "transition_steps": 4, "m_mul": 0.5}],
    "one_cycle": [{"transition_steps": 10, "peak_value": 1.0}],
    "noam": [{"d_model": 16, "warmup_steps": 5}],
    "warmup": [{"steps": 4, "schedule": exponential(1.0, 3, 0.5), "init_value": 0.1}],
    "join": [{"schedules": (0.5, cosine(1.0, 5), linear(0.3, 0.1, 4)), "boundaries": (3, 8)}],
    "warmup_cosine": [{"init_value": 0.1, "peak_value": 1.0, "warmup_steps": 4, "decay_steps": 12}],
    "warmup_stable_decay": [{"peak_value": 1.0, "warmup_steps": 3, "stable_steps": 4, "decay_steps": 5}],
}
CASES = [
    pytest.param(SCHEDULES[name](**arguments), id=f"{name}-{i}")
    for name, variants in ARGUMENTS.items()
    for i, arguments in enumerate(variants)
]
STEPS = np.arange(0, 21)
# Where no schedule above has a corner or a jump, so that derivatives are what differences say.
SMOOTH = np.array([0.37, 1.71, 3.33, 5.45, 6.77, 10.61, 15.83])
EVERY_SCHEDULE = pytest.mark.parametrize("schedule", CASES)


def leaves(schedule):
    """Every number of a schedule: its index, its path, its value."""
    return [
        (i, jax.tree_util.keystr(path), v) for i, (path, v) in enumerate(jax.tree.leaves_with_path(schedule))
    ]


def test_every_schedule_is_tested():
    assert set(ARGUMENTS) == set(SCHEDULES)


@EVERY_SCHEDULE
@pytest.mark.notes("S4-15", "S3-04")
def test_values_are_finite_and_not_negative_traced_or_not(schedule):
    @jax.jit
    def values(traced, steps):
        return jax.lax.map(traced, steps), jax.vmap(traced)(steps), schedule(7)

    one_by_one, at_once, of_a_number = map(np.asarray, values(schedule, STEPS))
    assert np.isfinite(one_by_one).all()
    assert (one_by_one >= 0).all()
    np.testing.assert_allclose(at_once, one_by_one, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(of_a_number, one_by_one[7], rtol=1e-5, atol=1e-7)


@EVERY_SCHEDULE
def test_the_value_is_a_strong_float32_scalar_whatever_the_step_is(schedule):
    for step in (3, 3.0, np.int64(3), jnp.int32(3), jnp.uint8(3), jnp.bfloat16(3)):
        value = jax.eval_shape(schedule, step)
        assert (value.shape, value.dtype, value.weak_type) == ((), jnp.float32, False)


@EVERY_SCHEDULE
def test_the_value_is_float64_under_x64(schedule, x64):
    for step in (3, jnp.int32(3)):
        assert jax.eval_shape(schedule, step).dtype == jnp.float64


@EVERY_SCHEDULE
def test_the_derivative_with_respect_to_the_step_is_that_of_differences(schedule, x64):
    """In float64, away from corners; that with respect to the numbers is in `tests/properties`."""
    h = 1e-6

    @jax.jit
    def both(steps):
        differences = (schedule(steps + h) - schedule(steps - h)) / (2 * h)
        return jax.vmap(jax.grad(schedule))(steps), differences

    slopes, differences = both(jnp.asarray(SMOOTH))
    np.testing.assert_allclose(slopes, differences, rtol=1e-6, atol=1e-7)


@EVERY_SCHEDULE
def test_numbers_of_zero_and_one_are_finite_also_in_their_gradients(schedule):
    """Horizons, powers, factors: any of them alone, and all horizons together, may be 0 or 1."""
    horizon_names = ("steps", "transition_begin", "boundaries")
    positive = ("d_model", "div_factor", "final_div_factor")  # divisors by definition, no horizons
    found = leaves(schedule)
    horizons = [i for i, name, _ in found if any(part in name for part in horizon_names)]
    divisors = [i for i, name, _ in found if any(part in name for part in positive)]
    numbers, treedef = jax.tree.flatten(jax.tree.map(float, schedule))

    @jax.jit
    def everything(numbers):
        def at(numbers, step):
            return jax.tree.unflatten(treedef, list(numbers))(step)

        both = jax.value_and_grad(at, argnums=(0, 1))
        return jax.vmap(both, in_axes=(None, 0))(numbers, jnp.array([0.0, 1.0, 2.0, 7.0, 1e6]))

    for value in (0.0, 1.0):
        alone = [[i] for i in range(len(found)) if value or i not in divisors]
        for chosen in [*alone, horizons]:
            changed = np.array(numbers, np.float32)
            changed[chosen] = value
            assert all(np.isfinite(x).all() for x in jax.tree.leaves(everything(changed))), (chosen, found)


@EVERY_SCHEDULE
def test_times_before_the_first_step_and_far_beyond_the_last_are_finite(schedule):
    assert np.isfinite([schedule(step) for step in (-7, -1.5, 2**31 - 1, 1e12)]).all()


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        (
            "exponential",
            {"init_value": 1.0, "transition_steps": -1, "decay_rate": 0.5},
            "transition_steps.* is -1",
        ),
        (
            "exponential",
            {"init_value": 1.0, "transition_steps": 1, "decay_rate": 0.0},
            "1 switches the decay off",
        ),
        ("cosine", {"init_value": 1.0, "decay_steps": -3}, r"cosine\(decay_steps\) is -3"),
        ("sgdr", {"init_value": 1.0, "decay_steps": 3, "t_mul": 0.5}, "1 makes all runs equally long"),
        ("one_cycle", {"transition_steps": 3, "peak_value": 1.0, "pct_start": 2.0}, r"pct_start\) is 2"),
        ("piecewise", {"boundaries": [5, 3], "values": [1, 2, 3]}, "rising order"),
        ("piecewise", {"boundaries": [5], "values": [1, 2, 3]}, "has 1 entries, expected 2"),
        ("join", {"schedules": [1.0], "boundaries": [2]}, "has 1 entries, expected 0"),
    ],
)
def test_a_wrong_number_is_named_with_its_remedy(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        SCHEDULES[name](**arguments)


def test_factories_take_tracers():
    """A sweep over warm-up lengths and decays builds its schedules inside vmap."""

    def at_five(warm, total):
        return warmup(warm, join([cosine(1.0, total), 0.25], [total]))(5)

    got = jax.jit(jax.vmap(at_five))(jnp.array([0, 5, 10]), jnp.array([5.0, 10.0, 10.0]))
    np.testing.assert_allclose(got, [0.25, 1.0, 0.5], rtol=1e-6)
