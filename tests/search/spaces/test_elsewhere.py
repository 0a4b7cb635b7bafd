"""Spaces in the notations of scipy, Optuna and Weights & Biases: read, or refused with a spelling."""

import numpy as np
import pytest

from jaxopt_notes.search import as_space, dimensions, fill, integers, log_uniform, normal, uniform
from jaxopt_notes.search.spaces.choices import Choice, StaticChoice

QUANTILES = np.array([0.125, 0.5, 0.875], np.float32)


def test_frozen_distributions_of_scipy_have_scipys_quantiles():
    stats = pytest.importorskip("scipy.stats")
    space = {
        "uniform": stats.uniform(0.5, 2.0),  # low and width, as scipy has it
        "log": stats.loguniform(1e-4, 1e-1),
        "reciprocal": stats.reciprocal(1e-2, 1.0),
        "normal": stats.norm(1.0, 3.0),
        "constant": 7,
    }
    read = as_space(space)
    for name in ("uniform", "log", "reciprocal", "normal"):
        np.testing.assert_allclose(read[name].from_unit(QUANTILES), space[name].ppf(QUANTILES), rtol=1e-5)
    assert read["constant"] == 7
    count = as_space({"n": stats.randint(2, 6)})["n"]
    assert sorted(set(np.asarray(count.grid(9)).tolist())) == [2, 3, 4, 5]  # the end is left out there too
    assert list(dimensions(space)) == ["log", "normal", "reciprocal", "uniform"]
    assert fill({"a": space["log"]}, {"a": 0.25}) == {"a": 0.25}
    with pytest.raises(TypeError, match=r"scipy's 'gamma' as 'decay', expected uniform.*jn\.log_uniform"):
        as_space({"decay": stats.gamma(1.0)})
    with pytest.raises(TypeError, match=r"'loguniform' with loc as 'decay'"):  # its median is not √(low·high)
        as_space({"decay": stats.loguniform(1e-3, 1.0, loc=1.0)})
    scaled = as_space({"a": stats.loguniform(1e-3, 1.0, scale=5.0)})["a"]
    expected = stats.loguniform(1e-3, 1.0, scale=5.0).ppf(QUANTILES)
    np.testing.assert_allclose(scaled.from_unit(QUANTILES), expected, rtol=1e-5)


def test_distributions_of_optuna():
    of = pytest.importorskip("optuna").distributions
    read = as_space(
        {
            "float": of.FloatDistribution(0.1, 0.5),
            "log": of.FloatDistribution(1e-3, 1.0, log=True),
            "steps": of.FloatDistribution(0.0, 1.0, step=0.25),
            "count": of.IntDistribution(2, 5),
            "even": of.IntDistribution(2, 8, step=2),
            "number": of.CategoricalDistribution([0.9, 0.99]),
            "name": of.CategoricalDistribution(["relu", "tanh"]),
        }
    )
    expected = {"float": uniform(0.1, 0.5), "log": log_uniform(1e-3, 1.0), "count": integers(2, 6)}
    for name, axis in expected.items():
        assert repr(read[name]) == repr(axis)
    for name, values in {
        "steps": [0, 0.25, 0.5, 0.75, 1],
        "even": [2, 4, 6, 8],
        "number": [0.9, 0.99],
    }.items():
        assert isinstance(read[name], Choice)
        np.testing.assert_allclose(read[name].values, values)
    assert isinstance(read["name"], StaticChoice)
    assert read["name"].values == ("relu", "tanh")
    with pytest.raises(TypeError, match=r"jn\.log_uniform\(1, 64\) and round"):
        as_space({"width": of.IntDistribution(1, 64, log=True)})


@pytest.mark.parametrize(
    ("written", "spelling"),
    [
        ({"min": 0.0, "max": 0.5}, r"jn\.uniform\(0\.0, 0\.5\)"),
        (
            {"distribution": "log_uniform_values", "min": 1e-4, "max": 0.1},
            r"jn\.log_uniform\(0\.0001, 0\.1\)",
        ),
        ({"min": 1, "max": 5}, r"jn\.integers\(1, 6\)"),
        ({"values": [1, 2]}, r"jn\.choice\(\[1, 2\]\)"),
        ({"values": ["a", "b"]}, r"jn\.static_choice\(\['a', 'b'\]\)"),
    ],
)
def test_ranges_of_weights_and_biases_are_refused_with_the_spelling(written, spelling):
    with pytest.raises(TypeError, match=r"as 'optimizer/rate', expected a distribution: write " + spelling):
        as_space({"optimizer": {"rate": written}})


def test_a_nested_space_may_have_such_names():
    space = {"clip": {"min": uniform(0.0, 1.0), "max": normal(2.0, 1.0)}, "hidden": [64, 64]}
    assert list(dimensions(space)) == ["clip/max", "clip/min"]
    assert as_space(space)["hidden"] == [64, 64]
