"""Sharded training on eight CPU devices, in a process of its own: placements, collectives, memory."""

import os
import re
import subprocess
import sys

CODE = """
import jax
jax.config.update("jax_num_cpu_devices", 8)
import re
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
import jaxopt_notes as jn
from jaxopt_notes.optimizers import shard_state

mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
whole, cut = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))
rng = np.random.default_rng(0)
make = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
params = {"kernel": make(64, 48), "bias": make(48), "odd": make(3, 5)}
x, y = make(32, 64), make(32, 48)
recipes = {
    "adamw": jn.chain(jn.clip_by_global_norm(1.0), jn.adamw(0.01)),
    "packed": jn.adam(0.01, state_dtype="packed"),
    "momentum": jn.momentum(0.01),
}

def loss(params, x, y):
    return jnp.mean((x @ params["kernel"] + params["bias"] - y) ** 2) + jnp.sum(params["odd"] ** 2)

def step(optimizer, params, state, x, y):
    updates, state = optimizer.update(jax.grad(loss)(params, x, y), state, params)
    return jn.apply_updates(params, updates), state

def collectives(text):
    names = "all-gather|reduce-scatter|all-reduce|all-to-all|collective-permute"
    return sorted(set(re.findall(names, text)))

def local_bytes(tree):
    return sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(tree))

# 1. parameters cut over the mesh: state and update keep their places; only the norm is reduced
for name, optimizer in recipes.items():
    places = {"kernel": cut, "bias": cut, "odd": whole}
    placed = jax.device_put(params, places)
    grads = jax.device_put(params, places)
    state = jax.jit(optimizer.init)(placed)
    update = jax.jit(lambda g, s, p: optimizer.update(g, s, p))
    updates, after = update(grads, state, placed)
    for leaf, place in zip(jax.tree.leaves(updates), jax.tree.leaves(places)):
        assert leaf.sharding.is_equivalent_to(place, leaf.ndim), (name, leaf.sharding)
    kernels = [leaf for leaf in jax.tree.leaves(after) if leaf.shape == (64, 48)]
    assert kernels and all(leaf.sharding.is_equivalent_to(cut, 2) for leaf in kernels), name
    text = update.lower(grads, state, placed).compile().as_text()
    reduced = re.findall(r"= (\\S+) all-reduce\\(", text)
    assert collectives(text) in ([], ["all-reduce"]), (name, collectives(text))
    assert all(not re.search(r"\\[\\d\\d", shape) for shape in reduced), reduced  # scalars
    print("kept", name, collectives(text), reduced)

# 2. ZeRO-1: the same run with states in slices
for name, optimizer in recipes.items():
    sharded = shard_state(optimizer, mesh)
    data = jax.device_put((x, y), cut)
    runs = {}
    for label, candidate in (("plain", optimizer), ("sharded", sharded)):
        p = jax.device_put(params, whole)
        s = jax.jit(candidate.init)(p)
        program = jax.jit(lambda p, s, x, y: step(candidate, p, s, x, y))
        for _ in range(5):
            p, s = program(p, s, *data)
        runs[label] = p, s, collectives(program.lower(p, s, *data).compile().as_text())
    atol = 0.02 if name == "packed" else 1e-6
    for a, b in zip(jax.tree.leaves(runs["plain"][0]), jax.tree.leaves(runs["sharded"][0])):
        assert b.sharding.is_fully_replicated
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol)
    kernels = [leaf for leaf in jax.tree.leaves(runs["sharded"][1]) if leaf.shape == (64, 48)]
    assert kernels and all(leaf.sharding.is_equivalent_to(cut, 2) for leaf in kernels), name  # the first axis
    print("zero", name, local_bytes(runs["plain"][1]), local_bytes(runs["sharded"][1]), *runs["sharded"][2])
"""


def test_on_eight_devices():
    run = subprocess.run(
        [sys.executable, "-c", CODE],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    lines = run.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["kept", n] for n in ("adamw", "packed", "momentum")]
    for line in lines[3:]:
        plain, sharded = map(int, re.findall(r" (\d+)", line)[:2])
        assert sharded < 0.2 * plain  # an eighth, and the small leaf that eight do not divide
        assert "all-gather" in line
