"""NSGA-II: its operators against their densities, its selection by hand, and fronts that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search import hypervolume, integers, static_choice, uniform
from jaxopt_notes.search.strategies.genetic_operators import (
    children,
    polynomial_mutation,
    simulated_binary_crossover,
)
from jaxopt_notes.search.strategies.nsga2 import nsga2, survivors

CUBE = {f"x{i}": uniform(0.0, 1.0) for i in range(5)}
U = np.linspace(0.001, 0.999, 41)


def test_crossover_has_the_density_of_the_paper_between_the_walls():
    """β's distribution function, ½β^(η+1) below 1 and 1 − ½β^−(η+1) above, cut at the walls, gives u back."""
    low, high, eta = np.full(41, 0.2), np.full(41, 0.5), 3.0
    for side, child in zip((-1, 1), simulated_binary_crossover(low, high, U, eta), strict=True):
        beta = side * (child - 0.35) / 0.15
        reach = 0.35 / 0.15 if side < 0 else 0.65 / 0.15
        share = lambda b: np.where(b <= 1, b ** (eta + 1) / 2, 1 - b ** -(eta + 1) / 2)  # noqa: E731
        np.testing.assert_allclose(share(beta) / share(np.array(reach)), U, atol=1e-12)
    same = simulated_binary_crossover(low, low, U, eta)
    np.testing.assert_allclose(same, 0.2, atol=1e-12)


def test_mutation_has_the_density_of_the_paper_on_each_side():
    """½(η+1)(1 − |δ|)^η, of which each side has one half, scaled to end at its wall."""
    x, eta = 0.3, 4.0
    moved = polynomial_mutation(np.full(41, x), U, eta)
    room = np.where(U < 0.5, x, 1 - x)
    beyond = (1 - np.abs(moved - x)) ** (eta + 1)  # what is left of the half, before the wall is cut off
    want = np.where(U < 0.5, 2 * U, 2 * (1 - U))
    np.testing.assert_allclose(
        (beyond - (1 - room) ** (eta + 1)) / (1 - (1 - room) ** (eta + 1)), want, atol=1e-9
    )
    assert ((moved < x) == (U < 0.5)).all()


def test_children_are_mixed_where_pairs_are_crossed():
    rng = np.random.default_rng(0)
    mothers, fathers = np.full((4000, 2), 0.2), np.full((4000, 2), 0.7)
    born = children(rng, mothers, fathers, np.array([True, False]), 0.9, (20.0, 20.0))
    near = np.abs(born[:, :1] - [0.2, 0.7])
    exact = (near == 0).any(axis=1).mean()  # neither crossed (0.55) nor mutated (½)
    assert abs(exact - 0.55 / 2) < 0.02
    kept = np.isin(born[:, 1], [0.2, 0.7])  # a choice without order is one parent's, or anything
    assert abs(kept.mean() - 0.5) < 0.02
    assert abs((born[kept, 1] == 0.7).mean() - 0.5) < 0.02
    assert abs(born[:, 0].mean() - 0.45) < 0.02
    uncrossed = children(rng, mothers, fathers, np.array([True, True]), 0.0, (20.0, 20.0))
    assert abs((uncrossed == np.repeat([[0.2], [0.7]], 4000, axis=0)).mean() - 0.5) < 0.02


def told(strategy, costs, violations=None):
    state = strategy.init(jax.random.key(0), CUBE)
    _, state = strategy.ask(state, jax.random.key(0), len(costs))
    return strategy.tell(state, {}, np.asarray(costs, float), violations)


def test_parents_are_whole_fronts_and_then_the_least_crowded():
    """Of two generations of four: the front of three, and of the next front, also three, an end."""
    costs = [[1, 9], [5, 5], [9, 1], [9, 9], [2, 9.5], [6, 6], [9.5, 2], [8, 8.5]]
    state = told(nsga2(16, 4, objectives=2), costs)
    alive, fronts, room = survivors(state, 4)
    assert (sorted(alive.tolist()), fronts.tolist()) == ([0, 1, 2, 4], [0, 0, 0, 1])
    assert sorted(room.tolist()) == [2.0, np.inf, np.inf, np.inf]
    partial = state._replace(told=6)  # the second generation is not complete
    assert sorted(survivors(partial, 4)[0].tolist()) == [0, 1, 2, 3]


