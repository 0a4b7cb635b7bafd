"""Population-based training: who continues whom, with what, the same every time; and all on one device."""

import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search import integers, log_uniform, pbt_step, population_based_training, uniform
from tests.compiled import compiled
from tests.search.curves import ask, drive, lineage, tell

SPACE = {"rate": log_uniform(1e-3, 1e-1), "dropout": uniform(0.0, 0.5)}


def score(config, epochs):
    return abs(np.log10(config["rate"]) + 2) + config["dropout"] / epochs


step = compiled(pbt_step)


def many(keys, points, scores, **options):
    """A step with each of several keys."""
    draw = jax.vmap(functools.partial(pbt_step, **options), (0, None, None))
    return jax.device_get(jax.jit(draw)(keys, points, scores))


def test_truncation_replaces_the_worst_by_the_best(key):
    """Of ten, a truncation of 0.3: ranks 7, 8 and 9 continue one of ranks 0, 1 and 2."""
    scores = np.float32([5, 1, 9, 3, 7, 2, 8, 4, 6, 0])
    points = np.linspace(0.05, 0.95, 10, dtype=np.float32)[:, None]
    seen, draws = set(), many(jax.random.split(key, 10), points, scores, truncation=0.3, resample=0.0)
    for parents, moved in zip(*draws, strict=True):
        for i in range(10):
            if i in (2, 4, 6):
                assert parents[i] in (9, 1, 5)
                np.testing.assert_allclose(abs(moved[i] - points[parents[i]]), 0.05, rtol=1e-5)
                seen.add(int(parents[i]))
            else:
                assert parents[i] == i
                assert moved[i] == points[i]
    assert seen == {9, 1, 5}


def test_a_tournament_is_won_by_the_better(key):
    scores, points = np.arange(6, dtype=np.float32), np.full((6, 1), 0.5, np.float32)
    draws, moved = many(jax.random.split(key, 4000), points, scores, selection="tournament")
    assert (draws[:, 0] == 0).all()
    assert (draws <= np.arange(6)).all()
    np.testing.assert_array_equal(moved[..., 0] == 0.5, draws == np.arange(6))
    # member 5 meets each of the others equally often, and always loses
    np.testing.assert_allclose(np.bincount(draws[:, 5], minlength=6) / 4000, [0.2] * 5 + [0.0], atol=0.03)


