"""Reliability charts."""

import numpy as np
import pytest

from jaxopt_notes.plots import plot_reliability


def test_accuracy_by_confidence():
    """Ten samples at confidence 0.9 of which six are right, two at 0.7 of which both are."""
    outputs = np.array([[0.9, 0.1]] * 10 + [[0.3, 0.7]] * 2, np.float32)
    labels = np.array([0] * 6 + [1] * 4 + [1] * 2)
    drawn = plot_reliability({"net": outputs}, labels, bins=5, from_logits=False)
    above, below = drawn.axes
    diagonal, line = above.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    np.testing.assert_allclose(line.get_xydata(), [[0.7, 1.0], [0.9, 0.6]], atol=1e-6)
    np.testing.assert_allclose(below.patches[0].get_data().values, [0, 0, 0, 2 / 12, 10 / 12])
    error = (10 * 0.3 + 2 * 0.3) / 12
    assert above.get_legend().get_texts()[1].get_text() == f"net: calibration error {error:.3f}"
    (same,) = plot_reliability(np.log(outputs), labels, bins=5).axes[0].lines[1:]
    np.testing.assert_allclose(same.get_xydata(), line.get_xydata(), atol=1e-6)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="targets"):
        plot_reliability(np.zeros((3, 2), np.float32), np.zeros(2, int))
