"""The update step against optax and torch: one command, one table, all peers in the same run.

    python -m benchmarks.update [--rounds 15]

Each row is a recipe on a tree. Every contender holds its own parameters and state, takes donated
buffers (torch works in place), and is called once in each round; figures are medians. Ratios above 1
say that ours is faster. `copy` is the time that a copy by one core of the bytes of our step would take
here. Packed state stands against the peers' float32 state of twice the size, the flat tree against
their trees of leaves.
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
from benchmarks.shapes import one_leaf, resnet50, size, tiny_leaves, transformer
from jaxopt_notes.masks import weights_only
from jaxopt_notes.optimizers.wrappers.flatten_tree import flatten_tree


def ours() -> dict[str, Any]:
    rate = jn.warmup_cosine(0.0, peak_value=1e-3, warmup_steps=100, decay_steps=10_000)
    return {
        "sgd": jn.sgd(1e-3),
        "momentum": jn.momentum(1e-3, rate_outside=True),
        "rmsprop": jn.rmsprop(1e-3),
        "adagrad": jn.adagrad(1e-3),
        "adadelta": jn.adadelta(),
        "adam": jn.adam(1e-3),
        "adam, packed state": jn.adam(1e-3, state_dtype="packed"),
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
        "adam, packed state": optax.adam(1e-3),
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


def compare(recipe: str, shapes: Any, rounds: int, ours_on: Any = None) -> dict[str, float]:
    """Milliseconds of our step and of a copy of its bytes, and how many times longer the peers take.

    `ours_on` is what our update works on, where that is not `shapes`.
    """
    ours_on = shapes if ours_on is None else ours_on
    optimizer, peer = ours()[recipe], optax_peers()[recipe]
    contenders = {
        "ours": jax_contender(lambda p, s, g: step(optimizer, p, s, g), optimizer, ours_on),
        "optax": jax_contender(lambda p, s, g: optax_step(peer, p, s, g), peer, shapes),
        "copy": copy_bandwidth(),
        **{form: torch_contender(recipe, shapes, form) for form in ("fused", "foreach")},
    }
    times = interleaved({name: call for name, call in contenders.items() if call}, rounds)
    moved = count(optimizer, ours_on).bytes_per_parameter * size(ours_on)
    copy = times.pop("copy") * moved / (2 * 256 * 2**20)
    mine = times.pop("ours")
    return {"ours_ms": mine * 1e3, "copy_ms": copy * 1e3} | {name: t / mine for name, t in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    trees = {
        "ResNet-50": resnet50(), "Transformer": transformer(), "one leaf": one_leaf(),
        "tiny leaves": tiny_leaves(), "tiny leaves, ours flat": tiny_leaves(),
    }  # fmt: skip
    found: dict[str, Any] = {}
    for label, shapes in trees.items():
        print(f"\n{label}: {len(shapes)} leaves, {size(shapes):,} parameters (above 1: ours is faster)")
        print(f"{'':26s}{'ours ms':>9s}{'copy ms':>9s}{'optax':>8s}{'fused':>8s}{'foreach':>9s}")
        flat = jax.eval_shape(flatten_tree, shapes) if "flat" in label else None
        for recipe in ours():
            row = compare(recipe, shapes, rounds, flat)
            cells = "".join(
                f"{row[name]:{width}.2f}" if name in row else f"{'–':>{width}s}"
                for name, width in (("optax", 8), ("fused", 8), ("foreach", 9))
            )
            print(f"{recipe:26s}{row['ours_ms']:9.1f}{row['copy_ms']:9.1f}{cells}", flush=True)
            found.setdefault(label, {})[recipe] = row
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "update.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


def optax_step(optimizer: Any, params: Any, state: Any, grads: Any) -> tuple:
    import optax

    updates, state = optimizer.update(grads, state, params)
    return optax.apply_updates(params, updates), state


if __name__ == "__main__":
    sys.exit(main())
