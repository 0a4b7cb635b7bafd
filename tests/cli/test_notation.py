"""Dimensions as text: written and read again, they are what they were."""

import jax
import numpy as np
import pytest

from jaxopt_notes import search
from jaxopt_notes.cli.notation import FACTORIES, read_axis, write_axis

AXES = {
    "uniform": search.uniform(0.1, 0.3),
    "log_uniform": search.log_uniform(1e-5, 1 / 3),
    "normal": search.normal(0.0, 2.0),
    "integers": search.integers(-3, 7),
    "choice": search.choice([0.9, 0.99]),
    "static_choice": search.static_choice([8, 16, "wide"]),
}


@pytest.mark.parametrize("name", FACTORIES)
def test_read_what_was_written(name):
    text = write_axis(AXES[name])
    assert text.startswith(f"{name}(")
    again, key = read_axis(text), jax.random.key(0)
    np.testing.assert_array_equal(again.sample(key, 9), AXES[name].sample(key, 9))
    assert write_axis(again) == text


def test_numbers():
    assert read_axis(write_axis(1e-3)) == 1e-3
    assert read_axis(" -2 ") == -2.0
    assert type(read_axis("2")) is float  # an array of whole numbers would be another program


@pytest.mark.parametrize(
    "text",
    ["", "uniform", "uniform(0)", "uniform(0, 1, 2)", "gamma(1, 2)", "uniform(0, x)", "[1]", "__doc__",
     "uniform(lo=0, high=1)", "1 +", "search.uniform(0, 1)", "uniform(*[0, 1])"],
)  # fmt: skip
def test_what_is_no_dimension(text):
    with pytest.raises(ValueError, match="is not a dimension, expected a number or one of uniform"):
        read_axis(text)


def test_a_distribution_says_itself_what_is_wrong():
    with pytest.raises(ValueError, match="expected low <= high"):
        read_axis("uniform(1, 0)")
