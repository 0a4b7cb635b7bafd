"""Search strategies at equal budget, each from twenty keys: what they find, and what asking costs.

    python -m benchmarks.strategies [--keys 20]        0 keys: only the times

Branin and Hartmann-6 in 30 and 60 evaluations, and a network on digits with five hyperparameters in 48
trainings of five epochs. Shown are the median over the keys of the lowest value found, and on how many keys
a strategy found less than random search did. Then the time of one batch of Bayesian search as observations
grow, compilation apart.
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

import jaxopt_notes as jn
from benchmarks.counts import RESULTS
from jaxopt_notes.search.black_box_problems import branin, hartmann6

DIGITS = {
    "rate": jn.log_uniform(1e-5, 1.0), "dropout": jn.uniform(0.0, 0.7), "clip": jn.log_uniform(0.01, 100.0),
    "b1": jn.uniform(0.5, 0.99), "decay": jn.log_uniform(1e-6, 1.0),
}  # fmt: skip


def strategies(n: int, batch: int) -> dict[str, Any]:
    return {
        "random_search": jn.random_search(n),
        "sobol": jn.sobol(n),
        "latin_hypercube": jn.latin_hypercube(n),
        "cma_es": jn.cma_es(n),
        "bayesian": jn.bayesian(n, batch),
    }


def on_cube(f: Callable) -> Callable:
    return lambda configs: f(jnp.stack(list(configs.values()), axis=1))


def digits_loss() -> Callable:
    """configs → the lowest validation loss in five epochs, the same data order and weights for all."""
    train, valid, _ = jn.split(jax.random.key(0), jn.digits())
    standardizer = jn.fit_standardizer(train[0])
    train, valid = ((standardizer.apply(x), y) for x, y in (train, valid))

    def loss(h: dict) -> jax.Array:
        optimizer = jn.adamw(h["rate"], b1=h["b1"], weight_decay=h["decay"])
        clipped = jn.chain(jn.clip_by_global_norm(h["clip"]), optimizer)
        trainer = jn.Trainer(jn.mlp([32, 10], dropout=h["dropout"]), clipped, jn.softmax_cross_entropy)
        _, history = trainer.advance(trainer.init(jax.random.key(1), train), train, valid, 5)
        return jnp.min(history["valid_loss"])

    return jax.vmap(loss)


def lowest(strategy: Any, space: Any, score: Callable, key: jax.Array) -> float:
    """The lowest score of one search. Batches are padded, so that `score` is compiled for few sizes."""
    key, own = jax.random.split(key)
    state, best = strategy.init(own, space), np.inf
    while wanted := strategy.remaining(state):
        key, own = jax.random.split(key)
        configs, state = strategy.ask(state, own, wanted)
        room = -(-wanted // 12) * 12
        padded = jax.tree.map(lambda x, more=room - wanted: jnp.pad(x, (0, more), mode="edge"), configs)
        scores = score(padded)[:wanted]
        state = strategy.tell(state, configs, scores)
        best = min(best, float(np.nanmin(scores)))
    return best


def seconds_of_a_batch(observations: int, batch: int = 4, times: int = 3) -> float:
    """Median seconds of asking for a batch in six dimensions after this many observations."""
    space = {f"x{i}": jn.uniform(0.0, 1.0) for i in range(6)}
    strategy = jn.bayesian(observations + batch * (times + 1), batch, initial=observations)
    state = strategy.init(jax.random.key(0), space)
    configs, state = strategy.ask(state, jax.random.key(1), observations)
    state = strategy.tell(state, configs, on_cube(hartmann6)(configs))
    taken = []
    for i in range(times + 1):
        began = time.perf_counter()
        configs, state = strategy.ask(state, jax.random.key(2 + i), batch)
        jax.block_until_ready(configs)
        taken.append(time.perf_counter() - began)
        state = strategy.tell(state, configs, on_cube(hartmann6)(configs))
    return float(np.median(taken[1:]))  # the first one compiles


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=20)
    count = parser.parse_args().keys
    keys = jax.random.split(jax.random.key(7), count)
    cube = lambda d: {f"x{i}": jn.uniform(0.0, 1.0) for i in range(d)}  # noqa: E731
    problems = {
        "Branin (least 0.398), 30": (cube(2), jax.jit(on_cube(branin)), strategies(30, 3)),
        "Hartmann-6 (least -3.322), 60": (cube(6), jax.jit(on_cube(hartmann6)), strategies(60, 4)),
        "digits, 48 trainings": (DIGITS, jax.jit(digits_loss()), strategies(48, 4)),
    }
    path = RESULTS / "strategies.json"
    found: dict[str, Any] = {} if count or not path.exists() else json.loads(path.read_text())
    for label, (space, score, contenders) in problems.items() if count else ():
        values = {
            name: np.array([lowest(strategy, space, score, key) for key in keys])
            for name, strategy in contenders.items()
        }
        print(f"\n{label}\n{'':18s}{'median':>10s}{'quartiles':>20s}{'beats random on':>18s}")
        for name, value in values.items():
            low, middle, high = np.quantile(value, [0.25, 0.5, 0.75])
            wins = int((value < values["random_search"]).sum())
            print(f"{name:18s}{middle:10.4f}{low:10.4f}{high:10.4f}{wins:12d} of {len(keys)}", flush=True)
            row = {"median": middle, "quartiles": [low, high], "beats_random": wins}
            found.setdefault(label, {})[name] = row
    times = {n: seconds_of_a_batch(n) for n in (100, 300, 1000)}
    print("\nBayesian search, seconds of a batch of 4 after this many observations:", times)
    found["seconds_of_a_batch"] = times
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
