"""Which strategy is taken where: by the size of the space and of the budget."""

import jax
import pytest

from jaxopt_notes.search import (
    CMAES,
    Bayesian,
    Sobol,
    choice,
    conditional,
    default_search,
    integers,
    uniform,
)


def cube(d):
    return {f"x{i}": uniform(0.0, 1.0) for i in range(d)}


@pytest.mark.parametrize(
    ("space", "trainings", "seeds", "kind", "n", "word"),
    [
        (cube(6), 13, 1, Sobol, 13, "too few"),
        (cube(6), 14, 1, Bayesian, 14, "batches of 2"),
        (cube(6), 96, 1, Bayesian, 96, "batches of 8"),
        (cube(6), 96, 4, Bayesian, 24, "batches of 4"),
        (cube(20), 512, 1, Bayesian, 512, "batches of 8"),
        (cube(21), 512, 1, CMAES, 512, "population"),
        (cube(2), 513, 1, CMAES, 513, "population"),
    ],
)
def test_space_and_budget_decide(space, trainings, seeds, kind, n, word):
    plan = default_search(space, trainings, seeds=seeds)
    assert (type(plan.strategy), plan.strategy.n, plan.seeds) == (kind, n, seeds)
    assert word in plan.why


def test_a_small_space_is_tried_whole_and_nothing_twice(key):
    """3 depths, and a slope in two steps that means something in one of them: 2 + 2 configurations."""
    space = {"depth": integers(1, 4), "slope": conditional(choice([0.1, 0.3]), "depth", 2)}
    strategy, seeds, why = default_search(space, 6)
    state = strategy.init(key, space)
    assert (strategy.remaining(state), seeds) == (4, 1)
    configs, state = strategy.ask(state, jax.random.key(1), 4)
    pairs = zip(configs["depth"], configs["slope"], strict=True)
    rows = {(int(depth), float(slope) if depth == 2 else 0) for depth, slope in pairs}
    assert len(rows) == 4
    assert strategy.remaining(state) == 0
    assert "the space has 4" in why


def test_nothing_to_search_over_is_one_configuration(key):
    strategy, seeds, why = default_search({"width": 64}, 8, seeds=2)
    assert (strategy.remaining(strategy.init(key, {})), seeds) == (1, 2)
    assert why.startswith("nothing to search over")


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"default_search\(trainings\) is 3"):
        default_search(cube(1), 3, seeds=4)
