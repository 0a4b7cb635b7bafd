"""What a compiled update moves: exact counts of bytes and copies, no clocks."""

import importlib.util
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

import jaxopt_notes as jn
from benchmarks.budgets import BUDGETS
from benchmarks.counts import count, recipes, step
from benchmarks.shapes import one_leaf, resnet50, size, transformer

counted = pytest.mark.usefixtures("compiled_as_for_users")
OFTEN = ("adam", "momentum", "clip + adamw + schedule", "adam, packed state")  # the rest: in the full tier

FLOOR = {name: budget.cpu for name, budget in BUDGETS.items()}
VECTOR = 4 * 2048  # the sums of a leaf's columns, by which `skip_nonfinite` looks at it
TEMPORARIES = {name: budget.temporaries for name, budget in BUDGETS.items()}
COPIES = {name: budget.copies for name, budget in BUDGETS.items()}
FLOOR["momentum + weight decay + schedule"] = FLOOR["momentum"]
FLOOR["adam, bfloat16 state"] = 28
FLOOR["adam, packed state"] = 24
NORM = 4  # it reads the gradient once more
BEHIND_A_NORM = {
    "clip + sgd": "sgd",
    "clip + momentum": "momentum",
    "clip + rmsprop": "rmsprop",
    "clip + adam": "adam",
    "clip + adamw + schedule": "adamw",
    "skip (clip + adamw)": "adamw",
    "clip + adamw + schedule, packed state": "adam, packed state",
}
BUDGET = FLOOR | {name: FLOOR[bare] + NORM for name, bare in BEHIND_A_NORM.items()}
BUDGET["skip (adam)"] = FLOOR["adam"] + NORM  # whether all entries are finite is one pass too


@counted
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.full] * (name not in OFTEN)) for name in BUDGET]
)
def test_one_leaf_on_cpu(name):
    counts = count(recipes()[name], one_leaf())
    assert counts.bytes_per_parameter <= BUDGET[name] + 0.01
    assert counts.leaf_copies <= COPIES.get(name, 0)
    assert counts.unaliased == 0
    assert counts.temporaries < 4096 + VECTOR + TEMPORARIES.get(name, 0) * size(one_leaf())


# These add up the clipped gradient themselves: XLA's CPU backend stores it for that, and reads it back.
SUMS = (
    "lars", "novograd", "adafactor", "fromage", "prodigy", "dadapt_sgd", "dadapt_adam", "dog", "dowg",
    "soap", "polyak_sgd",
)  # fmt: skip


@counted
@pytest.mark.full
@pytest.mark.parametrize("name", BUDGETS)
def test_behind_a_clip_on_cpu(name):
    """Four bytes more, and nothing else."""
    optimizer = jn.chain(jn.clip_by_global_norm(1.0), jn.optimizers.OPTIMIZERS[name]())
    counts = count(optimizer, one_leaf(1024, 512))
    stored = 8 if name in SUMS else 0
    assert counts.bytes_per_parameter <= FLOOR[name] + NORM + stored + 0.1
    assert counts.leaf_copies <= COPIES[name]
    assert counts.unaliased == 0


@counted
@pytest.mark.full
@pytest.mark.parametrize("name", ["adadelta", "clip + adamw + schedule", "skip (clip + adamw)"])
def test_resnet_on_cpu(name):
    counts = count(recipes()[name], resnet50())
    assert counts.bytes_per_parameter <= BUDGET[name] + 0.1  # scalars and reductions of 161 leaves
    assert counts.leaf_copies == 0
    assert counts.unaliased == 0
    assert counts.temporaries < 1e6


@counted
@pytest.mark.full
def test_transformer_on_cpu():
    counts = count(recipes()["clip + adamw + schedule"], transformer())
    assert counts.bytes_per_parameter <= BUDGET["clip + adamw + schedule"] + 0.5
    assert counts.leaf_copies == 0
    assert counts.unaliased == 0


