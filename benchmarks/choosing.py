"""What the decision tables of the documentation rest on: optimizers on three tasks, initializers by
activation.

    python -m benchmarks.choosing [optimizers] [initializers] [strategies]

Every optimizer trains at thirteen rates from 1e-5 to 10, two a decade, from three seeds, all at once; kept
is the median over seeds of the training loss at the end, for each rate: training is what an optimizer is
for. Initializers are measured by what twelve layers do to variances and by how far plain gradient descent
gets. Of strategies those that continue runs are measured here; `benchmarks.searches` has the others.
Nothing here is a clock.
"""

import argparse
import itertools
import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_notes as jn
from benchmarks.counts import RESULTS

RATES = np.logspace(-5, 1, 13)
SEEDS = 3
OPTIMIZERS = (
    "sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "adamax", "amsgrad",
    "nadam", "radam", "adabelief", "adopt", "ademamix", "adan", "adafactor", "lion", "lamb", "muon",
    "prodigy", "dog", "schedule_free_sgd", "schedule_free_adamw",
)  # fmt: skip
ACTIVATIONS = ("sigmoid", "tanh", "relu", "selu", "gelu")
WIDTH, DEPTH = 128, 12


def digits() -> tuple[jax.Array, jax.Array]:
    x, y = jn.digits()
    return jn.fit_standardizer(x).apply(x), y


def pictures() -> tuple[jax.Array, jax.Array]:
    """Digits to be drawn again."""
    x, _ = jn.digits()
    return x / 16, x / 16


# Task → data, widths, activation, loss, batch size, steps.
TASKS: dict[str, tuple[Callable, tuple[int, ...], str, Callable, int, int]] = {
    "digits, 64-64-10": (digits, (64, 64, 10), "relu", jn.softmax_cross_entropy, 32, 168),
    "digits, five tanh layers of 32": (
        digits, (64, *[32] * 5, 10), "tanh", jn.softmax_cross_entropy, 32, 168,
    ),
    "an autoencoder of digits, 64-32-8-32-64": (
        pictures, (64, 32, 8, 32, 64), "gelu", jn.half_mean_squared_error, 32, 168,
    ),
}  # fmt: skip


def optimizers() -> dict[str, Any]:
    """Task → optimizer → the loss at each of `RATES`."""
    found: dict[str, Any] = {"rates": [float(f"{rate:.2g}") for rate in RATES], "tasks": {}}
    for task in TASKS:
        found["tasks"][task] = {}
        for name in OPTIMIZERS:
            losses = np.asarray(losses_by_rate(task, jn.optimizers.OPTIMIZERS[name]))
            median = np.median(np.where(np.isfinite(losses), losses, np.inf), axis=1)
            found["tasks"][task][name] = [float(f"{x:.3g}") if np.isfinite(x) else None for x in median]
            print(f"{task:34} {name:22}", found["tasks"][task][name], flush=True)
    return found


def losses_by_rate(task: str, factory: Callable) -> jax.Array:
    """Losses [rates, seeds] of the whole training set after the last step."""
    data, widths, activation, loss_of, batch_size, steps = TASKS[task]
    x, y = data()
    f = jn.activations.ACTIVATIONS[activation]
    initializer = jn.recommended(activation)

    def loss(params, x, y):
        for i, (w, b) in enumerate(params):
            x = x @ w + b
            x = f(x) if i < len(params) - 1 else x
        return jnp.mean(loss_of(x, y))

    def final(rate, key):
        optimizer = factory(rate)
        keys = jax.random.split(key, len(widths))
        params = [
            (initializer(k, shape), jnp.zeros(shape[1]))
            for k, shape in zip(keys[1:], itertools.pairwise(widths), strict=True)
        ]

        def step(carry, key):
            params, state = carry
            chosen = jax.random.choice(key, len(x), (batch_size,), replace=False)
            grads = jax.grad(loss)(params, x[chosen], y[chosen])
            updates, state = optimizer.update(grads, state, params)
            return (jn.apply_updates(params, updates), state), None

        start = params, optimizer.init(params)
        (params, state), _ = jax.lax.scan(step, start, jax.random.split(keys[0], steps))
        return loss(jn.evaluation_params(optimizer, params, state), x, y)

    seeds = jax.random.split(jax.random.key(0), SEEDS)
    grid = jax.jit(jax.vmap(jax.vmap(final, (None, 0)), (0, None)))
    return grid(jnp.asarray(RATES, jnp.float32), seeds)


