"""Steps that are not finite are not taken: by any optimizer, of this library or another."""

import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import OPTIMIZERS, TRANSFORMS, apply_updates, chain, clip_by_global_norm
from jaxopt_notes.optimizers.transforms.zero_nonfinite import zero_nonfinite
from jaxopt_notes.optimizers.wrappers.skip_nonfinite import skip_nonfinite
from tests.optimizers.runs import STEPS, follow
from tests.properties.registry import plain

PARAMS = {"kernel": np.ones((2, 2), np.float32), "bias": np.full(3, -0.5, np.float32)}
INNER = {name: factory() for name, factory in (OPTIMIZERS | TRANSFORMS).items()}
INNER["chain"] = chain(clip_by_global_norm(1.0), OPTIMIZERS["adam"]())


class Foreign(NamedTuple):
    """A transform made of functions, as other libraries make them: a sum of gradients as the step."""

    init: object = lambda params: jax.tree.map(jnp.zeros_like, params)
    update: object = lambda g, state, params=None: (jax.tree.map(jnp.add, state, g),) * 2


INNER["foreign"] = Foreign()


def gradients(bad, at):
    """Good gradients, but for one bad entry at some steps."""
    rng = np.random.default_rng(0)
    grads = {name: rng.normal(size=(STEPS, *p.shape)).astype(np.float32) for name, p in PARAMS.items()}
    grads["bias"][at, 1] = bad
    return grads


@pytest.mark.full
@pytest.mark.notes("S3-48")
@pytest.mark.parametrize("name", INNER)
def test_a_run_with_bad_steps_is_the_run_without_them(name):
    """Parameters and state after steps 0…11 without 3 and 4 are those of a run that never saw them."""
    grads = gradients(np.inf, [3])
    grads["bias"][4, 0] = np.nan
    good = np.delete(np.arange(STEPS), [3, 4])
    optimizer = skip_nonfinite(INNER[name])
    path, states = plain(follow(optimizer, PARAMS, grads))
    expected, alone = plain(follow(optimizer, PARAMS, jax.tree.map(lambda g: g[good], grads)))
    for found, wanted in zip(
        jax.tree.leaves((path, states.inner)), jax.tree.leaves((expected, alone.inner)), strict=True
    ):
        np.testing.assert_allclose(found[good], wanted, rtol=1e-6)
        np.testing.assert_array_equal(found[4], found[2])
    np.testing.assert_array_equal(states.skipped, [0, 0, 0, 1, *[2] * 8])
    np.testing.assert_array_equal(states.last_finite, [step in good for step in range(STEPS)])