@counted
@pytest.mark.full
def test_a_population_costs_the_same_per_member():
    """64 members, each with its own rate, decay and clip norm."""

    def build(rate, b1, clip):
        return jn.chain(jn.clip_by_global_norm(clip), jn.adamw(rate, b1))

    def step(optimizer, params, state, grads):
        updates, state = jax.vmap(lambda o, *rest: o.update(*rest))(optimizer, grads, state, params)
        return jn.apply_updates(params, updates), state

    class Population:
        def __init__(self):
            self.members = jax.vmap(build)(jnp.full(64, 1e-3), jnp.full(64, 0.9), jnp.full(64, 1.0))

        def init(self, params):
            return jax.vmap(lambda o, p: o.init(p))(self.members, params)

    population = Population()
    params = {"w": jax.ShapeDtypeStruct((64, 256, 256), jnp.float32)}
    counts = count(population, params, function=lambda p, *rest: step(p.members, *rest))
    assert counts.bytes_per_parameter <= BUDGET["clip + adamw + schedule"] + 0.1
    assert counts.leaf_copies == 0


@counted
def test_untouched_leaves_move_no_bytes():
    """A frozen and an integer leaf, a thousand times larger than what moves."""
    large = jax.ShapeDtypeStruct((1000, 1000), jnp.float32)
    params = {"kernel": jax.ShapeDtypeStruct((10, 100), jnp.float32), "frozen": large}
    optimizer = jn.masked(jn.adam(), {"kernel": True, "frozen": False})
    assert count(optimizer, params).bytes_per_parameter < 1
    params = {"kernel": params["kernel"], "table": jax.ShapeDtypeStruct((1000, 1000), jnp.int32)}
    assert count(jn.adam(), params).bytes_per_parameter < 1


@pytest.mark.full
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("name", sorted(BUDGET))
def test_lowers_for_accelerators(name, platform):
    params = one_leaf(64, 32)
    optimizer = recipes()[name]
    program = jax.jit(lambda params, state, grads: step(optimizer, params, state, grads))
    exported = jax.export.export(program, platforms=[platform])
    assert exported(params, jax.eval_shape(optimizer.init, params), params).platforms == (platform,)


@pytest.mark.full
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="compiling for TPU needs libtpu")
def test_one_leaf_on_tpu():
    """Compiled ahead of time for TPU: one fusion, the floor in bytes. In a process of its own.

    Everything for a v5e; and what is most used for a v6e, and cut over four chips of each.
    """
    code = """
import numpy as np
from jax.sharding import Mesh
from benchmarks.budgets import BUDGETS
from benchmarks.counts import count, recipes, tpu_device, tpu_devices
from benchmarks.shapes import one_leaf
floor = {name: budget.tpu for name, budget in BUDGETS.items()} | {
    "clip + adamw + schedule": 32, "skip (adam)": 32, "skip (clip + adamw)": 32,
    "momentum + weight decay + schedule": 20, "adam, bfloat16 state": 20, "adam, packed state": 20,
    "clip + adamw + schedule, packed state": 24,
}
device = tpu_device("v5e:2x2")
for name, budget in floor.items():
    rows = BUDGETS[name].rows if name in BUDGETS else 16384
    counts = count(recipes()[name], one_leaf(rows, rows // 2), device)
    assert counts.bytes_per_parameter <= budget + 0.01, (name, counts)
    assert counts.leaf_copies == 0 and counts.unaliased == 0, (name, counts)
    assert counts.temporaries < 1e6 or name in ("muon", "sophia"), (name, counts)  # products, an estimate
chips = {name: tpu_devices(name) for name in ("v5e:2x2", "v6e:2x2")}
others = {"v6e": chips["v6e:2x2"][0]} | {name: Mesh(np.array(four), ("x",)) for name, four in chips.items()}
for where, device in others.items():
    for name in ("sgd", "adadelta", "adam", "clip + adamw + schedule"):
        counts = count(recipes()[name], one_leaf(16384, 8192), device)
        assert counts.bytes_per_parameter <= floor[name] + 0.01, (where, name, counts)
        assert counts.leaf_copies == 0 and counts.unaliased == 0, (where, name, counts)
        assert counts.temporaries < 1e6 and counts.fusions <= 1 + 2 * ("clip" in name), (where, name, counts)
print("counted", len(floor))
"""
    without_flags = {**os.environ, "XLA_FLAGS": ""}  # libtpu dies of flags that are for CPUs
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=without_flags)
    assert run.returncode == 0, run.stderr[-2000:]
    assert f"counted {len(BUDGETS) + 7}" in run.stdout
