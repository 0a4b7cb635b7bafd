"""Cross-validation: all folds as one population against the same folds trained one after another.

    python -m benchmarks.folds [--configs 8] [--folds 5] [--seeds 2] [--epochs 10] [--units 0 16 64]

All train the same configurations × seeds × folds of an MLP with one hidden layer of `units` (0: none) on
digits, with AdamW, batches of 32, and score the fold that is left out after each epoch. The first is
`sweep(folds=…)`; the others call one compiled function of a configuration, a key and the arrays of a fold,
once for each of them, as a loop over scikit-learn's `KFold` does, with the configurations that the sweep has
drawn: a run of our `Trainer`, and one written by hand with optax, where it is installed. All are timed with
their programs compiled before: `compiling` is the seconds that the last of the timed sweeps spent on it.
Calls are interleaved, medians are reported; `load` is the machine's before: with others at work only the
ratio says something.
"""

import argparse
import importlib.util
import itertools
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_notes as jn
from benchmarks.counts import RESULTS
from benchmarks.machine import interleaved
from jaxopt_notes.data import kfold_indices

SPACE = {"rate": jn.log_uniform(1e-4, 1e-2), "weight_decay": jn.log_uniform(1e-6, 1e-2)}


def build_of(units: int) -> Callable[[dict[str, Any]], jn.Trainer]:
    """The run of one configuration, with so many hidden units."""

    def build(h: dict[str, Any]) -> jn.Trainer:
        model = jn.mlp([units, 10] if units else [10])
        optimizer = jn.adamw(h["rate"], weight_decay=h["weight_decay"])
        return jn.Trainer(model, optimizer, jn.softmax_cross_entropy, metric=None, batch_size=32)

    return build


def population(
    build: Callable, data: tuple, folds: Any, options: argparse.Namespace, found: dict
) -> Callable[[], None]:
    """`sweep`, whose members are configurations, seeds and folds."""

    def call() -> None:
        results = jn.sweep(
            build, SPACE, data, jn.random_search(options.configs), seeds=options.seeds, folds=folds,
            epochs=options.epochs, key=jax.random.key(0), at="last", progress=False,
        )  # fmt: skip
        found["population"] = np.asarray(results.scores).mean()
        found["configs"] = results.columns
        found["compiling"] = sum(report.compile_seconds for report in results.reports)

    return call


def with_trainer(units: int, epochs: int) -> Callable[..., jax.Array]:
    """The score of one run of our `Trainer`."""
    build = build_of(units)

    def score(h: dict[str, Any], key: jax.Array, train: tuple, valid: tuple) -> jax.Array:
        trainer = build(h)
        state = trainer.init(key, train)
        return trainer.advance(state, train, valid, epochs)[1]["valid_loss"][-1]

    return score


def with_optax(units: int, epochs: int) -> Callable[..., jax.Array]:
    """The score of the same run as one writes it by hand; what does not fill a batch is left out."""
    import optax

    sizes = [64, units, 10] if units else [64, 10]
    normal = jax.nn.initializers.lecun_normal()

    def outputs(params: list, x: jax.Array) -> jax.Array:
        for kernel, bias in params[:-1]:
            x = jax.nn.relu(x @ kernel + bias)
        kernel, bias = params[-1]
        return x @ kernel + bias

    def loss(params: list, x: jax.Array, y: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(outputs(params, x), y).mean()

    def score(h: dict[str, Any], key: jax.Array, train: tuple, valid: tuple) -> jax.Array:
        optimizer = optax.adamw(h["rate"], weight_decay=h["weight_decay"])
        starts, orders = jax.random.split(key)
        keys = jax.random.split(starts, len(sizes) - 1)
        params = [
            (normal(k, size), jnp.zeros(size[1]))
            for k, size in zip(keys, itertools.pairwise(sizes), strict=True)
        ]

        def step(carry: tuple, rows: jax.Array) -> tuple:
            params, state = carry
            gradient = jax.grad(loss)(params, *(part[rows] for part in train))
            updates, state = optimizer.update(gradient, state, params)
            return (optax.apply_updates(params, updates), state), None

        def epoch(carry: tuple, key: jax.Array) -> tuple:
            order = jax.random.permutation(key, len(train[0]))
            carry, _ = jax.lax.scan(step, carry, order[: len(order) // 32 * 32].reshape(-1, 32))
            return carry, loss(carry[0], *valid)

        return jax.lax.scan(epoch, (params, optimizer.init(params)), jax.random.split(orders, epochs))[1][-1]

    return score


def one_by_one(
    name: str,
    run: Callable[..., jax.Array],
    data: tuple,
    folds: Any,
    options: argparse.Namespace,
    found: dict,
) -> Callable[[], None]:
    """One compiled run, called for each configuration, seed and fold with the rows of the fold."""
    x, y = (np.asarray(part) for part in data)
    parts = []
    for f in range(options.folds):
        train, valid = (
            np.asarray(rows[f])[np.asarray(weights[f]) > 0]
            for rows, weights in (
                (folds.train, folds.train_weights),
                (folds.validation, folds.validation_weights),
            )
        )
        parts.append(((x[train], y[train]), (x[valid], y[valid])))

    score = jax.jit(run)

    def call() -> None:
        keys = jax.random.split(jax.random.key(1), options.seeds)
        drawn = {name: found["configs"][name].astype(np.float32) for name in SPACE}
        configs = [{name: values[i] for name, values in drawn.items()} for i in range(options.configs)]
        scores = [score(h, key, *part) for h in configs for key in keys for part in parts]
        found[name] = np.mean(jax.device_get(scores))

    return call


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """The table, printed and written to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("configs", 8), ("folds", 5), ("seeds", 2), ("epochs", 10), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--units", type=int, nargs="+", default=[0, 16, 64])
    parser.add_argument("--no-write", action="store_true", help="leave the file of results alone")
    options = parser.parse_args(arguments)
    x, y = jn.digits()
    data = np.asarray(x, np.float32) / 16, np.asarray(y)
    folds = kfold_indices(jax.random.key(5), len(y), options.folds)
    runs, cores = options.configs * options.seeds * options.folds, os.cpu_count()
    loops = {"one by one": with_trainer}
    if importlib.util.find_spec("optax"):
        loops["by hand with optax"] = with_optax
    report: dict[str, Any] = {"runs": runs, "epochs": options.epochs, "cores": cores, "units": {}}
    print(f"{runs} runs of {options.epochs} epochs, {cores} cores")
    print(f"{'units':>6}  {'':20}{'seconds':>9}{'ratio':>8}{'mean loss':>11}{'load':>7}")
    for units in options.units:
        found: dict[str, Any] = {}
        parts = data, folds, options, found
        calls = {"population": population(build_of(units), *parts)}
        for name, run in loops.items():
            calls[name] = one_by_one(name, run(units, options.epochs), *parts)
        load = os.getloadavg()[0]
        seconds = interleaved(calls, options.rounds)
        rows = {
            name: {"seconds": seconds[name], "ratio": seconds[name] / seconds["population"],
                   "mean_valid_loss": float(found[name])}
            for name in calls
        }  # fmt: skip
        for name, row in rows.items():
            cells = f"{row['seconds']:9.2f}{row['ratio']:8.2f}{row['mean_valid_loss']:11.4f}{load:7.1f}"
            print(f"{units:6}  {name:20}{cells}", flush=True)
        report["units"][units] = {"load": load, "compiling": found["compiling"], "rows": rows}
    if not options.no_write:
        (RESULTS / "folds.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