def candidates(activation: str) -> dict[str, Any]:
    return {
        "normal(1.0)": jn.initializers.normal(1.0),
        "normal(0.01)": jn.initializers.normal(0.01),
        "lecun_normal": jn.lecun_normal(),
        "xavier_normal": jn.xavier_normal(),
        "he_normal": jn.he_normal(),
        "orthogonal": jn.orthogonal(),
        "recommended": jn.recommended(activation),
    }


def initializers() -> dict[str, Any]:
    """Activation → initializer → factors of variances a layer, and the loss that gradient descent reaches."""
    x, y = digits()
    x = x[:1024]
    y = y[:1024]
    rates = jnp.asarray([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0])
    found: dict[str, Any] = {}
    for activation in ACTIVATIONS:
        f = jn.activations.ACTIVATIONS[activation]

        def outputs(params, x, f=f):
            for w in params[:-1]:
                x = f(x @ w)
            return x @ params[-1]

        def loss(params, x, y, outputs=outputs):
            return jnp.mean(jn.softmax_cross_entropy(outputs(params, x), y))

        @jax.jit
        def trained(params, rate, loss=loss):
            def step(params, i):
                batch = (
                    jax.lax.dynamic_slice_in_dim(x, 32 * (i % 32), 32),
                    jax.lax.dynamic_slice_in_dim(y, 32 * (i % 32), 32),
                )
                grads = jax.grad(loss)(params, *batch)
                return jax.tree.map(lambda p, g: p - rate * g, params, grads), None

            params, _ = jax.lax.scan(step, params, jnp.arange(32 * 10))
            return loss(params, x, y)

        @jax.jit
        def variances(hidden, key, f=f):
            """Variance over units and samples after each layer, and of the gradient before each."""

            def last(shifts, h):
                layers = []
                for w, shift in zip(hidden, shifts, strict=True):
                    h = f(h @ w) + shift
                    layers.append(h)
                return jnp.sum(h * jax.random.normal(key, h.shape)), layers

            h = jax.random.normal(key, (256, WIDTH))
            shifts = [jnp.zeros_like(h)] * DEPTH
            gradients, layers = jax.grad(last, has_aux=True)(shifts, h)
            # Per unit, over samples: what a layer still tells of its input.
            forward = jnp.stack([jnp.mean(jnp.var(layer, axis=0)) for layer in layers])
            backward = jnp.stack([jnp.mean(g**2) for g in gradients])
            return forward, backward

        found[activation] = {}
        for name, initializer in candidates(activation).items():
            factors, losses = [], []
            for seed in range(SEEDS):
                keys = jax.random.split(jax.random.key(seed), DEPTH + 2)
                hidden = [initializer(key, (WIDTH, WIDTH)) for key in keys[:DEPTH]]
                forward, backward = (np.asarray(v, np.float64) for v in variances(hidden, keys[-1]))
                with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                    factors.append(
                        [
                            (forward[-1] / forward[0]) ** (1 / (DEPTH - 1)),
                            (backward[0] / backward[-1]) ** (1 / (DEPTH - 1)),
                        ]
                    )
                shapes = [(64, 64), *[(64, 64)] * 7, (64, 10)]
                params = [initializer(key, shape) for key, shape in zip(keys, shapes, strict=False)]
                losses.append([float(trained(params, rate)) for rate in rates])
            median = np.median(np.where(np.isfinite(losses), losses, np.inf), axis=0)
            forward, backward = np.median(factors, axis=0)
            found[activation][name] = {
                "forward": float(f"{forward:.3g}"),
                "backward": float(f"{backward:.3g}"),
                "loss": float(f"{median.min():.3g}") if np.isfinite(median.min()) else None,
            }
            print(f"{activation:12} {name:14}", found[activation][name], flush=True)
    return found


def strategies() -> dict[str, Any]:
    """Of strategies that continue runs: the median over keys of the best loss, and of the epochs trained."""
    from tests.search.test_digits_rungs import table

    return {
        name: {"loss": float(f"{np.median(runs[:, 0]):.4g}"), "epochs": float(np.median(runs[:, 1]))}
        for name, runs in table().items()
    }


PARTS = {"optimizers": optimizers, "initializers": initializers, "strategies": strategies}


def main(arguments: list[str] | None = None) -> None:
    """The parts that are named, added to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; by default all")
    options = parser.parse_args(arguments)
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"PART is {unknown[0]!r}, expected one of {', '.join(PARTS)}")
    path = RESULTS / "choosing.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for part in options.parts or PARTS:
        found[part] = PARTS[part]()
        found["jax"] = jax.__version__
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