@pytest.mark.parametrize("name", ["adam", "chain", "foreign"])
def test_good_steps_are_the_optimizers_own(name):
    grads = gradients(0.0, [])
    path, _ = follow(skip_nonfinite(INNER[name]), PARAMS, grads)
    expected, _ = follow(chain(INNER[name]), PARAMS, grads)
    for found, wanted in zip(jax.tree.leaves(path), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_huge_but_finite_gradients_are_taken():
    """Their squares are infinite in float32, they are not."""
    optimizer = skip_nonfinite(OPTIMIZERS["sgd"](1.0))
    updates, state = optimizer.update(jnp.array([1e25, -1e30]), optimizer.init(jnp.zeros(2)))
    np.testing.assert_array_equal(updates, jnp.array([-1e25, 1e30]))
    assert int(state.skipped) == 0


def test_a_bad_entry_anywhere_in_a_matrix_is_found_and_the_sum_is_a_fast_one():
    """XLA's CPU backend sums some whole matrices, as these, in tiles of 32 by 32: very slowly."""
    optimizer = skip_nonfinite(OPTIMIZERS["sgd"](1.0))
    grads = {"a": np.zeros((4, 64, 64), np.float32), "b": np.zeros((4, 2, 64, 32), np.float32)}
    grads["a"][1, 63, 0], grads["b"][2, 1, 5, 31], grads["b"][3, 0, 0, 0] = np.nan, np.inf, -np.inf

    def skipped(grads, params, x):
        found = [grads, jax.grad(lambda p: jnp.sum(jnp.sin(x @ p["a"] @ p["b"])))(params)]
        return [optimizer.update(g, optimizer.init(g))[1].skipped for g in found]

    params = {"a": grads["a"], "b": np.zeros((4, 64, 64), np.float32)}
    program = jax.jit(jax.vmap(skipped)).lower(grads, params, np.zeros((4, 32, 64), np.float32)).compile()
    given, computed = program(grads, params, np.zeros((4, 32, 64), np.float32))
    np.testing.assert_array_equal((given, computed), ([0, 1, 1, 1], [0, 1, 0, 0]))
    assert not re.search(r"reduce-window\(.*size=[0-9x]*32x32", program.as_text())


@pytest.mark.parametrize(
    "dtype", ["float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2", "complex64"]
)
def test_bad_entries_of_every_dtype_are_found(dtype):
    """NaN of either sign, infinities where there are any, and none in what is large, empty or a scalar."""
    optimizer = skip_nonfinite(OPTIMIZERS["sgd"](1.0))
    dtype = np.dtype(dtype)
    large = jnp.finfo(dtype).max
    cases = [(large, 0), (-large, 0), (np.nan, 1), (np.copysign(np.nan, -1), 1)]
    if dtype.name != "float8_e4m3fn":
        cases += [(np.inf, 1), (-np.inf, 1)]
    if dtype.kind == "c":
        cases += [(complex(large, large), 0), (complex(0, np.nan), 1), (complex(0, -np.inf), 1)]
    rows = np.zeros((len(cases), 2, 3), dtype)
    rows[:, 1, 2] = [value for value, _ in cases]
    scalars = rows[:, 1, 2]

    def skipped(*grads):
        return optimizer.update(grads, optimizer.init(grads))[1].skipped

    empty = np.zeros((len(cases), 0, 3), dtype)
    for grads in ((rows, empty), (scalars,)):
        np.testing.assert_array_equal(jax.jit(jax.vmap(skipped))(*grads), [bad for _, bad in cases])


@pytest.mark.notes("S3-48")
def test_members_of_a_population_do_not_touch_each_other():
    optimizer = skip_nonfinite(OPTIMIZERS["adam"](0.1))
    params = jnp.ones((3, 2))
    grads = jnp.array([[1.0, 1.0], [jnp.nan, 1.0], [1.0, jnp.inf]])
    updates, states = jax.vmap(lambda g, p: optimizer.update(g, optimizer.init(p), p))(grads, params)
    np.testing.assert_array_equal(states.skipped, [0, 1, 1])
    np.testing.assert_allclose(apply_updates(params, updates), [[0.9, 0.9], [1, 1], [1, 1]], rtol=1e-6)


def test_integers_and_missing_gradients_do_not_count_as_bad():
    optimizer = skip_nonfinite(OPTIMIZERS["sgd"](0.1))
    params = {"w": jnp.ones(2), "n": jnp.array(3), "absent": jnp.ones(1)}
    grads = {"w": jnp.ones(2), "n": np.zeros((), jax.dtypes.float0), "absent": None}
    updates, state = optimizer.update(grads, optimizer.init(params), params)
    np.testing.assert_allclose(updates["w"], -0.1, rtol=1e-6)
    assert updates["absent"] is None
    assert int(state.skipped) == 0


@pytest.mark.notes("S3-48")
def test_single_entries_are_zeroed_and_counted():
    """The others are taken; a step refused for another reason is not counted."""
    transform = zero_nonfinite()
    grads = {"w": jnp.array([[jnp.nan, 1.0, -jnp.inf], [2.0, 1.0, 1.0]]), "b": jnp.array([0.5, 0.5])}
    updates, state = transform.update(jax.tree.map(lambda g: g[0], grads), transform.init(None))
    np.testing.assert_array_equal(updates["w"], [0, 1, 0])
    assert (int(state.zeroed_steps), int(state.last_zeroed)) == (1, 2)
    _, state = transform.update(jax.tree.map(lambda g: g[1], grads), state)
    assert (int(state.zeroed_steps), int(state.last_zeroed)) == (1, 0)
    _, same = transform.update(jax.tree.map(lambda g: g[0], grads), state, accept=jnp.array(False))
    assert same == state
