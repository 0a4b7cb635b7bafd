"""Bagging of 32 MLPs: the population engine against scikit-learn, in one run.

    python -m benchmarks.bagging [--members 32] [--epochs 20] [--rounds 3]

Both train MLPs 64-64-64-10 on digits, each on its own bootstrap sample, with Adam at 1e-3, batches of 32 and
as many epochs, without early stopping or decay, and average their probabilities. scikit-learn runs on one
core and in two processes. Calls are interleaved, medians are reported; ours is timed with its program
compiled before, and what the first call takes is said beside it, in CPU seconds. `load` is the machine's
before and after: with others at work only the ratio says something.

Accuracies are those on 540 examples that neither has seen, with the standard error of a proportion; and the
mean over the single members.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import jaxopt_notes as jn
from benchmarks.counts import RESULTS
from benchmarks.machine import interleaved

HIDDEN, BATCH, RATE = (64, 64), 32, 1e-3


def data() -> tuple[tuple, tuple]:
    """Digits, 1257 to train on and 540 to test, scaled to [0, 1]."""
    train, _, test = jn.split(jax.random.key(0), jn.digits(), (0.7, 0.0, 0.3))
    return tuple((np.asarray(x, np.float32) / 16, np.asarray(y)) for x, y in (train, test))


def ours(train: tuple, members: int, epochs: int, found: dict) -> Callable[[], None]:
    """`ensembles.bagging` of a `Trainer`."""
    trainer = jn.Trainer(
        jn.mlp([*HIDDEN, 10], kernel_init=jn.initializers.xavier_uniform()), jn.adam(RATE),
        jn.softmax_cross_entropy, metric=None, batch_size=BATCH,
    )  # fmt: skip

    def call() -> None:
        bag = jn.ensembles.bagging(trainer, jax.random.key(1), train, epochs=epochs, members=members)
        found["population"] = lambda x: np.asarray(jax.nn.softmax(bag.members.predict(jnp.asarray(x))))

    return call


def theirs(train: tuple, members: int, epochs: int, found: dict, jobs: int) -> Callable[[], None]:
    """scikit-learn's `BaggingClassifier`, whose patience is longer than the run."""

    def call() -> None:
        learner = MLPClassifier(
            HIDDEN, batch_size=BATCH, learning_rate_init=RATE, alpha=0.0, max_iter=epochs, tol=0.0,
            n_iter_no_change=epochs + 1,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            bag = BaggingClassifier(learner, members, n_jobs=jobs, random_state=0).fit(*train)
        assert {member.n_iter_ for member in bag.estimators_} == {epochs}
        found[name] = lambda x: np.stack([member.predict_proba(x) for member in bag.estimators_])

    name = f"scikit-learn, {jobs} " + ("process" if jobs == 1 else "processes")
    return call


def scores(said: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracies of the ensemble, with its standard error, and of the members."""
    right = float((said.mean(axis=0).argmax(axis=1) == labels).mean())
    return {
        "accuracy": right,
        "standard_error": float(np.sqrt(right * (1 - right) / len(labels))),
        "members": float((said.argmax(axis=2) == labels).mean()),
    }


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """The table, printed and written to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-write", action="store_true", help="leave the file of results alone")
    options = parser.parse_args(arguments)
    train, test = data()
    found: dict[str, Callable[[Any], np.ndarray]] = {}
    size = options.members, options.epochs
    population = ours(train, *size, found)
    began = time.process_time()
    population()
    first = time.process_time() - began
    calls = {
        "population": population,
        "scikit-learn, 1 process": theirs(train, *size, found, 1),
        "scikit-learn, 2 processes": theirs(train, *size, found, 2),
    }
    load = [os.getloadavg()[0]]
    seconds = interleaved(calls, options.rounds)
    load.append(os.getloadavg()[0])
    rows = {
        name: {"seconds": seconds[name], "ratio": seconds[name] / seconds["population"]}
        | scores(found[name](test[0]), test[1])
        for name in calls
    }
    report = {
        "members": options.members, "epochs": options.epochs, "cores": os.cpu_count(), "load": load,
        "first_call_cpu_seconds": first, "rows": rows,
    }  # fmt: skip
    print(f"{options.members} members, {options.epochs} epochs, {os.cpu_count()} cores, load {load}")
    print(f"{'':28}{'seconds':>9}{'ratio':>8}{'accuracy':>18}{'members':>9}")
    for name, row in rows.items():
        accuracy = f"{row['accuracy']:.4f} ± {row['standard_error']:.4f}"
        print(f"{name:28}{row['seconds']:9.2f}{row['ratio']:8.2f}{accuracy:>18}{row['members']:9.4f}")
    print(f"first call, with compiling: {first:.1f} CPU seconds")
    if not options.no_write:
        (RESULTS / "bagging.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
