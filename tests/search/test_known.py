"""Known configurations are tried first, and another sweep's results are learned from; both survive a kill."""

import jax
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.search import Results
from jaxopt_notes.search.known import observations, read_rows, with_room
from jaxopt_notes.search.rule import Rule
from tests.search.test_feedback import DATA, SPACE, build

OPTIONS = {"epochs": 1, "key": jax.random.key(0), "progress": False}
KNOWN = [{"x": 0.25, "y": 0.5}, {"y": 0.125}]


def run(strategy, **options):
    return jn.sweep(build, SPACE, DATA, strategy, **OPTIONS | options)


def test_known_configurations_take_the_first_places_and_are_learned_from(tmp_path):
    plain, known = run(jn.bayesian(8, 4, initial=4)), run(jn.bayesian(8, 4, initial=4), enqueue=KNOWN)
    columns = {name: column.copy() for name, column in plain.columns.items()}
    columns["x"][0], columns["y"][0], columns["y"][1] = 0.25, 0.5, 0.125
    for name, column in columns.items():
        np.testing.assert_array_equal(known.columns[name][:4], column[:4])
        assert (known.columns[name][4:] != column[4:]).any()  # other scores, other proposals
    assert known.scores[0, 0] == pytest.approx(np.hypot(0.25 - 0.3, 0.5 - 0.6), rel=1e-5)

    assert (known.columns["x"][1:] != 0.25).all()  # not in every batch

    done = []

    def interrupted(members, configs, out):
        done.extend(members)
        if len(done) > 4:  # in the second batch, which was asked for and is not told
            raise InterruptedError

    broken = {"enqueue": KNOWN, "folder": tmp_path / "broken"}
    with pytest.raises(InterruptedError):
        run(jn.bayesian(8, 4, initial=4), on_chunk=interrupted, **broken)
    again = run(jn.bayesian(8, 4, initial=4), **broken)
    np.testing.assert_array_equal(again.scores, known.scores)  # bit for bit
    with pytest.raises(ValueError, match="enqueue"):
        run(jn.bayesian(8, 4, initial=4), enqueue=KNOWN[:1], folder=tmp_path / "broken")


@pytest.mark.full
def test_what_is_known_goes_on_in_folders_in_rungs_and_in_other_sweeps(tmp_path):
    known = run(jn.bayesian(8, 4, initial=4), enqueue=KNOWN)
    run(jn.bayesian(4, 4, initial=4), enqueue=KNOWN, folder=tmp_path)
    longer = run(jn.bayesian(8, 4, initial=4), enqueue=KNOWN, folder=tmp_path)
    np.testing.assert_array_equal(longer.scores[:4], known.scores[:4])
    told = run(jn.bayesian(4, 4), learn_from=known)  # its model comes at once
    assert len(told) == 4
    assert np.median(told.scores) < np.median(known.scores[:4])
    rungs = run(jn.successive_halving(4, max_epochs=2, eta=2), enqueue=KNOWN)
    assert rungs.columns["x"][0] == 0.25
    children = np.flatnonzero(rungs.columns["parent"] >= 0)
    parents = rungs.columns["parent"][children]
    for name in "xy":  # a run that goes on has the hyperparameters that it began with
        np.testing.assert_array_equal(rungs.columns[name][children], rungs.columns[name][parents])
    assert set(parents) == set(np.argsort(rungs.scores[:4, 0])[:2])


def amend(strategy, space, columns, key):
    state = strategy.init(key, space)._replace(asked=3)
    return state, strategy.amend(state, columns, np.array([0, 2]))


