"""Exact counts of a compiled update step: bytes, copies, aliasing. No clock, no noise.

    python -m benchmarks.counts            a table for CPU, and for TPU v5e and v6e where libtpu is installed
    python -m benchmarks.tpu_trees         trees of many leaves on TPU, beside optax

The numbers are the compiler's own (`compiled.cost_analysis()`, the compiled text), per parameter. A
step behind a global norm counts 4 bytes more, for the norm's pass.
"""

import json
import os
import pathlib
import re
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

import jaxopt_notes as jn
from benchmarks.budgets import BUDGETS
from benchmarks.shapes import one_leaf, resnet50, size, transformer
from jaxopt_notes.optimizers import flatten_tree
from jaxopt_notes.optimizers.core.chain import as_transform

COMMON = ("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adadelta", "adam", "adamw", "lion")
RESULTS = pathlib.Path(__file__).parent / "results"


class Counts(NamedTuple):
    """Bytes accessed per parameter; leaf-sized copies; donated bytes not aliased; temporaries; fusions."""

    bytes_per_parameter: float
    leaf_copies: int
    unaliased: int
    temporaries: int
    fusions: int


def step(optimizer: Any, params: Any, state: Any, grads: Any) -> tuple:
    """One update of parameters and state: what is compiled and counted.

    Who needs the loss is given a value, and squares of the gradient as an estimate of the curvature: what
    a model costs is not counted.
    """
    known = {"value": jnp.float32(1), "hessian_fn": lambda params, key: jax.tree.map(jnp.square, grads)}
    updates, state = as_transform(optimizer).update(grads, state, params, **known)
    return jn.apply_updates(params, updates), state


def recipes() -> dict[str, Any]:
    """Every registered optimizer alone, and the combinations that people use."""
    rate = jn.warmup_cosine(0.0, peak_value=1e-3, warmup_steps=100, decay_steps=10_000)
    return {
        **{name: factory() for name, factory in jn.optimizers.OPTIMIZERS.items()},
        "clip + sgd": jn.chain(jn.clip_by_global_norm(1.0), jn.sgd()),
        "clip + momentum": jn.chain(jn.clip_by_global_norm(1.0), jn.momentum()),
        "clip + rmsprop": jn.chain(jn.clip_by_global_norm(1.0), jn.rmsprop()),
        "clip + adam": jn.chain(jn.clip_by_global_norm(1.0), jn.adam()),
        "clip + adamw + schedule": jn.chain(jn.clip_by_global_norm(1.0), jn.adamw(rate)),
        "momentum + weight decay + schedule": jn.chain(jn.momentum(rate), jn.weight_decay(1e-4, rate)),
        "skip (clip + adamw)": jn.skip_nonfinite(jn.chain(jn.clip_by_global_norm(1.0), jn.adamw(rate))),
        "skip (adam)": jn.skip_nonfinite(jn.adam()),
        "adam, bfloat16 state": jn.adam(state_dtype="bfloat16"),
        "adam, packed state": jn.adam(state_dtype="packed"),
        "clip + adamw + schedule, packed state": jn.chain(
            jn.clip_by_global_norm(1.0), jn.adamw(rate, state_dtype="packed")
        ),
    }


def count(optimizer: Any, params: Any, device: Any = None, function: Any = None) -> Counts:
    """Compile one donated step for the default device, or ahead of time for another, and count.

    Arguments:
        optimizer: passed to the step as an argument.
        params: shapes of the parameters.
        device: a device of a topology to compile for, or a mesh of them, over which every leaf is cut
            along its first axis; the counts are then those of one device.
        function: `step`, or another one of the same arguments.
    """
    state = jax.eval_shape(optimizer.init, params)
    cut = device.size if isinstance(device, Mesh) else 1

    def place(leaf: Any) -> Any:
        if isinstance(device, Mesh):
            return NamedSharding(device, PartitionSpec("x") if leaf.ndim else PartitionSpec())
        return None if device is None else SingleDeviceSharding(device)

    def shaped(tree: Any) -> Any:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place(x)), tree)

    jitted = jax.jit(lambda p, s, g: (function or step)(optimizer, p, s, g), donate_argnums=(0, 1))
    compiled = jitted.lower(shaped(params), shaped(state), shaped(params)).compile()
    memory = compiled.memory_analysis()
    donated = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((params, state)) if leaf.ndim)
    text = compiled.as_text()
    copies = [line for line in text.splitlines() if re.search(r"= \w+\[\d[\d,]+\]\S* copy\(", line)]
    return Counts(
        compiled.cost_analysis()["bytes accessed"] / size(params) * cut,
        sum("S(1)" not in line for line in copies),  # S(1) is the TPU's fast memory: a prefetch
        max(0, donated // cut - memory.alias_size_in_bytes),
        memory.temp_size_in_bytes,
        text.count(" fusion("),
    )


def tpu_device(name: str) -> Any:
    """A device of a TPU topology to compile for, without a TPU; needs libtpu."""
    return tpu_devices(name)[0]


def tpu_devices(name: str) -> Any:
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # nothing is run, so nothing is locked
    from jax.experimental import topologies

    return topologies.get_topology_desc(platform="tpu", topology_name=name).devices


def table(label: str, recipes: dict[str, Any], params: Any, device: Any = None) -> dict[str, dict]:
    """Count and print every recipe on one tree."""
    leaves = len(jax.tree.leaves(params))
    print(f"\n{label}: {leaves} leaves, {size(params):,} parameters", flush=True)
    print(f"{'':40s}{'bytes/param':>12s}{'copies':>8s}{'unaliased':>11s}{'temporaries':>13s}")
    found = {}
    for name, optimizer in recipes.items():
        c = count(optimizer, params, device)
        print(f"{name:40s}{c[0]:12.2f}{c[1]:8d}{c[2]:11d}{c[3]:13d}", flush=True)
        found[name] = c._asdict()
    return found


def main() -> int:
    everything, trees = recipes(), {"ResNet-50": resnet50(), "Transformer": transformer()}
    common = {name: everything[name] for name in everything if name in COMMON or " " in name}
    targets: dict[str, Any] = {"cpu": None}
    for name in ("v5e:2x2", "v6e:2x2"):
        try:
            chips = tpu_devices(name)
            targets |= {f"TPU {name[:3]}": chips[0], f"TPU {name}": Mesh(np.array(chips), ("x",))}
        except Exception as error:
            print(f"not compiled for {name}: {str(error).splitlines()[0]}", file=sys.stderr)
    found: dict[str, Any] = {}
    for target, device in targets.items():
        by_size: dict[int, dict] = {}
        for name, optimizer in everything.items():
            rows = 4096 if device is None else BUDGETS[name].rows if name in BUDGETS else 16384
            by_size.setdefault(rows, {})[name] = optimizer
        for rows, those in by_size.items():
            label = f"{target}, one leaf of {rows} × {rows // 2}"
            found[label] = table(label, those, one_leaf(rows, rows // 2), device)
        for label, params in {} if isinstance(device, Mesh) else trees.items():
            for form, tree in (("", params), (", flat", jax.eval_shape(flatten_tree, params))):
                name = f"{target}, {label}{form}"
                found[name] = table(name, common, tree, device)
    RESULTS.mkdir(exist_ok=True)
    versions = {"jax": jax.__version__, "jaxlib": jax.lib.__version__}
    (RESULTS / "counts.json").write_text(json.dumps({"versions": versions, **found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
