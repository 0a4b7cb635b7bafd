"""What a traced function asks for and cannot have: told from functions whose fault is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.tracing import missing_name, needed_values

VALUES = {"rate": np.float32(0.1), "width": np.int32(4), "rates": np.ones(2, np.float32)}


@pytest.mark.parametrize(
    ("function", "needed"),
    [
        (lambda h: h["rate"] if h["width"] > 3 else 0.0, ["width"]),
        (lambda h: jnp.zeros(h["width"]) * h["rate"], ["width"]),
        (lambda h: [h["rate"]] * h["width"], ["width"]),  # what a NumPy number does not do
        (lambda h: float(h["rate"]) * h["rates"], ["rate"]),
        (lambda h: h["rate"].item(), ["rate"]),  # what a Python number does not have
        (lambda h: np.log(h["rates"]), ["rates"]),
        (lambda h: h["rate"] if h["width"] > 3 and h["rates"][0] > 0 else 0.0, ["rate", "width", "rates"]),
        (lambda h: h["rate"] * h["rates"], []),
        (lambda h: h["other"], []),
    ],
)
def test_the_value_that_cures_it_is_the_one_that_is_needed(function, needed):
    assert needed_values(function, VALUES) == needed


def test_a_name_that_is_not_there_is_told_from_one_that_others_ask_for():
    tree = {"net": {"width": 4}, "rate": 0.1}
    assert missing_name(lambda h: h["net"]["with"], tree, "h").endswith("mean h['net']['width']?")
    assert missing_name(lambda h: h[3], tree, "h") == "h[3], expected one of 'net', 'rate'."
    assert missing_name(lambda h: h.rate, tree, "h") == "h.rate, and h is a dict: h['rate']."
    for function in (lambda h: h["rate"], lambda h: {}["rate"], lambda h: h.get("x") or {}["x"]):
        assert missing_name(function, tree, "h") is None

    def forgives(h):
        try:
            return h["width"]
        except KeyError:
            raise KeyError("its own") from None

    assert missing_name(forgives, tree, "h") is None
    assert missing_name(lambda h: 1, 0.1, "h") is None
