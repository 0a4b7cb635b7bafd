"""The page of searches is what was measured: docs/SEARCH.md."""

import numpy as np

from benchmarks.search_problems import PROBLEMS
from benchmarks.searches import PAGE, as_good_as_best, first_two, known, page


def test_the_page_is_made_of_the_measurements():
    assert PAGE.read_text(encoding="utf-8") == page(known()), "run python -m benchmarks.searches --seeds 0"


def test_who_is_as_good_as_the_best():
    of = {"random_search": [3.0, 1.0], "a": [1.05, 1e-6], "b": [1.0, 5e-3], "c": [1.2, 0.02], "d": [1.1]}
    assert as_good_as_best(of, 0) == ["a", "b", "d"]
    assert as_good_as_best(of, 1) == ["a", "b"]  # within 1 % of what chance leaves
    assert first_two(of, 0) == ["b", "a"]
    assert as_good_as_best({"a": [1.0], "b": [1.2]}, 0) == ["a"]


def test_the_formulas_are_zero_where_they_say():
    best = {
        "hartmann": [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573],
        "ackley": [0.31, 0.58, 0.44, 0.67, 0.39], "levy": [0.55] * 8, "rosenbrock": [0.75] * 4,
    }  # fmt: skip
    for name, point in best.items():
        columns = {f"x{i}": np.array([x, 0.9]) for i, x in enumerate(point)}
        value, other = PROBLEMS[name].score(columns)
        np.testing.assert_allclose(value, 0, atol=1e-5)
        assert other > 0.1
    columns = {
        "kind": [0],
        "layers": [3],
        "momentum": [0.8],
        "rate": [10**-2.3],
        "width": [0.5],
        "order": [0],
    }
    np.testing.assert_allclose(PROBLEMS["mixed"].score({k: np.array(v) for k, v in columns.items()}), 0)
    columns = {"rate": 10.0 ** np.array([-3, -1]), "momentum": [0.0, 0.9], "decay": [1e-4, 1e-4]}
    columns |= {"dropout": [0.25, 0.25], "warmup": [0.0, 0.0]}
    value, diverged = PROBLEMS["cliff"].score({k: np.asarray(v) for k, v in columns.items()})
    assert 0 < value < 5
    assert np.isnan(diverged)
