"""Kernels of an update on a GPU, compiled ahead of time for an H100 on any host, beside optax.

    JAX_PLATFORMS=cpu XLA_FLAGS=--xla_gpu_autotune_level=0 python -m benchmarks.accelerators

It needs the packages of the CUDA plugin and no GPU: jax-cuda12-plugin, jax-cuda12-pjrt (of jaxlib's version)
and nvidia-cuda-nvcc-cu12, installed without what they depend on. A kernel is launched for each fusion of the
program; `flat` is ours on one vector (`flatten_tree`), `grouped` the wrapper. Seconds are of this process.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.sharding import SingleDeviceSharding

import jaxopt_notes as jn
from benchmarks.counts import RESULTS, step
from benchmarks.shapes import resnet50, transformer
from benchmarks.update import optax_peers, optax_step, ours
from jaxopt_notes.optimizers import flatten_tree

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
    compiled = jitted.lower(shaped(params), shaped(state), shaped(params)).compile()
    seconds = time.process_time() - began
    memory, text = compiled.memory_analysis(), compiled.as_text()
    entry = text[text.index("\nENTRY ") :]
    donated = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((params, state)))
    return Kernels(
        len(re.findall(r"\b(?:fusion|custom-call)\(", entry)),
        len(re.findall(r"= \w+\[\d[\d,]*\]\S* copy\(", entry)),
        max(0, donated - memory.alias_size_in_bytes),
        memory.temp_size_in_bytes,
        seconds,
    )


def main() -> int:
    found: dict[str, Any] = {}
    for label, tree in {"ResNet-50": resnet50(), "Transformer": transformer()}.items():
        print(f"\n{label}, {len(tree)} leaves, H100")
        print(f"{'':28s}{'':9s}{'kernels':>9s}{'copies':>8s}{'temporaries':>13s}{'compile s':>11s}")
        for recipe in RECIPES:
            optimizer, flat = ours()[recipe], jax.eval_shape(flatten_tree, tree)
            contenders = {
                "ours": lambda: kernels(optimizer, tree),  # noqa: B023
                "grouped": lambda: kernels(jn.grouped(optimizer, 2**20), tree),  # noqa: B023
                "flat": lambda: kernels(optimizer, flat),  # noqa: B023
                "optax": lambda: kernels(optax_peers()[recipe], tree, optax_step),  # noqa: B023
            }
            for who, call in contenders.items():
                c = call()
                print(f"{recipe:28s}{who:9s}{c.kernels:9d}{c.leaf_copies:8d}{c.temporaries:13d}"
                      f"{c.compile_seconds:11.1f}", flush=True)  # fmt: skip
                found.setdefault(label, {}).setdefault(recipe, {})[who] = c._asdict()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "accelerators.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
