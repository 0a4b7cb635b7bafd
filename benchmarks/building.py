"""What a step costs before it runs: tracing, lowering, compiling, and the dispatch of each call.

    python -m benchmarks.building [--rounds 5]

Clipping by the global norm + AdamW with a decay mask + a warm-up-cosine schedule, on the 721 leaves of a
Transformer, beside optax's. Tracing, lowering and compiling are seconds of processor time from cleared
caches, the contenders in turn, medians. Dispatch is the time of a call of the compiled step on 721 leaves
of two numbers, where there is next to nothing to compute. Ratios below 1 say that ours is cheaper.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.counts import RESULTS, step
from benchmarks.machine import interleaved
from benchmarks.shapes import transformer, tree
from benchmarks.update import optax_peers, optax_step, ours

RECIPE = "clip + adamw + schedule"
STAGES = ("trace", "lower", "compile")


def stages(update: Callable, optimizer: Any, shapes: Any) -> dict[str, float]:
    """Seconds of processor time of each stage, from cleared caches."""
    jax.clear_caches()
    state = jax.eval_shape(optimizer.init, shapes)
    jitted = jax.jit(lambda p, s, g: update(optimizer, p, s, g), donate_argnums=(0, 1))
    times = [time.process_time()]
    traced = jitted.trace(shapes, state, shapes)
    times.append(time.process_time())
    lowered = traced.lower()
    times.append(time.process_time())
    lowered.compile()
    times.append(time.process_time())
    return dict(zip(STAGES, np.diff(times), strict=True))


def caller(update: Callable, optimizer: Any) -> Callable[[], None]:
    """Twenty calls of the jitted step on tiny leaves."""
    held: list[Any] = [jax.tree.map(lambda s: jnp.ones(s.shape), tree([(2,)] * 721))]
    grads = jax.tree.map(jnp.ones_like, held[0])
    held.append(optimizer.init(held[0]))
    jitted = jax.jit(lambda p, s, g: update(optimizer, p, s, g), donate_argnums=(0, 1))

    def call() -> None:
        for _ in range(20):
            held[:] = jitted(*held, grads)
        jax.block_until_ready(held)

    return call


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    contenders = {"ours": (step, ours()[RECIPE]), "optax": (optax_step, optax_peers()[RECIPE])}
    runs: dict[str, list] = {name: [] for name in contenders}
    for i in range(rounds + 1):  # the first round warms up
        for name, contender in contenders.items():
            found = stages(*contender, transformer())
            if i:
                runs[name].append(found)
    seconds = {name: {s: float(np.median([r[s] for r in rs])) for s in STAGES} for name, rs in runs.items()}
    dispatch = interleaved({name: caller(*contender) for name, contender in contenders.items()}, 15)
    for name in contenders:
        seconds[name]["trace + lower"] = seconds[name]["trace"] + seconds[name]["lower"]
        seconds[name]["dispatch"] = dispatch[name] / 20
    print(f"{RECIPE}, 721 leaves\n{'':16s}{'ours s':>12s}{'optax s':>12s}{'ratio':>8s}")
    for stage in (*STAGES, "trace + lower", "dispatch"):
        a, b = (seconds[name][stage] for name in ("ours", "optax"))
        print(f"{stage:16s}{a:12.4g}{b:12.4g}{a / b:8.2f}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "building.json").write_text(json.dumps(seconds, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
