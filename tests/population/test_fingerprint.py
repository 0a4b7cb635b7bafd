"""Fingerprints: another run is another text, the same run the same text in every process."""

import dataclasses
import enum
import functools
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.population import fingerprint


class Mode(enum.Enum):
    A = 1
    B = 2


@dataclasses.dataclass
class Options:
    rate: float


def plus(c, key):
    return c + 1


def times(c, key):
    return c * 2


def closing_over(value):
    return lambda c, key: (c, value)


def module(helper: str, body: str):
    """A function `train` of a module of its own."""
    names: dict = {"__name__": "experiment", "jax": jax, "functools": functools}
    exec(f"{helper}\n{body}", names)
    return names["train"]


def differentiable(function):
    made = jax.custom_vjp(plus)
    made.defvjp(function, times)
    return made


CALL = "def train(c, key): return helper(c)"
NESTED = "def train(c, key):\n    def inner(y): return helper(y)\n    return inner(c)"
DIFFERENT = {
    "jit": (jax.jit(plus), jax.jit(times)),
    "vmap": (jax.vmap(plus), jax.vmap(times)),
    "a jitted closure": (closing_over(jax.jit(plus)), closing_over(jax.jit(times))),
    "custom_vjp": (jax.custom_vjp(plus), jax.custom_vjp(times)),
    "its derivative": (differentiable(plus), differentiable(times)),
    "Partial": (jax.tree_util.Partial(plus, 1), jax.tree_util.Partial(plus, 2)),
    "a set": (closing_over({1}), closing_over({2})),
    "a range": (closing_over(range(3)), closing_over(range(4))),
    "an enum": (closing_over(Mode.A), closing_over(Mode.B)),
    "a dataclass": (closing_over(Options(0.1)), closing_over(Options(0.2))),
    "a tuple": (closing_over((1, 2)), closing_over(12)),
    "nested tuples": (closing_over(((1,), 2)), closing_over((1, (2,)))),
    "a constant set": (module("", "def train(c, key): return c in {1, 2}"),
                       module("", "def train(c, key): return c in {1, 3}")),
    "a jitted helper": (module("@jax.jit\ndef helper(x): return x + 1", CALL),
                        module("@jax.jit\ndef helper(x): return x * 2", CALL)),
    "a helper of a helper": (module("def helper(x): return x + 1", NESTED),
                             module("def helper(x): return x * 2", NESTED)),
    "a table": (module("table = {'rate': 0.1}", "def train(c, key): return c * table['rate']"),
                module("table = {'rate': 0.2}", "def train(c, key): return c * table['rate']")),
    "an array": (closing_over(np.ones(2, jnp.int4)), closing_over(np.ones(2, jnp.float8_e3m4))),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENT)
def test_another_function_is_another_text(name):
    one, other = DIFFERENT[name]
    assert fingerprint.of_function(one) == fingerprint.of_function(one)
    assert fingerprint.of_function(one).split()[-1] != fingerprint.of_function(other).split()[-1]


def test_keys_of_another_generator_are_another_tree():
    data = np.arange(4, dtype=np.uint32)
    rbg, unsafe = (jax.random.wrap_key_data(data, impl=impl) for impl in ("rbg", "unsafe_rbg"))
    assert fingerprint.of_tree(rbg) == fingerprint.of_tree(rbg) != fingerprint.of_tree(unsafe)


def test_another_process_finds_the_same_texts():
    code = (
        "from tests.population.test_fingerprint import DIFFERENT, fingerprint\n"
        "print(*(fingerprint.of_function(f) for pair in DIFFERENT.values() for f in pair), sep='\\n')"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = [fingerprint.of_function(function) for pair in DIFFERENT.values() for function in pair]
    assert found.splitlines() == here


def test_comments_and_docstrings_of_the_library_are_no_difference(tmp_path):
    def of(text):
        (tmp_path / "module.py").write_text(text)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)  # it goes by seconds
        return fingerprint.of_sources(tmp_path)

    code = '"""A module."""\n\ndef f(x):\n    """Twice x."""\n    return 2 * x\n'
    first = of(code)
    assert of(code.replace("Twice x.", "Two times x.").replace("def", "# why not\n\ndef")) == first
    assert of(code.replace("2 * x", "3 * x")) != first
    assert of(code.replace("2 * x", "x * 2")) != first
    assert of(code.replace("f(x)", "f(x, y=1)")) != first
    assert of('KIND = "sum"') != of('KIND = "max"')
