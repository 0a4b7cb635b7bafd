"""Charts of bias and variance."""

import numpy as np
import pytest

from jaxopt_notes.diagnostics import BiasVariance
from jaxopt_notes.plots import plot_bias_variance

PARTS = BiasVariance(np.array([4.0, 1.0, 0.0]), np.array([0.0, 1.0, 5.0]), np.full(3, 0.5))


def test_the_parts_their_sum_and_its_least():
    (axis,) = plot_bias_variance(PARTS, [1, 3, 9], xlabel="degree").axes
    *lines, star = axis.lines
    assert [line.get_ydata().tolist() for line in lines] == [[4, 1, 0], [0, 1, 5], [0.5] * 3, [4.5, 2.5, 5.5]]
    assert star.get_xydata().tolist() == [[3, 2.5]]
    assert axis.get_xlabel() == "degree"
    assert [text.get_text() for text in axis.get_legend().get_texts()][-2:] == ["sum", "least: 3"]


def test_the_mean_over_points_and_epochs_from_one():
    points = BiasVariance(*(np.stack([part, part + 2], axis=1) for part in PARTS[:3]))
    (axis,) = plot_bias_variance(points).axes
    assert axis.lines[0].get_xydata().tolist() == [[1, 5], [2, 2], [3, 1]]
    with pytest.raises(ValueError, match=r"\(2,\), expected \(3,\)"):
        plot_bias_variance(PARTS, [1, 2])
