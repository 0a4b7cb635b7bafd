"""The update step against optax and torch: one command, one table, all peers in the same run.

    python -m benchmarks.update [--rounds 15]

Each row is a recipe on a tree. Every contender holds its own parameters and state, takes donated
buffers (torch works in place), and is called in turn; figures are medians. Ratios above 1 say that
ours is faster. `copy` is the time that a plain copy of the bytes of our step would take here.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_notes as jn
from benchmarks.counts import RESULTS, count, step
from benchmarks.machine import copy_bandwidth, interleaved
from benchmarks.shapes import one_leaf, resnet50, size, transformer
from jaxopt_notes.trees import weights_only


def ours() -> dict[str, Any]:
    rate = jn.warmup_cosine(0.0, peak_value=1e-3, warmup_steps=100, decay_steps=10_000)
    return {
        "sgd": jn.sgd(1e-3),
        "momentum": jn.momentum(1e-3, rate_outside=True),
        "rmsprop": jn.rmsprop(1e-3),
        "adagrad": jn.adagrad(1e-3),
        "adadelta": jn.adadelta(),
        "adam": jn.adam(1e-3),
        "clip + adamw + schedule": jn.chain(jn.clip_by_global_norm(1.0), jn.adamw(rate, weight_decay=1e-2)),
    }


def optax_peers() -> dict[str, Any]:
    import optax

    rate = optax.warmup_cosine_decay_schedule(0.0, 1e-3, 100, 10_000)
    adamw = optax.adamw(rate, weight_decay=1e-2, mask=weights_only)
    return {
        "sgd": optax.sgd(1e-3),
        "momentum": optax.sgd(1e-3, momentum=0.9),
        "rmsprop": optax.rmsprop(1e-3),
        "adagrad": optax.adagrad(1e-3),
        "adadelta": optax.adadelta(1.0),
        "adam": optax.adam(1e-3),
        "clip + adamw + schedule": optax.chain(optax.clip_by_global_norm(1.0), adamw),
    }


def jax_contender(update: Callable, optimizer: Any, shapes: Any) -> Callable[[], None]:
    """A jitted, donated step that carries its parameters and state from call to call."""
    rng = np.random.default_rng(0)
    draw = lambda: jax.tree.map(lambda s: jnp.asarray(rng.standard_normal(s.shape, np.float32)), shapes)  # noqa: E731
    params, grads = draw(), draw()
    held = [params, optimizer.init(params)]
    compiled = jax.jit(update, donate_argnums=(0, 1)).lower(*held, grads).compile()

    def call() -> None:
        held[:] = compiled(*held, grads)
        jax.block_until_ready(held)

    return call


def torch_contender(recipe: str, shapes: Any, form: str) -> Callable[[], None] | None:
    """torch's fused or foreach optimizer on the same shapes; None where it has no such form."""
    import torch

    kinds = {
        "sgd": "SGD",
        "momentum": "SGD",
        "rmsprop": "RMSprop",
        "adagrad": "Adagrad",
        "adadelta": "Adadelta",
    }
    kind = kinds.get(recipe, "AdamW" if "adamw" in recipe else "Adam")
    options: dict[str, Any] = {"lr": 1e-3, form: True}
    if recipe == "momentum":
        options["momentum"] = 0.9
    torch.manual_seed(0)
    params = [torch.randn(leaf.shape, requires_grad=True) for leaf in jax.tree.leaves(shapes)]
    for param in params:
        param.grad = torch.randn_like(param)
    try:
        optimizer = getattr(torch.optim, kind)(params, **options)
        optimizer.step()
    except (TypeError, RuntimeError):
        return None

    def call() -> None:
        if "clip" in recipe:
            torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()

    return call


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    peers = optax_peers()
    found = {}
    for label, shapes in {
        "ResNet-50": resnet50(),
        "Transformer": transformer(),
        "one leaf": one_leaf(),
    }.items():
        print(
            f"\n{label}: {len(shapes)} leaves, {size(shapes):,} parameters (ratios above 1: ours is faster)"
        )
        print(f"{'':26s}{'ours ms':>9s}{'copy ms':>9s}{'optax':>8s}{'fused':>8s}{'foreach':>9s}")
        for recipe, optimizer in ours().items():
            peer = peers[recipe]
            contenders = {
                "ours": jax_contender(lambda p, s, g, o=optimizer: step(o, p, s, g), optimizer, shapes),
                "optax": jax_contender(lambda p, s, g, o=peer: optax_step(o, p, s, g), peer, shapes),
                "copy": copy_bandwidth(),
                **{form: torch_contender(recipe, shapes, form) for form in ("fused", "foreach")},
            }
            times = interleaved({name: call for name, call in contenders.items() if call}, rounds)
            moved = count(optimizer, shapes).bytes_per_parameter * size(shapes)
            copy = times["copy"] * moved / (2 * 256 * 2**20)
            ratios = {
                name: times[name] / times["ours"] for name in ("optax", "fused", "foreach") if name in times
            }
            cells = [
                f"{ratios[name]:.2f}" if name in ratios else "–" for name in ("optax", "fused", "foreach")
            ]
            figures = f"{times['ours'] * 1e3:9.1f}{copy * 1e3:9.1f}{cells[0]:>8s}{cells[1]:>8s}{cells[2]:>9s}"
            print(f"{recipe:26s}{figures}", flush=True)
            found.setdefault(label, {})[recipe] = {
                "ours_ms": times["ours"] * 1e3,
                "copy_ms": copy * 1e3,
                **ratios,
            }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "update.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


def optax_step(optimizer: Any, params: Any, state: Any, grads: Any) -> tuple:
    import optax

    updates, state = optimizer.update(grads, state, params)
    return optax.apply_updates(params, updates), state


if __name__ == "__main__":
    sys.exit(main())
