"""Figures 15-1 to 15-4 with both kinds of standard deviation, and weights that are too small or too large."""

import numpy as np
import pytest

from jaxopt_notes.studies import initial_activations

# Of six layers, medians of three seeds in float64 NumPy.
ENDS = [0.846, 0.765, 0.771, 0.761, 0.777, 0.762]
SLOPES = [0.035, 0.053, 0.051, 0.053, 0.050, 0.053]
SIGMOID_PER_UNIT = [0.2085, 0.0492, 0.0115, 0.0027, 0.0006, 0.0001]
SIGMOID_POOLED = [0.209, 0.120, 0.130, 0.120, 0.119, 0.126]
XAVIER_RELU = [0.582, 0.416, 0.287, 0.197, 0.137, 0.097]
HE_RELU = [0.828, 0.789, 0.765, 0.766, 0.787, 0.808]
TANH = [0.627, 0.483, 0.406, 0.356, 0.319, 0.293]


@pytest.mark.full
@pytest.mark.notes("S2-08", "S2-15", "S2-16", "S2-22", "S1-28", "S1-29", "S2-05")
def test_what_flows_through_six_layers(key):
    found = initial_activations(key, seeds=3, examples=500)
    at = {name: i for i, name in enumerate(found.panels)}

    def of(values, name):
        return np.median(values[at[name]], axis=0)

    np.testing.assert_allclose(of(found.ends, "N(0, 1), sigmoid"), ENDS, atol=0.06)
    np.testing.assert_allclose(of(found.slope, "N(0, 1), sigmoid"), SLOPES, atol=0.012)
    histogram = found.histograms[at["N(0, 1), sigmoid"]]
    assert (np.sort(histogram, axis=1)[:, -2:].sum(1) == histogram[:, [0, -1]].sum(1)).all()

    # Pooled it looks healthy to the end, and of each unit nothing is left.
    np.testing.assert_allclose(of(found.pooled, "Xavier, sigmoid"), SIGMOID_POOLED, rtol=0.15)
    per_unit = of(found.per_unit, "Xavier, sigmoid")
    np.testing.assert_allclose(per_unit, SIGMOID_PER_UNIT, rtol=0.15, atol=1e-4)
    np.testing.assert_allclose(per_unit[1:] / per_unit[:-1], 0.24, atol=0.03)

    pooled = of(found.pooled, "Xavier, ReLU")
    np.testing.assert_allclose(pooled, XAVIER_RELU, rtol=0.15)
    np.testing.assert_allclose((pooled[-1] / pooled[0]) ** (1 / 5), 2**-0.5, atol=0.03)
    np.testing.assert_allclose(of(found.pooled, "He, ReLU"), HE_RELU, rtol=0.2)
    np.testing.assert_allclose(of(found.zeros, "He, ReLU"), 0.5, atol=0.05)
    np.testing.assert_allclose(of(found.per_unit, "Xavier, tanh"), TANH, rtol=0.1)

    small = of(found.pooled, "too small, tanh")
    np.testing.assert_allclose(small[1:] / small[:-1], 0.01 * 128**0.5, rtol=0.1)
    assert of(found.ends, "too large, tanh")[-1] > 0.75
