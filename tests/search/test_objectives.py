"""Sweeps with several monitors and with constraints: values of one epoch, fronts, who is told what."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.plots import plot_pareto
from jaxopt_notes.record import record
from jaxopt_notes.search import Results
from jaxopt_notes.search.export import infeasible
from jaxopt_notes.search.rule import Rule, check_constraints, check_monitors
from tests.search.test_feedback import DATA, Spy

SPACE = {"x": jn.uniform(0.0, 1.0), "y": jn.uniform(0.0, 1.0)}
OPTIONS = {"epochs": 2, "key": jax.random.key(0), "progress": False}


class State(NamedTuple):
    params: jax.Array
    epoch: jax.Array


@record
class Compromise:
    """A loss x + y that rises by 1 in the second epoch, and a delay 1 − x + y that falls by 10 there."""

    x: Any
    y: Any

    def init(self, key, train_data):
        return State(jnp.zeros(3), jnp.zeros(()))

    def advance(self, state, train_data, valid_data, epochs):
        epoch = state.epoch + jnp.arange(epochs, dtype=jnp.float32)
        loss, delay = self.x + self.y + epoch, 1 - self.x + self.y - 10 * epoch
        loss = jnp.where(self.y > 0.9, jnp.nan, loss)
        return State(state.params, state.epoch + epochs), {"valid_loss": loss, "delay": delay}


def build(h):
    return Compromise(h["x"], h["y"])


class Listener(Spy):
    """One that minds constraints."""

    objectives, minds_constraints = 2, True

    def tell(self, state, configs, scores, violations):
        self.events.append(("tell", np.asarray(scores), violations))
        return self.strategy.tell(state, configs, scores, violations)


def costs_of(configs):
    x, y = (np.asarray(configs[name], float) for name in "xy")
    return np.stack([x + y, 1 - x + y], axis=1)


def test_a_sweep_with_two_monitors_and_a_bound(tmp_path):
    """All values are those of the first epoch, where the first monitor is best; y > 0.9 has diverged."""
    spy = Listener(jn.nsga2(12, 6, objectives=2))
    options = {"monitor": ("valid_loss", "delay"), "constraints": {"delay": (None, 1.0), "parameters": 3}}
    results = jn.sweep(build, SPACE, DATA, spy, **options, **OPTIONS)
    costs, lost = costs_of(results.columns), results.columns["y"] > 0.9
    np.testing.assert_allclose(results.measured["delay"][~lost, 0], costs[~lost, 1], rtol=1e-5)
    np.testing.assert_array_equal(results.measured["parameters"][~lost, 0], 3.0)
    told = np.concatenate([event[1] for event in spy.events if event[0] == "tell"])
    broken = np.concatenate([event[2] for event in spy.events if event[0] == "tell"])
    np.testing.assert_allclose(told[~lost], costs[~lost], rtol=1e-5)
    assert np.isnan(told[lost]).all()
    np.testing.assert_allclose(broken, np.where(lost, np.inf, np.maximum(costs[:, 1] - 1, 0)), atol=1e-5)
    fine = [i for i in range(12) if not lost[i] and costs[i, 1] <= 1]
    front = [
        i for i in fine if not any((costs[j] <= costs[i]).all() and (costs[j] < costs[i]).any() for j in fine)
    ]
    assert sorted(results.pareto_front()) == front
    assert results.order[0] == min(front, key=lambda i: costs[i, 0])  # of these the best in the first monitor
    assert {"front", "feasible", "delay"} <= set(results.rows()[0])

    killed = jn.sweep(build, SPACE, DATA, jn.nsga2(6, 6), folder=tmp_path, **options, **OPTIONS)
    longer = jn.sweep(build, SPACE, DATA, jn.nsga2(12, 6), folder=tmp_path, **options, **OPTIONS)
    np.testing.assert_array_equal(longer.scores, results.scores)  # bit for bit
    np.testing.assert_array_equal(longer.scores[:6], killed.scores)
    with pytest.raises(ValueError, match="another"):
        jn.sweep(build, SPACE, DATA, jn.nsga2(12, 6), folder=tmp_path, monitor=options["monitor"], **OPTIONS)

    spy = Spy(jn.random_search(6))  # as one that learns from one: what is infeasible is as if it had diverged
    results = jn.sweep(build, SPACE, DATA, spy, constraints={"delay": 1.0}, **OPTIONS)
    costs = costs_of(results.columns)
    bad = (costs[:, 1] > 1) | (results.columns["y"] > 0.9)
    assert 0 < bad.sum() < 6
    np.testing.assert_allclose(spy.events[1][1], np.where(bad, np.nan, costs[:, 0]), rtol=1e-5)
    assert results.order[0] == np.argmin(np.where(bad, np.inf, costs[:, 0]))
    for strategy, more, message in (
        (jn.cma_es(6), {"monitor": ("valid_loss", "delay")}, r"cma_es learns from one score: nsga2\(64\)"),
        (
            jn.sobol(2),
            {"constraints": {"size": 1}},
            r"sweep\(constraints\) has 'size', expected one of delay,",
        ),
        (
            jn.sobol(2),
            {"monitor": ("delay", "valid_loss"), "target": 1.0},
            r"target\) is 1.0, but there are 2",
        ),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            jn.sweep(build, SPACE, DATA, strategy, **more, **OPTIONS)


def test_which_epoch_counts():
    """Where the first monitor is best; where it never changes the second decides; of equal ones the first."""
    curves = {"size": np.full((2, 4), 7.0), "accuracy": np.array([[1, 3, 3, 2.0], [5, 4, 3, 2.0]]),
              "cost": np.arange(8.0).reshape(2, 4)}  # fmt: skip
    rule = Rule(("size", "accuracy"), ("min", "max"), "best", {"cost": (None, 1.0)})
    found = rule.measured(curves)
    assert [found[name].tolist() for name in rule.names] == [[7, 7], [3, 5], [1, 4]]
    last = rule._replace(at="last").measured(curves | {"accuracy": np.array([[1.0] * 4, [1, 1, 1, np.nan]])})
    np.testing.assert_array_equal(last["cost"], [3, np.nan])
    values = {name: column[:, None] for name, column in found.items()}
    np.testing.assert_array_equal(rule.costs(values), [[7, -3], [7, -5]])
    np.testing.assert_array_equal(rule.violations(values), [0, 3])
    np.testing.assert_array_equal(rule.told(values), [7, np.nan])


LOSS = np.array([[0.1, 0.3], [0.3, 0.3], [0.05, np.nan], [0.4, 0.4], [0.25, 0.25]])
SIZE = np.array([[900.0, 900], [100, 100], [5, 5], [200, 200], [900, 900]])


def results(**changes):
    options = {"measured": {"size": SIZE}, "others": {"size": "min"}} | changes
    return Results({"width": np.array([9, 1, 5, 2, 9])}, LOSS, "loss", **options)


def test_results_rank_by_front_and_then_by_score():
    found = results()
    assert found.order.tolist() == [0, 1, 4, 3, 2]
    assert found.pareto_front() == [0, 1]
    assert found.fronts.tolist() == [0, 0, 2, 1, 1]
    np.testing.assert_allclose(found.hypervolume(), 0.1 * 800 - 0, rtol=1e-9)  # up to (0.4, 900)
    np.testing.assert_allclose(found.hypervolume([0.5, 1000]), 0.3 * 100 + 0.2 * 800, rtol=1e-9)
    more = results(mode="max", others={"size": "max"})
    assert more.pareto_front() == [3, 4]
    np.testing.assert_allclose(more.hypervolume([0.2, 0.0]), 0.2 * 200 + 0.05 * 700, rtol=1e-9)
    text = str(found).splitlines()
    assert text[0].endswith("2 of them on the Pareto front of loss and size)")
    assert text[1].split() == ["rank", "trial", "width", "loss", "size", "front"]
    assert text[2].split() == ["1", "0", "9", "0.2", "±", "0.14", "900", "1"]
    assert found.best == {"width": 9, "loss": 0.2, "size": 900.0}
    (axis,) = plot_pareto(found).axes
    lines = {
        line.get_label(): np.stack([line.get_xdata(), line.get_ydata()]).T.tolist() for line in axis.lines
    }
    np.testing.assert_allclose(lines["Pareto front"], [[100, 0.3], [900, 0.2]])
    with pytest.raises(ValueError, match="plot_pareto needs several monitors"):
        plot_pareto(results(others={}))


def test_feasible_ones_are_first_and_it_is_said_where_none_is():
    bounded = results(others={}, constraints={"size": (None, 200.0)})
    assert bounded.order.tolist() == [1, 3, 2, 0, 4]
    assert bounded.table(5).split("\n")[-1].split()[-1] == "no"
    assert bounded.within_error() == []
    none = results(others={}, constraints={"size": (1000.0, 2000.0)})
    assert none.order.tolist() == [0, 4, 3, 1, 2]
    assert infeasible(none) == (
        "none of 5 configurations keeps 1000 ≤ size ≤ 2000: the nearest, trial 0, has size 900. Loosen the "
        "bounds, widen the space, or train more configurations."
    )
    assert none.table().endswith(infeasible(none))
    assert none.hypervolume() == 0.0
    assert infeasible(bounded) is None


def test_errors_name_everything():
    for function, arguments, message in (
        (check_monitors, (3, "min"), r"is 3, expected a name of the history"),
        (check_monitors, (("a", "a"), "min"), "expected each name once"),
        (check_monitors, (("a", "b"), ("min",)), r"expected one for each of a, b: \('min', 'min'\)"),
        (check_monitors, (("a", "b"), ("min", "less")), r"\(mode\) is 'less'"),
        (check_constraints, (5,), "expected bounds by name"),
        (check_constraints, ({"a": "low"},), r"has 'low' for 'a', expected a number or two"),
        (check_constraints, ({"a": (None, None)},), "expected a number or two"),
        (check_constraints, ({"a": (2, 1)},), "expected low <= high"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            function("sweep", *arguments)