def test_feasible_ones_are_first_and_then_those_that_break_less():
    violations = np.array([0.5, 0.0, 0.1, 0.2, 0.3, 0.0, 0.6, 0.0])
    scores = [1.0, 9.0, 1.0, 1.0, 1.0, np.nan, 1.0, 2.0]
    state = told(nsga2(16, 4), scores, violations)
    assert survivors(state, 4)[0].tolist() == [7, 1, 2, 3]


def search(strategy, space, score, key, most=99):
    """All configurations as a table, and what came of them; in batches of at most `most`."""
    state, rows, found = strategy.init(key, space), [], []
    while n := min(strategy.remaining(state), most):
        configs, state = strategy.ask(state, jax.random.fold_in(key, int(state.asked)), n)
        rows.append(np.stack([np.asarray(column, float) for column in configs.values()], axis=1))
        found.append(score(rows[-1]))
        state = strategy.tell(state, configs, found[-1])
    return np.concatenate(rows), np.concatenate(found)


def zdt1(x):
    g = 1 + 9 * x[:, 1:].mean(axis=1)
    return np.stack([x[:, 0], g * (1 - np.sqrt(x[:, 0] / g))], axis=1)


def zdt2(x):
    g = 1 + 9 * x[:, 1:].mean(axis=1)
    return np.stack([x[:, 0], g * (1 - (x[:, 0] / g) ** 2)], axis=1)


@pytest.mark.parametrize(
    ("problem", "front"),
    [(zdt1, 121 - 1 / 3), pytest.param(zdt2, 121 - 2 / 3, marks=pytest.mark.full)],
)
def test_it_comes_nearer_to_known_fronts_than_random_points(problem, front):
    """What is missing to the volume that the front covers, the median of three searches."""
    missing, blind = [], []
    for seed in range(3):
        x, costs = search(nsga2(256, objectives=2), CUBE, problem, jax.random.key(seed))
        assert len(np.unique(x, axis=0)) == 256  # nothing twice
        missing.append(front - hypervolume(costs, [11, 11]))
        blind.append(front - hypervolume(problem(np.random.default_rng(seed).random((256, 5))), [11, 11]))
    assert min(missing) > 0
    assert np.median(missing) < 0.7 * np.median(blind)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
def test_it_is_no_worse_than_that_of_optuna():
    """256 evaluations of ZDT1 in populations of 24, the medians of three."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def theirs(seed):
        sampler = optuna.samplers.NSGAIISampler(population_size=24, seed=seed)
        study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        ask = lambda trial: [[trial.suggest_float(name, 0, 1) for name in CUBE]]  # noqa: E731
        study.optimize(lambda trial: tuple(zdt1(np.array(ask(trial)))[0]), n_trials=256)
        return np.array([trial.values for trial in study.trials])

    ours = [search(nsga2(256, 24, objectives=2), CUBE, zdt1, jax.random.key(s))[1] for s in range(3)]
    volumes = [[hypervolume(costs, [11, 11]) for costs in each] for each in (ours, map(theirs, range(3)))]
    assert np.median(volumes[0]) > np.median(volumes[1])


def test_batches_and_budgets_do_not_change_parents_and_small_spaces_end(key):
    """A whole generation asked in pieces has the parents that it would have had; more trials go on."""
    space = {"depth": integers(0, 6), "kind": static_choice(["a", "b"])}
    strategy = nsga2(12, 4)
    x, _ = search(strategy, space, lambda x: x[:, 0], key, most=3)
    assert len(np.unique(x, axis=0)) == 12  # all there are
    state = strategy.init(key, space)
    for n in (4, 1, 3):
        configs, state = strategy.ask(state, key, n)
        state = strategy.tell(state, configs, configs["depth"])
    longer = nsga2(20, 4)
    grown = longer.go_on(state, longer.init(key, space))
    assert (longer.remaining(grown), strategy.remaining(state)) == (4, 4)
    np.testing.assert_array_equal(survivors(grown, 4)[0], survivors(state, 4)[0])
    with pytest.raises(ValueError, match="asked for 5 configurations, 4 are wanted now"):
        strategy.ask(state, key, 5)


def test_errors_name_everything(key):
    with pytest.raises(ValueError, match=r"nsga2\(crossover\) is 1.5"):
        nsga2(8, crossover=1.5)
    with pytest.raises(ValueError, match=r"told 3 scores a configuration, expected 2: nsga2\(objectives=3\)"):
        told(nsga2(8, objectives=2), jnp.zeros((4, 3)))