def test_exploring_resamples_with_its_probability_and_stays_inside(key):
    scores, points = np.arange(1000, dtype=np.float32), np.ones((1000, 3), np.float32)
    parents, moved = jax.device_get(
        step(key, points, scores, truncation=0.5, perturbation=0.25, resample=0.3)
    )
    changed = moved[parents != np.arange(1000)]
    assert len(changed) == 500
    np.testing.assert_allclose(np.mean(changed != 0.75), 0.3, atol=0.03)  # 1 ± 0.25 is reflected to 0.75
    assert ((moved >= 0) & (moved <= 1)).all()
    drawn = changed[changed != 0.75]
    np.testing.assert_allclose(np.quantile(drawn, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.06)


def test_the_diverged_are_replaced_however_many_there_are(key):
    nan, inf = np.nan, np.inf
    points = np.linspace(0, 1, 6, dtype=np.float32)[:, None]
    parents, moved = jax.device_get(step(key, points, np.float32([nan, 3, -inf, inf, nan, 2])))
    assert parents[1] == 1
    assert parents[5] == 5
    assert all(parents[i] == 5 for i in (0, 2, 3, 4))  # the best fifth of six is one
    assert np.isfinite(moved).all()
    parents, moved = step(key, points, np.full(6, nan, np.float32))
    assert parents.tolist() == list(range(6))
    np.testing.assert_array_equal(moved, points)


@pytest.mark.parametrize("selection", ["truncation", "tournament"])
def test_lineage_and_determinism(key, selection):
    strategy = population_based_training(8, 5, interval=2, selection=selection)
    trials, trained = drive(strategy, SPACE, score, key)
    assert drive(strategy, SPACE, score, key)[0] == trials
    assert drive(strategy, SPACE, score, jax.random.key(1))[0] != trials
    assert [t.epochs for t in trials] == [2 * (g + 1) for g in range(5) for _ in range(8)]
    assert trained == 8 * 5 * 2
    for number, trial in enumerate(trials):
        generation = number // 8
        if generation == 0:
            assert trial.parent == -1
            continue
        assert trial.parent // 8 == generation - 1
        if trial.parent % 8 == number % 8:  # it goes on as it was
            assert trial.config == trials[trial.parent].config
        else:
            assert trials[trial.parent].score < trials[number - 8].score
            assert trial.config != trials[trial.parent].config
    best = min(range(32, 40), key=lambda i: trials[i].score)
    assert [trials[i].epochs for i in lineage(trials, best)] == [2, 4, 6, 8, 10]
    assert trials[best].score < min(t.score for t in trials[:8])


@pytest.mark.full
def test_it_resumes_from_a_file_and_in_batches_in_part(key):
    strategy = population_based_training(6, 3)

    def run(parts, saved):
        state, out = strategy.init(key, SPACE), []
        for g in range(3):
            for n in parts:
                configs, state = strategy.ask(state, jax.random.fold_in(key, g), n)
                state = pickle.loads(pickle.dumps(state)) if saved else state
                out += configs["rate"].tolist()
                state = strategy.tell(state, configs, configs["rate"])
        return out

    np.testing.assert_allclose(run([6], False), run([4, 2], True), rtol=1e-6)
    state = strategy.init(key, SPACE)
    with pytest.raises(ValueError, match="asked for 7 configurations, 6 are wanted"):
        strategy.ask(state, key, 7)


@pytest.mark.full
def test_a_schedule_is_found_that_no_constant_is(key):
    """The toy problem of the paper (figure 2): Q = 1.2 − θ₀² − θ₁² is climbed along ∇[1.2 − h₀θ₀² − h₁θ₁²].

    With h = (1, 0) or (0, 1) one coordinate never moves; two members that exchange weights and settings
    reach the top. Everything, all generations of both members, is one scan on the device.
    """

    def run(key, exploit):
        def generation(carry, key):
            theta, h = carry
            for _ in range(4):
                theta = theta - 0.02 * h * theta
            scores = -(1.2 - jnp.sum(theta**2, axis=1))
            parents, moved = pbt_step(key, h, scores, truncation=0.5, perturbation=0.1, resample=0.0)
            carry = (theta[parents], moved) if exploit else (theta, h)
            return carry, -scores

        start = (jnp.full((2, 2), 0.9), jnp.array([[1.0, 0.0], [0.0, 1.0]]))
        return jax.lax.scan(generation, start, jax.random.split(key, 50))[1]

    together, alone = (jax.jit(run, static_argnums=1)(key, exploit) for exploit in (True, False))
    np.testing.assert_allclose(alone[-1], 1.2 - 0.9**2, atol=1e-3)
    assert together[-1].max() > 1.1


@pytest.mark.full
def test_integers_and_batches_of_searches(key):
    """Whole numbers stay whole; a vmap over keys and steps is the loop."""
    space = {"depth": integers(1, 9), "rate": log_uniform(1e-3, 1.0)}

    def search(key, perturbation):
        strategy = population_based_training(4, 3, perturbation=perturbation)
        state, rows = strategy.init(key, space), []
        for g in range(3):
            configs, state = strategy.ask(state, jax.random.fold_in(key, g), 4)
            state = strategy.tell(state, configs, configs["rate"])
            rows.append(configs)
        return rows

    keys, steps = jax.random.split(key, 3), jnp.array([0.02, 0.1, 0.3])
    batch = jax.jit(jax.vmap(search))(keys, steps)
    for i in range(3):
        for ours, theirs in zip(batch, search(keys[i], steps[i]), strict=True):
            assert jnp.issubdtype(ours["depth"].dtype, jnp.integer)
            for name in ours:
                np.testing.assert_allclose(ours[name][i], theirs[name], rtol=1e-5)


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"population_based_training\(population\) is 1"):
        population_based_training(1)
    with pytest.raises(ValueError, match=r"population_based_training\(truncation\) is 0.6"):
        population_based_training(truncation=0.6)
    with pytest.raises(ValueError, match=r"population_based_training\(selection\) is 'luck'"):
        population_based_training(selection="luck")


def test_every_dimension_of_a_member_turns_its_own_way(key):
    points, scores = np.full((1000, 2), 0.5, np.float32), np.arange(1000, dtype=np.float32)
    parents, moved = jax.device_get(step(key, points, scores, truncation=0.5, resample=0.0))
    signs = np.sign(moved[parents != np.arange(1000)] - 0.5)
    assert abs(np.mean(signs[:, 0] * signs[:, 1])) < 5 / np.sqrt(len(signs))


def test_the_strategy_explores_as_it_was_told(key):
    """Without resampling those replaced are a perturbation away from a parent, with it anywhere."""
    space = {"x": uniform(0.0, 1.0), "y": uniform(0.0, 1.0)}

    def apart(**numbers):
        strategy = population_based_training(40, 2, truncation=0.5, **numbers)
        first, state = ask(strategy, strategy.init(key, space), key, 40)
        state = tell(strategy, state, first, first["x"])
        first, second = jax.device_get((first, ask(strategy, state, key, 40)[0]))
        replaced = second["parent"] != np.arange(40)
        assert replaced.sum() == 20
        return np.abs(second["y"] - first["y"][second["parent"]])[replaced]

    steps = apart(perturbation=0.01, resample=0.0)
    assert ((np.abs(steps - 0.01) < 1e-5) | (steps < 0.01)).all()  # less at a wall
    assert np.median(steps) > 0.009
    assert (apart(perturbation=0.01, resample=1.0) > 0.02).mean() > 0.8


def test_equal_scores_replace_nobody_in_a_tournament_and_the_last_in_a_truncation(key):
    points, scores = np.linspace(0.1, 0.9, 10, dtype=np.float32)[:, None], np.ones(10, np.float32)
    parents, moved = step(key, points, scores, selection="tournament")
    assert parents.tolist() == list(range(10))
    np.testing.assert_array_equal(moved, points)
    parents = step(key, points, scores, truncation=0.2)[0].tolist()
    assert parents[:8] == list(range(8))
    assert all(parent in (0, 1) for parent in parents[8:])
