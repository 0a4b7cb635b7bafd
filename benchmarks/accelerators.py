"""What programs are on an H100 and a TPU v5e, compiled ahead of time on any host, beside optax.

    JAX_PLATFORMS=cpu XLA_FLAGS=--xla_gpu_autotune_level=0 python -m benchmarks.accelerators [PART …]

Parts are `gpu` (kernels of updates), `tpu` (fusions and bytes of updates with small leaves grouped),
`gpu-steps` and `tpu-steps` (kernels of a `Trainer`'s step), `random` (a mask of dropout, and the order of an
epoch, on a TPU), `tiny` (an epoch of a `Trainer` on hundreds of tiny leaves, compiled here) and `first` (the
programs that a sweep compiles with each strategy, here); without a name all of them. The GPU's needs the
packages of the CUDA plugin and no GPU: jax-cuda12-plugin, jax-cuda12-pjrt (of jaxlib's version) and
nvidia-cuda-nvcc-cu12, without what these depend on; the TPU's needs libtpu. What is missing is said and left
out.

A kernel is launched for each fusion of the program; `flat` is ours on one vector (`flatten_tree`), `grouped`
the wrapper. Seconds are of processor time.
"""

import argparse
import collections
import dataclasses
import functools
import json
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import SingleDeviceSharding

import jaxopt_notes as jn
from benchmarks.counts import RESULTS, count, step, tpu_device
from benchmarks.shapes import resnet50, transformer
from benchmarks.update import optax_peers, optax_step, ours
from jaxopt_notes.optimizers import flatten_tree
from jaxopt_notes.optimizers.wrappers.grouped import size_on