def test_a_strategy_takes_known_points_as_its_own(key):
    """Points of the cube are those of the values, and steps of CMA-ES lead from its mean to them."""
    space = {"rate": jn.log_uniform(1e-4, 1.0), "kind": jn.static_choice(["a", "b"])}
    columns = {"rate": np.array([1e-2, 0.5, 1e-3]), "kind": np.array([1, 0, 0])}
    wanted = np.array([[0.75, 0.5], [0.25, 0.25]])  # names in order
    for strategy in (jn.bayesian(6, initial=6), jn.nsga2(6, 6)):
        before, after = amend(strategy, space, columns, key)
        np.testing.assert_allclose(after.points[[0, 2]], wanted, rtol=1e-6)
        np.testing.assert_array_equal(after.points[1], before.points[1])
    before, after = amend(jn.cma_es(6, 6, sigma=0.25), space, columns, key)
    np.testing.assert_allclose(np.asarray(after.steps)[[0, 2]], (wanted - 0.5) / 0.25, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(after.steps[1], before.steps[1])
    far = amend(jn.cma_es(6, 6, sigma=0.05), space, columns, key)[1].steps[0]
    np.testing.assert_allclose(far, [np.sqrt(2) + 1, 0], rtol=1e-5, atol=1e-6)  # the step was 5 long


def test_observations_are_told_with_their_signs(key):
    """NSGA-II begins with parents from the other sweep; scores to be maximized are told as costs."""
    other = Results(
        {"x": np.array([0.1, 0.2, 0.3, 0.4]), "y": np.array([0.5, 0.6, 0.7, 0.8])},
        np.array([[1.0], [4.0], [np.nan], [3.0]]), "gain", "max", space=SPACE,
    )  # fmt: skip
    found = observations("sweep(learn_from)", other, SPACE, Rule(("gain",), ("max",), "best", {}))
    strategy = with_room("sweep(learn_from)", jn.nsga2(4, 4), len(found))
    state = found.tell(strategy, strategy.init(key, SPACE), key)
    np.testing.assert_allclose(
        state.points[:4], np.stack([other.columns["x"], other.columns["y"]], 1), rtol=1e-6
    )
    np.testing.assert_array_equal(state.costs[[0, 1, 3], 0], [-1, -4, -3])
    assert (int(state.asked), int(state.told), strategy.remaining(state)) == (4, 4, 4)
    wrong = (
        (
            other,
            Rule(("loss",), ("min",), "best", {}),
            r"has the monitors {'gain': 'max'}, expected those here",
        ),
        (other, Rule(("gain",), ("max",), "best", {"size": (None, 1.0)}), "has no 'size'"),
        (KNOWN, Rule(("gain",), ("max",), "best", {}), "expected the Results of another sweep"),
    )
    for results, rule, message in wrong:
        with pytest.raises((TypeError, ValueError), match=message):
            observations("sweep(learn_from)", results, SPACE, rule)
    with pytest.raises(TypeError, match="bayesian and nsga2 do; or enqueue=results"):
        run(jn.cma_es(6), learn_from=run(jn.sobol(2)))


MIXED = {
    "optimizer": {"rate": jn.log_uniform(1e-4, 1e-1)}, "width": jn.static_choice([32, 64]),
    "batch": jn.choice([4, 16]), "depth": jn.integers(1, 4), "hidden": [8, 8],
}  # fmt: skip


def test_configurations_are_read_as_people_have_them():
    want = [{"optimizer/rate": 0.01, "width": 1, "depth": 3}, {"optimizer/rate": 0.1, "width": 0, "depth": 1}]
    columns = {"optimizer/rate": [0.01, 0.1], "width": np.array([64, 32]), "depth": (3, 1)}
    assert read_rows("w", {**columns, "depth": [3, 1]}, MIXED) == want
    nested = [
        {"optimizer": {"rate": 0.01}, "width": 64, "depth": 3, "hidden": [8, 8]},
        want[1] | {"width": 32},
    ]
    assert read_rows("w", nested, MIXED) == want
    assert read_rows("w", nested[0], MIXED) == want[:1]
    table = Results({name: np.asarray(column) for name, column in columns.items()}, np.array([[2.0], [1.0]]))
    assert read_rows("w", table, MIXED) == want[::-1]  # the best first
    pandas = pytest.importorskip("pandas")
    assert read_rows("w", pandas.DataFrame({**columns, "depth": [3, 1]}), MIXED) == want
    for given, message in (
        (3, "w is 3, expected configurations"),
        ({"rat": 0.1}, "w has 'rat', expected names of the space: batch, depth, optimizer/rate, width"),
        ({"width": 48}, r"w has 48 for 'width', expected one of \(32, 64\)"),
        ({"batch": 5}, "w has 5 for 'batch', which is outside"),
        ({"depth": 4}, r"w has 4 for 'depth', which is outside Integers\(low=1, high=4\)"),
        ({"optimizer": {"rate": 0.2}}, "w has 0.2 for 'optimizer/rate', which is outside"),
        ({"depth": "two"}, "w has 'two' for 'depth', expected a number"),
        ({"depth": [1, 2], "width": [32]}, "columns of different lengths"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            read_rows("w", given, MIXED)


def test_a_strategy_without_places_says_so():
    for strategy, rows, message in (
        (jn.grid_search(2), KNOWN, "GridSearch has none"),
        (jn.population_based_training(4, 2), KNOWN, "PopulationBasedTraining has none"),
        (jn.random_search(1), KNOWN, "has 2 configurations, and the strategy asks for 1 in all"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            run(strategy, enqueue=rows)
    assert run(jn.sobol(2), enqueue=KNOWN).columns["y"].tolist() == [0.5, 0.125]
