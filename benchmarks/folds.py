"""Cross-validation: all folds as one population against the same folds trained one after another.

    python -m benchmarks.folds [--configs 8] [--folds 5] [--seeds 2] [--epochs 10] [--units 0 16 64]

Both train the same configurations × seeds × folds of an MLP with one hidden layer of `units` (0: none) on
digits, with AdamW, batches of 32, and score the fold that is left out after each epoch. The one is
`sweep(folds=…)`; the other calls one compiled function of a configuration, a key and the arrays of a fold,
once for each of them, as a loop over scikit-learn's `KFold` does, with the configurations that the sweep has
drawn. Both are timed with their programs compiled before: `compiling` is the seconds that the last of the
timed sweeps spent on it. Calls are interleaved, medians are reported; `load` is the machine's before: with
others at work only the ratio says something.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import jax
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


def one_by_one(
    build: Callable, data: tuple, folds: Any, options: argparse.Namespace, found: dict
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

    @jax.jit
    def score(h: dict[str, Any], key: jax.Array, train: tuple, valid: tuple) -> jax.Array:
        trainer = build(h)
        state = trainer.init(key, train)
        return trainer.advance(state, train, valid, options.epochs)[1]["valid_loss"][-1]

    def call() -> None:
        keys = jax.random.split(jax.random.key(1), options.seeds)
        drawn = {name: found["configs"][name].astype(np.float32) for name in SPACE}
        configs = [{name: values[i] for name, values in drawn.items()} for i in range(options.configs)]
        scores = [score(h, key, *part) for h in configs for key in keys for part in parts]
        found["one by one"] = np.mean(jax.device_get(scores))

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
    report: dict[str, Any] = {"runs": runs, "epochs": options.epochs, "cores": cores, "units": {}}
    print(f"{runs} runs of {options.epochs} epochs, {cores} cores")
    print(f"{'units':>6}  {'':12}{'seconds':>9}{'ratio':>8}{'mean loss':>11}{'load':>7}")
    for units in options.units:
        found: dict[str, Any] = {}
        parts = build_of(units), data, folds, options, found
        calls = {"population": population(*parts), "one by one": one_by_one(*parts)}
        load = os.getloadavg()[0]
        seconds = interleaved(calls, options.rounds)
        rows = {
            name: {"seconds": seconds[name], "ratio": seconds[name] / seconds["population"],
                   "mean_valid_loss": float(found[name])}
            for name in calls
        }  # fmt: skip
        for name, row in rows.items():
            cells = f"{row['seconds']:9.2f}{row['ratio']:8.2f}{row['mean_valid_loss']:11.4f}{load:7.1f}"
            print(f"{units:6}  {name:12}{cells}", flush=True)
        report["units"][units] = {"load": load, "compiling": found["compiling"], "rows": rows}
    if not options.no_write:
        (RESULTS / "folds.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
