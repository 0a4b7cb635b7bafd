"""Nine problems for searches: seven formulas whose least value is known, and two trainings.

Each is a space and a function of a batch of configurations: what a search is told, and what it is worth. The
formulas are regrets, 0 at best, of the unit cube unless the space says otherwise; the trainings validation
losses, of the same weights and data order for every configuration. Only where scores are noisy do the two
numbers differ.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_notes as jn
from jaxopt_notes.search.black_box_problems import hartmann6
from jaxopt_notes.search.spaces.conditional import conditional

Columns = dict[str, np.ndarray]


class Problem(NamedTuple):
    """A space, `score(configs)` [n], and the standard deviation of the noise that is told with it."""

    label: str
    space: dict[str, Any]
    score: Callable[[Columns], np.ndarray]
    noise: float = 0.0


def cube(d: int) -> dict[str, Any]:
    return {f"x{i}": jn.uniform(0.0, 1.0) for i in range(d)}


def of_points(f: Callable[[np.ndarray], np.ndarray]) -> Callable[[Columns], np.ndarray]:
    return lambda configs: f(np.stack([np.asarray(column, float) for column in configs.values()], axis=1))


def hartmann(u: np.ndarray) -> np.ndarray:
    return 3.32237 + np.asarray(hartmann6(u), float)


def ackley(u: np.ndarray) -> np.ndarray:
    """Ackley 1987 on ±65.5, its minimum moved from the centre: a needle in a flat and rugged plain."""
    x = 65.536 * (u - np.array([0.31, 0.58, 0.44, 0.67, 0.39]))
    hills = np.exp(np.mean(np.cos(2 * np.pi * x), axis=1))
    return 20 - 20 * np.exp(-0.2 * np.sqrt(np.mean(x**2, axis=1))) + np.e - hills


def levy(u: np.ndarray) -> np.ndarray:
    """Levy & Montalvo 1985 on ±10, as Laguna & Martí 2005 write it."""
    w = 1 + (20 * u - 11) / 4
    first, middle, last = w[:, 0], w[:, :-1], w[:, -1]
    return (
        np.sin(np.pi * first) ** 2
        + np.sum((middle - 1) ** 2 * (1 + 10 * np.sin(np.pi * middle + 1) ** 2), axis=1)
        + (last - 1) ** 2 * (1 + np.sin(2 * np.pi * last) ** 2)
    )


def rosenbrock(u: np.ndarray) -> np.ndarray:
    """log(1 + f) of Rosenbrock 1960 on ±2: a bent valley."""
    x = 4 * u - 2
    return np.log1p(np.sum(100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2, axis=1))


MIXED = {
    "kind": jn.static_choice(["a", "b", "c"]),
    "layers": jn.integers(1, 6),
    "momentum": conditional(jn.uniform(0.0, 1.0), "kind", "a"),
    "rate": jn.log_uniform(1e-5, 1.0),
    "width": jn.uniform(0.0, 1.0),
    "order": jn.static_choice(["r", "t"]),
}


def mixed(c: Columns) -> np.ndarray:
    """Three kinds, of which the best one has a hyperparameter of its own; the others lean on one another."""
    kind, layers, rate = c["kind"], c["layers"].astype(float), np.log10(c["rate"])
    own = np.where(kind == 0, (c["momentum"] - 0.8) ** 2, np.where(kind == 1, 0.15, 0.4))
    by_rate = 0.15 * (rate + 2.3 - 0.3 * (kind == 1)) ** 2
    by_width = 0.3 * (c["width"] - 0.35 - 0.05 * layers) ** 2
    return own + by_rate + 0.05 * np.abs(layers - 3) + by_width + 0.1 * c["order"]


CLIFF = {
    "rate": jn.log_uniform(1e-5, 1.0),
    "momentum": jn.uniform(0.0, 0.99),
    "decay": jn.log_uniform(1e-6, 1.0),
    "dropout": jn.uniform(0.0, 0.8),
    "warmup": jn.uniform(0.0, 1.0),
}


def cliff(c: Columns) -> np.ndarray:
    """What training often looks like: the best is near the edge beyond which everything diverges (NaN).

    The effective rate η/(1 − μ) matters, not its two parts; a third of the space diverges.
    """
    effective = np.log10(c["rate"] / (1 - c["momentum"]))
    edge = -1.0 + 0.5 * c["warmup"]
    short = edge - 0.3 - effective
    decay, dropout = (np.log10(c["decay"]) + 3.5) / 6, c["dropout"]
    loss = 0.3 * short**2 + 2 * (decay + 0.5 * dropout - 0.1) ** 2 + (dropout - 0.25) ** 2 + 0.1 * c["warmup"]
    return np.where(effective > edge, np.nan, loss + 0.1 * np.log1p(short**2))


def trained(load: Callable[[], tuple], build: Callable[[dict], jn.Trainer], epochs: int) -> Callable:
    """The lowest validation loss of each configuration, trained by one of two programs: for one, or eight."""

    @functools.cache
    def program() -> Callable:
        train, valid = load()

        def loss(h: dict) -> jax.Array:
            trainer = build(h)
            _, history = trainer.advance(trainer.init(jax.random.key(1), train), train, valid, epochs)
            return jnp.min(history["valid_loss"])

        return jax.jit(jax.vmap(loss))

    def score(configs: Columns) -> np.ndarray:
        n = len(next(iter(configs.values())))
        size, found = (1 if n == 1 else 8), []
        for first in range(0, n, size):
            rows = np.minimum(np.arange(first, first + size), n - 1)
            found.append(np.asarray(program()({name: column[rows] for name, column in configs.items()})))
        return np.concatenate(found)[:n].astype(float)

    return score


def standardized(x: jax.Array, y: jax.Array) -> tuple:
    train, valid, _ = jn.split(jax.random.key(0), (x, y))
    scaled = jn.fit_standardizer(train[0])
    return tuple((scaled.apply(x), y) for x, y in (train, valid))


def mnist() -> tuple:
    """5,000 images of MNIST, each 2×2 pixels one."""
    x, y = jn.data.mnist()
    x = jnp.reshape(x, (-1, 14, 2, 14, 2)).mean((2, 4)).reshape(-1, 196)
    return standardized(x, y)


DIGITS = {
    "rate": jn.log_uniform(1e-5, 1.0), "b1": jn.uniform(0.5, 0.99), "b2": jn.uniform(0.8, 0.9999),
    "decay": jn.log_uniform(1e-6, 1.0), "dropout": jn.uniform(0.0, 0.8), "clip": jn.log_uniform(0.01, 100.0),
}  # fmt: skip
MNIST = {
    "rate": jn.log_uniform(1e-4, 10.0), "momentum": jn.uniform(0.0, 0.99), "l2": jn.log_uniform(1e-7, 0.1),
    "dropout": jn.uniform(0.0, 0.8), "clip": jn.log_uniform(0.01, 100.0),
}  # fmt: skip


def digits_run(h: dict) -> jn.Trainer:
    optimizer = jn.adamw(h["rate"], b1=h["b1"], b2=h["b2"], weight_decay=h["decay"])
    clipped = jn.chain(jn.clip_by_global_norm(h["clip"]), optimizer)
    return jn.Trainer(jn.mlp([32, 10], dropout=h["dropout"]), clipped, jn.softmax_cross_entropy)


def mnist_run(h: dict) -> jn.Trainer:
    optimizer = jn.chain(jn.clip_by_global_norm(h["clip"]), jn.momentum(h["rate"], h["momentum"]))
    return jn.Trainer(
        jn.mlp([32, 10], dropout=h["dropout"]), optimizer, jn.softmax_cross_entropy,
        penalty=jn.l2(h["l2"]), batch_size=64,
    )  # fmt: skip


PROBLEMS = {
    "digits": Problem(
        "digits, 6 hyperparameters", DIGITS, trained(lambda: standardized(*jn.digits()), digits_run, 8)
    ),
    "mnist": Problem("MNIST 14×14, 5", MNIST, trained(mnist, mnist_run, 4)),
    "hartmann": Problem("Hartmann-6", cube(6), of_points(hartmann)),
    "ackley": Problem("Ackley-5", cube(5), of_points(ackley)),
    "levy": Problem("Levy-8", cube(8), of_points(levy)),
    "mixed": Problem("mixed-6", MIXED, mixed),
    "noisy": Problem("Hartmann-6, noise", cube(6), of_points(hartmann), noise=0.25),
    "rosenbrock": Problem("Rosenbrock-4", cube(4), of_points(rosenbrock)),
    "cliff": Problem("cliff-5", CLIFF, cliff),
}
