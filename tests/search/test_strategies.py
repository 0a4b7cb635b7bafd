"""Grid and random search: counts, order, reproducibility, and which of them finds the best sooner."""

import itertools
import os
import pathlib
import pickle
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes
from jaxopt_notes.search import (
    STRATEGIES,
    choice,
    grid_search,
    halton,
    integers,
    latin_hypercube,
    log_uniform,
    random_search,
    sobol,
    uniform,
)
from tests.search.curves import ask_all

SPACE = {"rate": log_uniform(1e-3, 1e-1), "dropout": uniform(0.0, 0.5), "batch": choice([4, 16, 64, 256])}


@pytest.mark.notes("S1-40")
def test_a_grid_is_the_product_in_a_fixed_order(key):
    configs, state = ask_all(grid_search({"rate": 3, "dropout": 2, "batch": 1}), SPACE, key)
    want = list(itertools.product([4, 16, 64, 256], [0.0, 0.5], [1e-3, 1e-2, 1e-1]))  # names sorted
    got = np.stack([configs[name] for name in ("batch", "dropout", "rate")], axis=1)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert grid_search({"rate": 3, "dropout": 2, "batch": 1}).remaining(state) == 0


@pytest.mark.notes("S1-40")
def test_a_grid_finds_a_planted_optimum(key):
    configs, _ = ask_all(grid_search(5), SPACE, key)
    c = {name: np.asarray(column, float) for name, column in configs.items()}
    loss = (np.log10(c["rate"]) + 2) ** 2 + (c["dropout"] - 0.25) ** 2 + (c["batch"] != 64)
    best = int(np.argmin(loss))
    assert configs["batch"][best] == 64
    np.testing.assert_allclose([configs["rate"][best], configs["dropout"][best]], [1e-2, 0.25], rtol=1e-5)


@pytest.mark.full
@pytest.mark.notes("S1-42")
def test_seven_points_in_three_dimensions_are_343(key):
    strategy = grid_search(7)
    state = strategy.init(key, dict.fromkeys("abc", uniform(0.0, 1.0)))
    assert strategy.remaining(state) == 343
    configs, state = strategy.ask(state, key, 343)
    assert len({tuple(map(float, row)) for row in zip(*configs.values(), strict=True)}) == 343
    # one program evaluates them all
    assert jax.vmap(lambda c: c["a"] + c["b"] + c["c"])(configs).shape == (343,)


def test_a_grid_can_be_asked_in_batches_and_ends(key):
    strategy = grid_search(3)
    whole, _ = ask_all(strategy, SPACE, key)
    state, parts = strategy.init(key, SPACE), []
    for n in (5, 20, 11):
        part, state = strategy.ask(state, key, n)
        parts.append(part)
    for name, column in whole.items():
        np.testing.assert_array_equal(column, np.concatenate([part[name] for part in parts]))
    with pytest.raises(ValueError, match="asked for 1 configurations, 0 of 36 are left"):
        strategy.ask(state, key, 1)


@pytest.mark.notes("S1-43", "S1-47")
def test_random_draws_depend_on_the_key_alone(key):
    configs, _ = ask_all(random_search(8), SPACE, key)
    again, _ = ask_all(random_search(8), SPACE, key)
    other, _ = ask_all(random_search(8), SPACE, jax.random.key(1))
    more, _ = ask_all(random_search(20), SPACE | {"another": integers(0, 5)}, key)
    for name, column in configs.items():
        np.testing.assert_array_equal(column, again[name])
        np.testing.assert_array_equal(column, more[name][:8])  # each guess is independent of the others
        assert (column != other[name]).any()


