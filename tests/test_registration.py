"""A rule or a layer is a file and a registry line: added to a copy of the package, it is found everywhere."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
RULE = '''"""Gradient descent by cube roots."""

from typing import Any

import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.optimizers.core.leafwise import Transform, first_step, increment, leafwise
from jaxopt_notes.optimizers.sgd import SGDState
from jaxopt_notes.record import record
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at


@record
class CubeRootSGD(Transform):
    """See `cube_root_sgd`."""

    learning_rate: Rate

    def init(self, params: Tree) -> SGDState:
        return SGDState(first_step())

    def update(
        self, updates: Tree, state: SGDState, params: Tree = None, *, accept: Any = None, **extra: Any
    ) -> tuple[Tree, SGDState]:
        rate = rate_at(self.learning_rate, state.count)
        (updates,) = leafwise(cube_root_step, updates, params, rate=rate, accept=accept)
        return updates, SGDState(increment(state.count, accept))


def cube_root_step(g, p, *, rate):
    return -rate * jnp.cbrt(g)


def cube_root_sgd(learning_rate: Rate = 1e-2) -> CubeRootSGD:
    """Gradient descent by cube roots.

        θ ← θ − η·∛g

    Example:
        >>> cube_root_sgd(0.5).learning_rate
        0.5

    Source: made up for this test.
    """
    return CubeRootSGD(check_rate("cube_root_sgd(learning_rate)", learning_rate))
'''
RULE_LINE = (
    "from jaxopt_notes.optimizers.cube_root_sgd import CubeRootSGD as CubeRootSGD, "
    "cube_root_sgd as cube_root_sgd  # rate 0.07"
)
LAYER_LINE = "from jaxopt_notes.layers.reverse import *"
LAYER = '''"""Units in the reverse order."""

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.layer import WithoutParameters
from jaxopt_notes.record import record

__all__ = ["Reverse", "reverse"]


@record
class Reverse(WithoutParameters):
    """See `reverse`."""

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        return x[..., ::-1], state


def reverse() -> Reverse:
    """Units in the reverse order.

        yᵢ = xₙ₋ᵢ

    Example:
        >>> reverse()
        Reverse()

    Source: made up for this test.
    """
    return Reverse()
'''
CHECK = """
import contextlib, io
import jaxopt_notes as jn
assert jn.__file__.startswith(FOLDER), jn.__file__
assert jn.cube_root_sgd(0.1) and "cube_root_sgd" in dir(jn)
assert {"cube_root_sgd", "CubeRootSGD"} <= set(jn.optimizers.__all__)

with contextlib.redirect_stdout(io.StringIO()) as printed:
    from jaxopt_notes.cli import main
    main(["optimizers"])
assert "cube_root_sgd(learning_rate" in printed.getvalue() and "θ ← θ − η·∛g" in printed.getvalue()

from tests.properties.registry import subjects
(subject,) = [s for s in subjects("optimizers") if s.label == "cube_root_sgd"]
assert subject.evaluate(subject.build()).shape

from benchmarks.budgets import BUDGETS, Budget
from benchmarks.counts import recipes
assert BUDGETS["cube_root_sgd"] == Budget(12, 12)
assert "cube_root_sgd" in recipes()

from tests.optimizers.test_convergence import RATES, test_reaches_the_minimum
assert RATES["cube_root_sgd"] == 0.07 and RATES["momentum"] == 0.03 and RATES["polyak_sgd"] == 0.1
test_reaches_the_minimum("cube_root_sgd", "quadratic", None)

from benchmarks.optimizer_table import overview, section
row = overview({"cube_root_sgd": jn.cube_root_sgd}, ())
assert "| [cube_root_sgd](#cube_root_sgd) |" in row
assert "θ ← θ − η·∛g" in section("cube_root_sgd", jn.optimizers.OPTIMIZERS["cube_root_sgd"], ())

assert jn.reverse() and {"reverse", "Reverse"} <= set(jn.layers.__all__)
assert jn.layers.LAYERS["reverse"] is jn.reverse
assert any(s.label == "reverse" for s in subjects("layers"))
print("found everywhere")
"""


def register(package, file, source, line, marker):
    """Write a new file of a package, and its line before the marker in `__init__.py`."""
    (package / file).write_text(source, encoding="utf-8")
    registry = package / "__init__.py"
    before, found, after = registry.read_text(encoding="utf-8").partition(marker)
    assert found
    registry.write_text(f"{before}{line}\n{found}{after}", encoding="utf-8")


def test_a_rule_and_a_layer_are_one_file_and_one_line_each(tmp_path):
    leave_out = shutil.ignore_patterns("__pycache__", "results", "*.pyc")
    for name in ("jaxopt_notes", "tests", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=leave_out)
    package = tmp_path / "jaxopt_notes"
    register(package / "optimizers", "cube_root_sgd.py", RULE, RULE_LINE, "\nOPTIMIZERS: _Registry =")
    register(package / "layers", "reverse.py", LAYER, LAYER_LINE, "\nLAYERS =")
    code = f"FOLDER = {str(tmp_path)!r}" + CHECK
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.stdout.strip() == "found everywhere", run.stderr[-3000:]
