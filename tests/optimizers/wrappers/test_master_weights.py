"""Half-precision parameters that move by less than their last digit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxopt_notes as jn
from jaxopt_notes.optimizers import kahan, master_weights

WRAPPERS = [master_weights, kahan]


def run(optimizer, x, steps, grad):
    def body(carry, _):
        x, state = carry
        updates, state = optimizer.update(grad(x), state, x)
        return (jn.apply_updates(x, updates), state), None

    return lax.scan(body, (x, optimizer.init(x)), length=steps)[0]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_thousand_steps_too_small_to_be_seen(wrapper, dtype):
    """Each is a hundredth of the spacing of numbers at 1; alone, none of them moves the parameter."""
    x, rate = jnp.ones(3, dtype), float(jnp.finfo(dtype).eps) / 100
    plain, _ = run(jn.sgd(rate), x, 1000, jnp.ones_like)
    assert (plain == 1).all()
    ours, _ = run(wrapper(jn.sgd(rate)), x, 1000, jnp.ones_like)
    np.testing.assert_allclose(np.float64(ours), 1 - 1000 * rate, rtol=float(jnp.finfo(dtype).eps))
    assert ours.dtype == dtype


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_adam_on_a_quadratic_ends_where_float32_ends(wrapper):
    scale = jnp.linspace(0.5, 2, 64)
    start = jnp.linspace(1, 3, 64)

    def grad(x):
        return (scale.astype(x.dtype) * (x - jnp.ones((), x.dtype))).astype(x.dtype)

    exact, _ = run(jn.adam(3e-3), start, 500, grad)
    ours, _ = run(wrapper(jn.adam(3e-3)), start.astype(jnp.bfloat16), 500, grad)
    plain, _ = run(jn.adam(3e-3), start.astype(jnp.bfloat16), 500, grad)
    errors = [np.abs(np.float64(x) - np.float64(exact)).mean() for x in (ours, plain)]
    assert errors[0] < 0.01  # two units in the last place
    assert errors[0] < errors[1] / 3


@pytest.mark.parametrize(
    "dtype",
    ["float16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3", "float8_e3m4", "float8_e4m3b11fnuz",
     "float8_e4m3fnuz", "float8_e5m2fnuz", "float4_e2m1fn"],
)  # fmt: skip
def test_the_smallest_and_the_largest_parameters_are_rounded_like_all_others(dtype):
    """Below the smallest normal number they were 0, and near the largest one of float8_e4m3fn NaN."""
    kind, info = np.dtype(dtype), jnp.finfo(dtype)
    tiny, small, large = float(info.smallest_subnormal), float(info.smallest_normal), float(info.max)
    start = np.array([tiny, 3 * tiny, small, 1.0, 1.5, 0.9 * large, large], np.float32).astype(kind)
    expected = (start.astype(np.float32) * np.float32(0.9)).astype(kind)
    for wrapper in WRAPPERS:
        x, _ = jax.jit(lambda x, wrapper=wrapper: run(wrapper(jn.sgd(0.1)), x, 1, lambda x: x))(start)
        np.testing.assert_array_equal(np.float32(x), np.float32(expected))


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_state_is_for_half_leaves_only(wrapper):
    params = {"half": jnp.ones(4, jnp.bfloat16), "single": jnp.ones(4), "count": jnp.arange(2), "none": None}
    state = wrapper(jn.sgd(0.1)).init(params)
    rest = [leaf.dtype for leaf in jax.tree.leaves(state.rest)]
    assert rest == [jnp.float32 if wrapper is master_weights else jnp.bfloat16]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_step_not_accepted_changes_nothing(wrapper):
    optimizer, x = jn.skip_nonfinite(wrapper(jn.sgd(0.1))), jnp.ones(2, jnp.bfloat16)
    state = optimizer.init(x)
    updates, after = optimizer.update(jnp.array([jnp.nan, 1], jnp.bfloat16), state, x)
    assert not updates.any()
    jax.tree.map(np.testing.assert_array_equal, after.inner.rest, state.inner.rest)