def test_states_are_pytrees_that_pickle_and_jit(key):
    for name, strategy in {"grid_search": grid_search(3), "random_search": random_search(4)}.items():
        assert name in STRATEGIES
        state = strategy.init(key, SPACE)
        plain, next_state = strategy.ask(state, key, 4)
        jitted, jitted_state = jax.jit(strategy.ask, static_argnums=2)(state, key, 4)
        restored = pickle.loads(pickle.dumps(next_state))
        for column in plain:
            np.testing.assert_allclose(plain[column], jitted[column], rtol=1e-6)
        assert strategy.remaining(restored) == strategy.remaining(jitted_state)
        told = strategy.tell(next_state, plain, jnp.zeros(4))
        assert jax.tree.structure(told) == jax.tree.structure(next_state)


def test_errors_name_everything(key):
    with pytest.raises(ValueError, match=r"grid_search\(points\) is 0"):
        grid_search(0)
    with pytest.raises(ValueError, match=r"grid_search\(points\['rate'\]\) is 0"):
        grid_search({"rate": 0})
    with pytest.raises(ValueError, match=r"\(batch, dropout, typo differ\)"):
        grid_search({"rate": 2, "typo": 2}).init(key, SPACE)
    with pytest.raises(ValueError, match=r"random_search\(n\) is 0"):
        random_search(0)


NEW_STRATEGY = """
\"\"\"A strategy that was not there before.\"\"\"

import jax

from jaxopt_notes.record import record, static
from jaxopt_notes.search.strategies.random_search import RandomSearch

__all__ = ["Guess", "guess"]


@record
class Guess(RandomSearch):
    n: int = static()


def guess(n: int = 6) -> Guess:
    return Guess(n)
"""


def test_a_new_strategy_is_one_file_and_one_line(tmp_path):
    package = tmp_path / "jaxopt_notes"
    shutil.copytree(pathlib.Path(jaxopt_notes.__file__).parent, package)
    (package / "search" / "strategies" / "guess.py").write_text(NEW_STRATEGY)
    init = package / "search" / "__init__.py"
    line = "from jaxopt_notes.search.strategies.cma_es import *\n"
    init.write_text(init.read_text().replace(line, line + line.replace("cma_es", "guess")))
    code = """
import jaxopt_notes as jn
assert jn.search.STRATEGIES["guess"] is jn.guess and {"Guess", "guess"} <= set(jn.search.__all__)
from jaxopt_notes.cli.notation import read_strategy
print(jn.__file__, read_strategy("guess(3)"))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.stdout.split() == [str(package / "__init__.py"), "Guess(n=3)"], run.stderr


@pytest.mark.notes("S1-44", "S1-45")
def test_nine_trials_random_against_grid(key):
    """f(x, y) = g(x) + 0.01·h(y): x matters, y hardly; g peaks at a place that differs from seed to seed."""
    space = {"x": uniform(0.0, 1.0), "y": uniform(0.0, 1.0)}
    grid, _ = ask_all(grid_search(3), space, key)
    draw = lambda key: random_search(9).ask(random_search(9).init(key, space), key, 9)[0]  # noqa: E731
    keys = jax.random.split(key, 1000)
    random = jax.vmap(draw)(keys)
    assert len(np.unique(grid["x"])) == 3
    assert all(len(np.unique(row)) == 9 for row in np.asarray(random["x"]))

    peak = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, 0)))(keys)[:, None]

    def best(c):
        return jnp.max(-((c["x"] - peak) ** 2) + 0.01 * jnp.cos(3 * c["y"]), axis=1)

    of_random, of_grid = best(random), best({name: column[None] for name, column in grid.items()})
    assert of_random.mean() > of_grid.mean()
    assert (of_random > of_grid).mean() > 0.55


def test_two_equal_dimensions_are_drawn_apart(key):
    space = {name: uniform(0.0, 1.0) for name in ("a", "b")}
    for strategy in (random_search(64), latin_hypercube(64), sobol(64), halton(64)):
        configs, _ = ask_all(strategy, space, key)
        assert not np.isclose(configs["a"], configs["b"]).any()
        assert abs(np.corrcoef(configs["a"], configs["b"])[0, 1]) < 5 / 8
