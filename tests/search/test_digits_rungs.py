"""What the strategies that continue runs save on real learning curves: small networks on digits.

400 configurations are trained once, for 27 epochs each. A search then draws from them and is shown their
curves, so that whole searches can be repeated with many keys; a run that is continued costs only its further
epochs, each of the same number of member-steps. Population-based training changes runs on the way and is
trained itself. `python -m tests.search.test_digits_rungs` prints the table.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.search import (
    asha,
    hyperband,
    integers,
    median_stopping,
    pbt_step,
    random_search,
    successive_halving,
)
from jaxopt_notes.search.spaces.unit_cube import as_configs
from tests.search.curves import drive

pytestmark = pytest.mark.full
pytest.importorskip("sklearn")

CONFIGS, EPOCHS, KEYS = 400, 27, 11
SPACE = {
    "rate": jn.log_uniform(1e-5, 1.0), "dropout": jn.uniform(0.0, 0.7), "clip": jn.log_uniform(0.01, 100.0),
    "b1": jn.uniform(0.5, 0.99), "decay": jn.log_uniform(1e-6, 1.0),
}  # fmt: skip
STRATEGIES = {
    "random_search": random_search(64),
    "successive_halving": successive_halving(144, max_epochs=EPOCHS),
    "asha": asha(108, batch=27, max_epochs=EPOCHS),
    "hyperband": hyperband(EPOCHS),
    "median_stopping": median_stopping(32, EPOCHS, interval=3, wave=8),
}
PBT = (16, EPOCHS)  # members, generations of one epoch


def build(h):
    optimizer = jn.adamw(h["rate"], b1=h["b1"], weight_decay=h["decay"])
    clipped = jn.chain(jn.clip_by_global_norm(h["clip"]), optimizer)
    return jn.Trainer(jn.mlp([32, 10], dropout=h["dropout"]), clipped, jn.softmax_cross_entropy)


@functools.cache
def data():
    train, valid, _ = jn.split(jax.random.key(0), jn.digits())
    standardizer = jn.fit_standardizer(train[0])
    return tuple((standardizer.apply(x), y) for x, y in (train, valid))


@functools.cache
def curves():
    """The least validation loss until each epoch [CONFIGS, EPOCHS]."""
    state = random_search(CONFIGS).init(jax.random.key(1), SPACE)
    configs, _ = random_search(CONFIGS).ask(state, jax.random.key(1), CONFIGS)

    def train(config, key, train, valid):
        trainer = build(config)
        _, history = trainer.advance(trainer.init(key, train), train, valid, EPOCHS)
        return history["valid_loss"]

    keys = jax.random.split(jax.random.key(2), CONFIGS)
    losses = jn.population_map(train, configs, keys, shared=data())
    return np.fmin.accumulate(np.where(np.isfinite(losses), losses, np.inf), axis=1)


def population_based(key):
    """Population-based training as one program: the least validation loss, for the budget of PBT."""
    members, generations = PBT
    train, valid = data()
    start = jax.random.uniform(key, (members, len(SPACE)))
    axes = dict(sorted(SPACE.items()))

    def of_member(point, state, key):
        trainer = build({name: column[0] for name, column in as_configs(axes, point[None]).items()})
        state = trainer.init(key, train) if state is None else state
        state, history = trainer.advance(state, train, valid, 1)
        return state, history["valid_loss"][0]

    def generation(carry, key):
        points, states, best = carry
        states, losses = jax.vmap(of_member, (0, 0, None))(points, states, key)
        best = jnp.minimum(best, jnp.min(jnp.where(jnp.isfinite(losses), losses, jnp.inf)))
        parents, points = pbt_step(key, points, losses)
        return (points, jax.tree.map(lambda leaf: leaf[parents], states), best), None

    states = jax.vmap(lambda p, k: of_member(p, None, k)[0])(start, jax.random.split(key, members))
    carry, _ = jax.lax.scan(
        generation, (start, states, jnp.inf), jax.random.split(key, generations - 1)
    )  # the first was that which made the states
    return carry[2]


def table():
    """Name → (median of the best loss, median of the epochs trained) over the keys, and all losses."""
    found = {}
    for name, strategy in STRATEGIES.items():
        runs = []
        for k in range(KEYS):
            trials, trained = drive(
                strategy, {"config": integers(0, CONFIGS)}, lambda c, e: curves()[c["config"], e - 1],
                jax.random.key(k), whole=EPOCHS,
            )  # fmt: skip
            runs.append((min(t.score for t in trials if np.isfinite(t.score)), trained))
        found[name] = np.array(runs)
    keys = jax.random.split(jax.random.key(3), 5)
    losses = np.asarray(jax.jit(lambda keys: jax.lax.map(population_based, keys))(keys))
    found["population_based_training"] = np.stack([losses, np.full(5, PBT[0] * PBT[1])], axis=1)
    return found


def test_halving_reaches_random_searchs_best_at_a_quarter_of_the_cost():
    """Medians over the keys; the other strategies at such a cost come near it."""
    found = {name: np.median(runs, axis=0) for name, runs in table().items()}
    best, cost = found["random_search"]
    assert cost == 64 * EPOCHS
    assert found["successive_halving"][1] <= cost / 4
    assert found["successive_halving"][0] <= best
    for name in ("asha", "hyperband", "population_based_training"):
        assert found[name][1] <= cost / 4
        assert found[name][0] <= 1.2 * best


def test_a_sweep_reaches_random_searchs_best_at_a_quarter_of_the_cost():
    """The same with nothing simulated: runs that are stopped, kept and continued by `sweep`; medians."""
    best = {}
    for name in ("random_search", "successive_halving"):
        results = [
            jn.sweep(
                build, SPACE, data(), STRATEGIES[name], epochs=EPOCHS, key=jax.random.key(k), progress=False
            )
            for k in range(5)
        ]
        best[name] = np.median([found.best["valid_loss"] for found in results])
    for found in results:
        epochs, parent = found.columns["epochs"], found.columns["parent"]
        trained = np.sum(epochs - np.where(parent >= 0, epochs[parent], 0))
        assert trained <= 64 * EPOCHS / 4
    assert best["successive_halving"] <= best["random_search"]


if __name__ == "__main__":
    for name, runs in table().items():
        quarters = np.quantile(runs[:, 0], [0.25, 0.5, 0.75])
        print(f"{name:26} epochs {np.median(runs[:, 1]):6.0f}   loss {quarters.round(4)}")
