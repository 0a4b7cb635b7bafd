"""The flags of JAX that users switch on, one by one, with fit, sweep and population_map."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn

X = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
DATA = (X, 2 * X)

FLAGS = {
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_disable_jit": True,
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_check_tracer_leaks": True,
    "jax_default_matmul_precision": "highest",
    "jax_log_compiles": True,
    "jax_transfer_guard": "disallow",
    "jax_threefry_partitionable": True,
}


@pytest.fixture
def flag():
    """Sets a flag for the whole program, as users do, until the test is over."""
    before = {}

    def switch(name, value):
        before[name] = getattr(jax.config, name)
        jax.config.update(name, value)

    yield switch
    for name, value in before.items():
        jax.config.update(name, value)


def build(h):
    return jn.Trainer(
        jn.dense(1), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None, batch_size=4,
        early_stopping=jn.patience(5),
    )  # fmt: skip


def run_fit(key):
    trainer = build({"rate": 0.5})
    result = jn.fit(trainer, key, DATA, DATA, epochs=2, progress=False)
    unstopped = dataclasses.replace(trainer, early_stopping=None)
    return result.history, jn.fit(unstopped, key, DATA, epochs=1, progress=False).history, result.best_score


def run_sweep(key):
    space = {"rate": jn.uniform(0.1, 0.5)}
    return jn.sweep(build, space, (DATA, DATA), jn.random_search(2), epochs=2, key=key, progress=False).scores


def run_population(key):
    def train(rate, key, x):
        w = jax.lax.fori_loop(0, 3, lambda i, w: w - rate * (w - 1.0), jax.random.normal(key, ()))
        return {"w": w, "key": key, "mean": jnp.mean(x)}

    keys = jax.random.split(key, 3)
    out = jn.population_map(train, np.array([0.1, 0.2, 0.3]), keys, shared=(X,))
    return out["w"], jax.random.key_data(out["key"])


@functools.cache
def without_flags(run):
    return run(jax.random.key(0))


RUNS = (run_fit, run_sweep, run_population)
QUICK = {("jax_disable_jit", run_sweep), ("jax_debug_nans", run_fit), ("jax_debug_nans", run_sweep)}


@pytest.mark.parametrize(
    ("name", "run"),
    [
        pytest.param(*pair, marks=() if pair in QUICK else pytest.mark.full)
        for pair in itertools.product(FLAGS, RUNS)
    ],
)
def test_a_flag_changes_nothing(name, run, key, flag):
    want = without_flags(run)
    flag(name, FLAGS[name])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), run(key), want)


@pytest.mark.full
@pytest.mark.parametrize("run", RUNS)
def test_x64_trains_in_float64(run, key, x64):
    """The draws are others then."""
    results = jax.tree.leaves(run(key))
    assert all(np.isfinite(x).all() for x in results)
    assert any(np.asarray(x).dtype == np.float64 for x in results)


def test_without_jit_members_are_trained_one_by_one_as_python(key, flag, tmp_path):
    """A training function that looks at its numbers runs, in this thread; its folder serves with jit, too."""
    flag("jax_disable_jit", True)
    seen = []

    def train(rate, key):
        seen.append(float(rate))
        return rate + 1 if rate > 1 else rate

    keys, rates, done = jax.random.split(key, 3), np.array([0.5, 1.5, 2.5], np.float32), []
    out, report = jn.population_map(
        train, rates, keys, folder=tmp_path, progress=lambda n, members: done.append(n), return_report=True
    )
    np.testing.assert_array_equal(out, [0.5, 2.5, 3.5])
    assert (seen, done, report.trained, report.workers) == ([0.5, 1.5, 2.5], [1, 2, 3], 3, 1)


@pytest.mark.parametrize(("name", "bad"), [("jax_debug_nans", [np.nan, 1, 1]), ("jax_debug_infs", [1e30, 1])])
def test_what_is_not_finite_is_still_found(name, bad, key, flag):
    """The flags are there for it: nothing of this library hides a loss that is none."""
    flag(name, True)
    x = np.array(bad, np.float32)[:, None]
    with pytest.raises(FloatingPointError):
        jn.fit(build({"rate": 0.1}), key, (x, x), (x, x), epochs=1, progress=False)


@pytest.mark.full
@pytest.mark.parametrize(
    "strategy",
    [
        jn.bayesian(4, initial=2, batch=2),
        jn.successive_halving(4),
        jn.cma_es(4),
        jn.population_based_training(4),
        jn.median_stopping(4, max_epochs=3, wave=2),
    ],
    ids=lambda strategy: type(strategy).__name__,
)
def test_what_a_strategy_does_not_know_yet_is_finite(strategy, key, flag):
    flag("jax_debug_infs", True)
    state = strategy.init(key, {"rate": jn.uniform(0.0, 1.0)})
    for _ in range(2):
        n = strategy.remaining(state)
        configs, state = strategy.ask(state, key, n)
        state = strategy.tell(state, configs, jnp.arange(float(n)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
