"""Populations against JAX's other forms and torch: one command, one table for each size, one run.

    python -m benchmarks.population [--rounds 3] [--members 256,16,64,1024,4096] [--model mlp|cnn]

Each member has its own learning rate, seed and order of the data: an MLP 64-64-64-10, or a CNN with two 3×3
convolutions, on digits in batches of 32, with Adam. The figure is member-steps a second, µs is its
inverse; medians of rounds in which the contenders come in random order. Who takes long is given fewer
members or steps, said in the table, which its rate does not depend on: its members are trained one by one.

`compile` is the seconds of tracing and compiling. `dispatch` is the µs of a call with no steps in it,
divided by the member-steps of a call: what it costs to call and to fetch; `device` is the rest. `group` is
how many members are vectorized together, and `memory` what a program holds at once for each of them beside
the data, as a multiple of its parameters, moments and gradients. `measured` is ours with
`chunk_size="measure"`, which tries a few sizes while it compiles. Before figures are printed it is asserted
that all contenders have found the same losses.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.counts import RESULTS
from benchmarks.machine import copy_bandwidth, interleaved
from benchmarks.population_peers import (
    Contender,
    engine,
    one_by_one,
    recompiled,
    whole,
)
from benchmarks.population_recipes import EPOCH, RECIPES, Recipe, ours, ours_trainer, with_optax
from benchmarks.population_torch import torch_eager, torch_ensemble

COPIED = 256 * 2**20
SIDE = 1024


def contenders(recipe: Recipe, name: str, count: int, steps: int) -> dict[str, Contender]:
    """Everybody who takes part at this size."""
    data = recipe.data()

    def those(make: Callable, form: Any = None, n: int = count, s: int = steps, **more: Any) -> Contender:
        args = (recipe, form, n, data) if form else (recipe, n, data)
        return Contender(make(*args, **more), n, s)

    found = {
        "population_map": those(engine, ours),
        "population_map(Trainer)": those(engine, ours_trainer),
    }
    if name == "cnn" or count == 256:
        found["population_map, measured"] = those(engine, ours, chunk_size="measure")
    if name == "cnn":
        slow = {"n": min(count, 8), "s": 4}
        return found | {
            "vmap, lax.conv, optax": those(whole, with_optax, **slow, mapped="vmap"),
            "map, lax.conv, optax": those(whole, with_optax, **slow, mapped="map"),
            "vmap, our layers": those(whole, ours, mapped="vmap"),
            "map, our layers": those(whole, ours, mapped="map"),
            "torch eager": those(torch_eager, n=4),
        }
    found |= {
        "vmap, optax": those(whole, with_optax, mapped="vmap"),
        "lax.map, optax": those(whole, with_optax, mapped="map"),
        "torch.func ensemble": those(torch_ensemble),
    }
    if count == 256:
        found |= {
            "one jitted function, optax": those(one_by_one, n=32),
            "compiled for each, optax": those(recompiled, n=2),
            "torch eager, fused Adam": those(torch_eager, n=8),
        }
    return found


def matmul(library: str) -> Callable[[], Any]:
    """A contender: four large products on all cores."""
    if library == "torch":
        import torch

        side = torch.ones((SIDE, SIDE)) / SIDE
        return lambda: side @ side @ side @ side @ side
    square = jnp.ones((SIDE, SIDE)) / SIDE
    multiply = jax.jit(lambda a: a @ a @ a @ a @ a)
    return lambda: jax.block_until_ready(multiply(square))


def measure(recipe: Recipe, name: str, count: int, steps: int, rounds: int) -> dict[str, Any]:
    """Time all contenders at one size; print and return the table."""
    everyone = contenders(recipe, name, count, steps)
    idle = {
        f"{label} idle": one.make(0)
        for label, one in everyone.items()
        if "torch" not in label and "each" not in label
    }
    limits = {"copy": copy_bandwidth(), "matmul jax": matmul("jax"), "matmul torch": matmul("torch")}
    calls = {label: one.call for label, one in everyone.items()}
    waiting = {label: lambda call=call: np.asarray(call()) for label, call in idle.items()}
    seconds = interleaved({**calls, **waiting, **limits}, rounds)
    agree(everyone)
    peak = 8 * SIDE**3 / min(seconds["matmul jax"], seconds["matmul torch"])
    print(f"\n{name}, {count} members, {steps} steps: matrix products {peak / 1e9:.0f} GFLOP/s, copy "
          f"{2 * COPIED / seconds['copy'] / 1e9:.1f} GB/s")  # fmt: skip
    print(f"{'':28s}{'members×steps':>14s}{'group':>6s}{'compile s':>10s}{'steps/s':>10s}"
          f"{'µs':>9s}{'dispatch':>10s}{'device':>9s}{'of peak':>9s}{'memory':>8s}"
          f"{'ours is':>10s}")  # fmt: skip
    found: dict[str, Any] = {"matmul_gflops": peak / 1e9, "copy_gbs": 2 * COPIED / seconds["copy"] / 1e9}
    best = seconds["population_map"] / everyone["population_map"].work
    for label, one in everyone.items():
        each = seconds[label] / one.work
        empty = seconds.get(f"{label} idle")
        row = {
            "members": one.count, "steps": one.steps, "group": one.group,
            "compile_seconds": one.compile_seconds,
            "member_steps_per_second": 1 / each, "microseconds": each * 1e6,
            "dispatch_microseconds": None if empty is None else empty / one.work * 1e6,
            "of_peak": recipe.operations / each / peak, "ours_is": each / best,
            "memory": None if one.bytes_each is None else one.bytes_each / recipe.bytes(),
        }  # fmt: skip
        found[label] = row
        parts = ("–", "–") if empty is None else (
            f"{row['dispatch_microseconds']:.2f}", f"{row['microseconds'] - row['dispatch_microseconds']:.2f}"
        )  # fmt: skip
        memory = "–" if row["memory"] is None else f"{row['memory']:.2f}"
        compiled = "–" if one.compile_seconds is None else f"{one.compile_seconds:.2f}"
        print(f"{label:28s}{f'{one.count}×{one.steps}':>14s}{one.group or '–':>6}{compiled:>10s}"
              f"{1 / each:10.0f}{row['microseconds']:9.1f}{parts[0]:>10s}{parts[1]:>9s}{row['of_peak']:9.0%}"
              f"{memory:>8s}{row['ours_is']:9.2f}×", flush=True)  # fmt: skip
    return found


def agree(everyone: dict[str, Contender]) -> None:
    """The losses of the first member are the same for all: of steps, or of epochs for the `Trainer`."""
    expected = everyone["population_map"].losses[0]
    for label, one in everyone.items():
        found, wanted = one.losses[0], expected
        if "Trainer" in label:
            wanted = expected.reshape(-1, EPOCH).mean(1)
        np.testing.assert_allclose(found, wanted[: len(found)], rtol=1e-3, atol=1e-4, err_msg=label)


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--members", default="256,16,64,1024,4096", help="sizes of the MLP's populations")
    parser.add_argument("--model", choices=list(RECIPES), help="only this one")
    chosen = parser.parse_args(args)
    path = RESULTS / "population.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    for name in [chosen.model] if chosen.model else RECIPES:
        sizes = [int(size) for size in chosen.members.split(",")] if name == "mlp" else [32]
        for count in sizes:
            steps = EPOCH * max(1, min(4, 2048 // count)) if name == "mlp" else EPOCH
            rounds = max(2, min(chosen.rounds, chosen.rounds * 1024 // count))
            found[f"{name}, {count} members"] = measure(RECIPES[name], name, count, steps, rounds)
            jax.clear_caches()
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
