"""Histograms a layer."""

import numpy as np
import pytest

from jaxopt_notes.plots import plot_histograms


def test_shares_and_both_deviations():
    """Two units that differ, and that never move: spread over all values, none over the samples."""
    stuck = np.tile([0.0, 1.0], (4, 1))
    drawn = plot_histograms(
        {"stuck": stuck, "kernel": np.zeros((1, 2, 3))}, bins=2, xlabel="value", title="layers"
    )
    left, right = [axis for axis in drawn.axes if axis.get_visible()]
    assert left.get_title() == "stuck\nσ 0.5, unit 0"
    assert right.get_title() == "kernel\nσ 0"
    assert left.patches[0].get_data().values.tolist() == [0.5, 0.5]
    assert right.patches[0].get_data().values.tolist() == [1, 0]
    assert left.get_xlabel() == "value"


def test_what_is_outside_the_span_is_missing_from_the_shares():
    (axis,) = plot_histograms({"a": np.array([0.1, 0.9, 5.0, np.nan])}, span=(0.0, 1.0), bins=2).axes
    assert axis.patches[0].get_data().values.tolist() == [0.25, 0.25]
    assert len(plot_histograms({str(i): np.arange(2.0) for i in range(7)}).axes) == 12  # two rows
    with pytest.raises(ValueError, match="empty"):
        plot_histograms({})
