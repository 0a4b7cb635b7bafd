"""Paths over contours, still and moving."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.plots import animate_trajectories, plot_trajectories
from jaxopt_notes.problems import elliptic_bowl

PATHS = {
    "long": np.array([[-7.0, 2.0], [-3.0, 1.0], [0.0, 0.0]]),
    "short": np.array([[-7.0, 2.0], [1.0, -2.0]]),
}


def test_paths_start_and_end_where_they_do():
    (axis,) = plot_trajectories(elliptic_bowl(), PATHS, xlabel="w", ylabel="b").axes
    long, start, end, short, *_ = axis.lines
    assert long.get_xydata().tolist() == PATHS["long"].tolist()
    assert short.get_xydata().tolist() == PATHS["short"].tolist()
    assert start.get_xydata().tolist() == [[-7, 2]]
    assert end.get_xydata().tolist() == [[0, 0]]
    np.testing.assert_allclose([*axis.get_xlim(), *axis.get_ylim()], [-7.8, 1.8, -2.4, 2.4])
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("w", "b")


def test_heights_are_those_of_the_function_and_not_of_its_mirror():
    """The contour through (1, 0) of x² + 4y² is an ellipse that is longer along x."""
    (axis,) = plot_trajectories(
        lambda p: p[0] ** 2 + 4 * p[1] ** 2, {"a": np.array([[1.0, 0.5]])}, span=(-2, 2, -2, 2)
    ).axes
    (lines,) = [drawn for drawn in axis.collections if not drawn.get_fill()]
    closed = lines.get_paths()[5].vertices
    assert np.ptp(closed[:, 0]) == pytest.approx(2 * np.ptp(closed[:, 1]), rel=0.05)


def test_an_animation_has_a_frame_a_step_and_short_paths_wait_at_their_end(tmp_path):
    moving = animate_trajectories(elliptic_bowl(), PATHS, interval=50)
    moving.save(tmp_path / "race.gif", writer="pillow", dpi=30)
    from PIL import Image

    with Image.open(tmp_path / "race.gif") as image:
        assert image.n_frames == 3
    long, _, _, short, _, end = moving._fig.axes[0].lines
    assert (len(long.get_xdata()), len(short.get_xdata())) == (3, 2)
    assert end.get_xydata().tolist() == [[1, -2]]


def test_what_is_no_path():
    with pytest.raises(ValueError, match=r"'a' has shape \(3,\)"):
        plot_trajectories(elliptic_bowl(), {"a": jnp.zeros(3)})
    with pytest.raises(ValueError, match="no paths"):
        plot_trajectories(elliptic_bowl(), {})