RECIPES = ("adam", "clip + adamw + schedule", "adam, packed state")
H100 = """gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: 84942979072 shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 } registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


class Kernels(NamedTuple):
    """Kernels launched; leaf-sized copies; donated bytes not aliased; bytes of temporaries; CPU seconds."""

    kernels: int
    leaf_copies: int
    unaliased: int
    temporaries: int
    trace_seconds: float  # tracing and lowering
    compile_seconds: float


def gpu_device() -> Any:
    """An H100 to compile for, without one; needs the CUDA plugin."""
    from jax.experimental import topologies

    return topologies.get_topology_desc(
        platform="cuda", topology_name="", topology="1x1x1", target_config=H100
    ).devices[0]


def kernels(optimizer: Any, params: Any, function: Callable = step) -> Kernels:
    """Trace, lower and compile one donated step for an H100, and count.

    Arguments:
        optimizer: passed to the step.
        params: shapes of the parameters.
        function: `step`, or another one of the same arguments.
    """
    state, place = jax.eval_shape(optimizer.init, params), SingleDeviceSharding(gpu_device())

    def shaped(tree: Any) -> Any:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), tree)

    jitted = jax.jit(lambda p, s, g: function(optimizer, p, s, g), donate_argnums=(0, 1))
    began = time.process_time()
    lowered = jitted.lower(shaped(params), shaped(state), shaped(params))
    traced = time.process_time()
    compiled = lowered.compile()
    done = time.process_time()
    memory, text = compiled.memory_analysis(), compiled.as_text()
    entry = text[text.index("\nENTRY ") :]
    donated = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((params, state)))
    return Kernels(
        len(re.findall(r"\b(?:fusion|custom-call)\(", entry)),
        len(re.findall(r"= \w+\[\d[\d,]*\]\S* copy\(", entry)),
        max(0, donated - memory.alias_size_in_bytes),
        memory.temp_size_in_bytes,
        traced - began,
        done - traced,
    )


TREES = {"ResNet-50": resnet50, "Transformer": transformer}


def gpu() -> dict[str, Any]:
    """Updates on an H100."""
    found: dict[str, Any] = {}
    for label, tree in {name: make() for name, make in TREES.items()}.items():
        print(f"\n{label}, {len(tree)} leaves, H100")
        names = f"{'kernels':>9s}{'copies':>8s}{'temporaries':>13s}{'trace s':>9s}{'compile s':>11s}"
        print(f"{'':37s}{names}")
        for recipe in RECIPES:
            optimizer, flat = ours()[recipe], jax.eval_shape(flatten_tree, tree)
            contenders = {
                "ours": lambda: kernels(optimizer, tree),  # noqa: B023
                "grouped": lambda: kernels(jn.grouped(optimizer, 2**20), tree),  # noqa: B023
                "flat": lambda: kernels(optimizer, flat),  # noqa: B023
                "optax": lambda: kernels(optax_peers()[recipe], tree, optax_step),  # noqa: B023
            }
            for who, call in contenders.items():
                jax.clear_caches()
                c = call()
                print(f"{recipe:28s}{who:9s}{c.kernels:9d}{c.leaf_copies:8d}{c.temporaries:13d}"
                      f"{c.trace_seconds:9.1f}{c.compile_seconds:11.1f}", flush=True)  # fmt: skip
                found.setdefault(label, {}).setdefault(recipe, {})[who] = c._asdict()
    return found


def tpu() -> dict[str, Any]:
    """Updates on a v5e, leaves of up to 4,096 numbers grouped."""
    found: dict[str, Any] = {}
    device = tpu_device("v5e:2x2")
    for label, tree in {name: make() for name, make in TREES.items()}.items():
        print(f"\n{label}, {len(tree)} leaves, TPU v5e")
        print(f"{'':28s}{'':9s}{'fusions':>9s}{'copies':>8s}{'bytes/param':>13s}")
        for recipe in RECIPES[:2]:
            contenders = {
                "ours": (ours()[recipe], step),
                "grouped": (jn.grouped(ours()[recipe], 4096), step),
                "optax": (optax_peers()[recipe], optax_step),
            }
            for who, (optimizer, function) in contenders.items():
                c = count(optimizer, tree, device, function)
                print(f"{recipe:28s}{who:9s}{c.fusions:9d}{c.leaf_copies:8d}{c.bytes_per_parameter:13.1f}",
                      flush=True)  # fmt: skip
                found.setdefault(label, {}).setdefault(recipe, {})[who] = c._asdict()
    return found


def steps(platform: str, depths: tuple[int, ...] = (3, 20)) -> dict[str, Any]:
    """A step of an epoch of a `Trainer`, leaf by leaf, and grouped as `fit` does from 16 small leaves on."""
    place = SingleDeviceSharding({"gpu": gpu_device, "tpu": lambda: tpu_device("v5e:2x2")}[platform]())
    shaped = functools.partial(
        jax.tree.map, lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place) if _is_array(x) else x
    )
    data = (jax.ShapeDtypeStruct((64, 64), jnp.float32), jax.ShapeDtypeStruct((64,), jnp.int32))
    networks = {f"MLP of {depth} hidden layers": jn.mlp([64] * depth + [10]) for depth in depths}
    found: dict[str, Any] = {}
    print(f"\n{platform}, a step\n{'':44s}{'kernels':>9s}{'copies':>8s}{'trace s':>9s}{'compile s':>11s}")
    for label, model in networks.items():
        for who, rule in {"ours": jn.adam(), "grouped": jn.grouped(jn.adam(), size_on(platform))}.items():
            jax.clear_caches()
            trainer = jn.Trainer(model, rule, jn.softmax_cross_entropy, metric=None)
            key = jax.eval_shape(lambda: jax.random.key(0))
            state = jax.eval_shape(lambda key, *data: trainer.init(key, data), key, *data)  # noqa: B023
            epoch = jax.jit(lambda trainer, state, *data: trainer.advance(state, data))
            began = time.process_time()
            lowered = epoch.lower(trainer, *shaped((state, *data)))
            traced = time.process_time()
            text = lowered.compile().as_text()
            done = time.process_time()
            bodies = [part for part in re.split(r"\n(?=\S.*\{\n)", text) if "ENTRY" not in part[:6]]
            body = max(bodies, key=lambda part: part.count(" fusion("))
            row = {
                "kernels": len(re.findall(r"\b(?:fusion|custom-call)\(", body)),
                "leaf_copies": len(re.findall(r"= \w+\[\d[\d,]*\]\S* copy\(", body)),
                "trace_seconds": traced - began, "compile_seconds": done - traced,
            }  # fmt: skip
            print(f"{label:35s}{who:9s}{row['kernels']:9d}{row['leaf_copies']:8d}{row['trace_seconds']:9.1f}"
                  f"{row['compile_seconds']:11.1f}", flush=True)  # fmt: skip
            found.setdefault(label, {})[who] = row
    return found


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") and hasattr(x, "dtype")


def random() -> dict[str, Any]:
    """A mask of dropout for 256 members, drawn in its shape or as a vector, and sorts of 60,000 words."""
    device, found = SingleDeviceSharding(tpu_device("v5e:2x2")), {}

    def seen(name: str, function: Callable, *shapes: Any) -> None:
        placed = [jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=device) for s in shapes]
        lowered = jax.jit(function).lower(*placed)
        began = time.process_time()
        compiled = lowered.compile()
        seconds, text = time.process_time() - began, compiled.as_text()
        entry = text[text.index("\nENTRY ") :]
        found[name] = {
            "fusions": len(re.findall(r"\bfusion\(", entry)),
            "bytes": compiled.cost_analysis().get("bytes accessed"),
            "cycles": sum(map(int, re.findall(r"estimated_cycles\W+(\d+)", entry))),
            "compile_seconds": seconds,
        }
        row = found[name]
        print(
            f"{name:44s}{row['fusions']:9d}{row['bytes']:14.4g}{row['cycles']:10d}{seconds:11.1f}", flush=True
        )

    print(f"\nTPU v5e\n{'':44s}{'fusions':>9s}{'bytes':>14s}{'cycles':>10s}{'compile s':>11s}")
    for impl in ("threefry2x32", "rbg", "unsafe_rbg"):
        one = jax.eval_shape(lambda: jax.random.key(0, impl=impl))  # noqa: B023
        keys = jax.ShapeDtypeStruct((256,), one.dtype)
        seen(f"mask [256, 32, 64], {impl}, in shape",
             jax.vmap(lambda key: jax.random.bernoulli(key, 0.5, (32, 64))), keys)  # fmt: skip
        seen(f"mask [256, 32, 64], {impl}, as a vector",
             jax.vmap(lambda key: jn.layers.dropout_mask(key, 0.5, (32, 64))), keys)  # fmt: skip
    words = jax.ShapeDtypeStruct((60_000,), np.uint32)
    for stable in (True, False):
        seen(f"60,000 words, sorted, stable: {stable}", lambda x: lax.sort(x, is_stable=stable), words)  # noqa: B023
    return found


@dataclasses.dataclass(frozen=True)
class Stacked:
    """A model of many tiny leaves, which it stacks."""

    leaves: int

    def init(self, key: jax.Array, x: jax.Array) -> list[jax.Array]:
        return list(jax.random.normal(key, (self.leaves, x.shape[-1])))

    def apply(self, params: list[jax.Array], x: jax.Array) -> jax.Array:
        return jnp.tanh(x @ jnp.stack(params).T).sum(axis=-1)


def tiny(counts: tuple[int, ...] = (200, 600)) -> dict[str, Any]:
    """An epoch on vectors of 8 numbers, compiled here: as in `fit`, leaf by leaf, and the update alone."""
    x, y, found = jax.ShapeDtypeStruct((64, 8), jnp.float32), jax.ShapeDtypeStruct((64,), jnp.float32), {}
    print(f"\n{jax.default_backend()}\n{'':44s}{'fusions':>9s}{'trace s':>9s}{'compile s':>11s}")

    def squares(outputs: jax.Array, targets: jax.Array) -> jax.Array:
        return (outputs - targets) ** 2

    def alone(model: Stacked) -> tuple[Callable, tuple]:
        def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
            return jnp.mean(squares(model.apply(params, x), y))

        def turn(carry: tuple, batch: tuple) -> tuple:
            params, state = carry
            updates, state = jn.adam().update(jax.grad(loss)(params, *batch), state, params)
            return (jn.apply_updates(params, updates), state), None

        def epoch(carry: tuple, x: jax.Array, y: jax.Array) -> tuple:
            return lax.scan(turn, carry, (x.reshape(2, 32, 8), y.reshape(2, 32)))[0]

        params = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)), x)
        return epoch, ((params, jax.eval_shape(jn.adam().init, params)),)

    def trained(model: Stacked, rule: Any) -> tuple[Callable, tuple]:
        trainer = jn.Trainer(model, rule, squares, metric=None)
        key = jax.eval_shape(lambda: jax.random.key(0))
        state = jax.eval_shape(lambda key, *data: trainer.init(key, data), key, x, y)
        return (lambda trainer, state, *data: trainer.advance(state, data)), (trainer, state)

    for leaves in counts:
        model = Stacked(leaves)
        contenders = {
            "joined": trained(model, jn.grouped(jn.adam(), size_on("cpu"))),
            "leaf by leaf": trained(model, jn.adam()),
            "gradient and Adam": alone(model),
        }
        for who, (function, arguments) in contenders.items():
            jax.clear_caches()
            began = time.process_time()
            lowered = jax.jit(function, donate_argnums=len(arguments) - 1).lower(*arguments, x, y)
            traced = time.process_time()
            text = lowered.compile().as_text()
            row = {
                "fusions": text.count(" fusion("),
                "trace_seconds": traced - began, "compile_seconds": time.process_time() - traced,
            }  # fmt: skip
            print(f"{leaves:5d} vectors, {who:30s}{row['fusions']:9d}{row['trace_seconds']:9.1f}"
                  f"{row['compile_seconds']:11.1f}", flush=True)  # fmt: skip
            found.setdefault(str(leaves), {})[who] = row
    return found


def first() -> dict[str, Any]:
    """The programs that a small sweep compiles with each strategy on this machine, in a cleared process."""
    counted: collections.Counter[str] = collections.Counter()
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, seconds, **_: counted.update(
            {"programs": 1} if name.endswith("backend_compile_duration") else {}
        )
    )
    x = jnp.asarray(np.linspace(-1, 1, 64, dtype=np.float32)[:, None])
    data, space, found = ((x, 2 * x), (x, 2 * x)), {"rate": jn.search.log_uniform(1e-3, 1.0)}, {}
    strategies = {
        "random_search(8)": jn.random_search(8),
        "sobol(8)": jn.search.sobol(8),
        "cma_es(12)": jn.search.cma_es(12),
        "bayesian(12)": jn.search.bayesian(12),
        "successive_halving(9)": jn.search.successive_halving(9),
        "asha(9)": jn.search.asha(9),
        "population_based_training(8)": jn.search.population_based_training(8),
    }

    def build(h: dict) -> Any:
        return jn.Trainer(jn.dense(1), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None)

    print(f"\n{jax.default_backend()}\n{'a sweep with':44s}{'programs':>9s}{'s':>9s}")
    for name, strategy in strategies.items():
        jax.clear_caches()
        counted.clear()
        began = time.process_time()
        jn.sweep(build, space, data, strategy, epochs=9, key=jax.random.key(0), progress=False,
                 programs=jn.search.Programs())  # fmt: skip
        found[name] = {"programs": counted["programs"], "seconds": time.process_time() - began}
        print(f"{name:44s}{found[name]['programs']:9d}{found[name]['seconds']:9.1f}", flush=True)
    return found


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "gpu": gpu,
    "tpu": tpu,
    "gpu-steps": functools.partial(steps, "gpu"),
    "tpu-steps": functools.partial(steps, "tpu"),
    "random": random,
    "tiny": tiny,
    "first": first,
}


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    chosen = parser.parse_args(args).parts or list(PARTS)
    path = RESULTS / "accelerators.json"
    for name in chosen:
        try:
            found = PARTS[name]()
        except (ImportError, NotImplementedError, RuntimeError) as error:
            print(f"\n{name} is left out: {error}")
            continue
        RESULTS.mkdir(exist_ok=True)
        kept = json.loads(path.read_text()) if path.exists() else {}
        load = {**kept.get("load averages", {}), name: os.getloadavg()[0]}  # seconds are dearer under load
        path.write_text(json.dumps({**kept, name: found, "load averages": load}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
