"""Lines with bands, schedules, and the style that all pictures share."""

import itertools

import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.plots import plot_lines, plot_schedules
from jaxopt_notes.plots.figure import COLORS, line_style


def test_a_band_from_the_tenth_to_the_ninetieth_percentile():
    seeds = np.arange(11.0)[:, None] * np.array([1.0, 2.0])
    (axis,) = plot_lines({"loss": seeds}, [1.0, 10.0], xlabel="rate", ylabel="loss", xscale="log").axes
    assert axis.lines[0].get_ydata().tolist() == [5, 10]
    corners = axis.collections[0].get_paths()[0].vertices
    assert {tuple(corner) for corner in corners} >= {(1, 1), (10, 2), (10, 18), (1, 9)}
    assert (axis.get_xlabel(), axis.get_ylabel(), axis.get_xscale()) == ("rate", "loss", "log")


def test_panels_and_what_a_diverged_seed_leaves():
    drawn = plot_lines(
        {"left": {"a": [1.0, 2.0]}, "right": {"a": [[1.0, 2.0], [1.0, np.nan]], "b": [0.0, 0.0]}}
    )
    left, right = drawn.axes
    assert (left.get_title(), right.get_title()) == ("left", "right")
    np.testing.assert_array_equal(right.lines[0].get_ydata(), [1, np.nan])
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["a", "b"]
    infinite = plot_lines({"a": [[1.0, np.inf], [1.0, np.inf]]}).axes[0]
    assert infinite.lines[0].get_ydata()[0] == 1


def test_what_is_no_line():
    with pytest.raises(ValueError, match=r"'loss' has shape \(3,\).*n = 2"):
        plot_lines({"loss": [1.0, 2.0, 3.0]}, [0.0, 1.0])
    with pytest.raises(ValueError, match="empty"):
        plot_lines({})


def test_schedules_over_steps():
    (axis,) = plot_schedules({"halved": jn.step(1.0, 2), "cut": jn.step(1.0, 2, 0.1)}, 4, yscale="log").axes
    np.testing.assert_allclose(
        [line.get_ydata() for line in axis.lines], [[1, 1, 0.5, 0.5], [1, 1, 0.1, 0.1]]
    )
    assert axis.get_yscale() == "log"
    with pytest.raises(ValueError, match="steps"):
        plot_schedules({"halved": jn.step(1.0, 2)}, 0)


# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
DEFICIENCIES = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


@pytest.mark.parametrize("eyes", ["normal", *DEFICIENCIES])
def test_the_first_colours_are_told_apart_by_all_eyes(eyes):
    """In CIELAB, where a difference of 2.3 is just seen; lines need far more."""
    codes = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in COLORS]) / 255
    linear = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(DEFICIENCIES.get(eyes, np.eye(3))).T, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = seen @ to_xyz.T / to_xyz.sum(axis=1)
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root.T
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
    gaps = {pair: np.linalg.norm(lab[pair[0]] - lab[pair[1]]) for pair in itertools.combinations(range(7), 2)}
    assert min(gaps.values()) > 15, gaps
    assert len({str(line_style(i)["linestyle"]) for i in range(6)}) == 6  # and in print without colours
