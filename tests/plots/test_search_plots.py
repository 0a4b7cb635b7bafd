"""Pictures of searches: which line belongs to which trial, and which hyperparameters work together."""

import dataclasses
import importlib.util
import json
import shutil
import subprocess

import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.plots import (
    plot_contour,
    plot_importance,
    plot_lineages,
    plot_parallel,
    plot_rungs,
    plot_sweep,
    write_report,
)
from jaxopt_notes.search import Results

SPACE = {
    "rate": jn.log_uniform(1e-4, 1e-1),
    "kind": jn.static_choice(["a", "b"]),
    "dropout": jn.uniform(0, 1),
}
RATE, DROPOUT = np.array([1e-4, 1e-3, 1e-1, 1e-2]), np.array([0.0, 1.0, 0.5, 0.5])
KIND = np.array(["a", "b", "a", "b"], object)
SCORES = np.array([[4.0], [1.0], [2.0], [np.nan]])


def found(**changes):
    whole = Results(
        {"rate": RATE, "kind": KIND, "dropout": DROPOUT}, SCORES, "valid_loss", "min", space=SPACE
    )
    return dataclasses.replace(whole, **changes)


def test_static_choices_that_are_numbers_stand_by_size():
    results = found(columns={"width": np.array([16, 128, 4, 16], object), "rate": RATE}, space=None)
    (axis, _) = plot_sweep(results).axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["4", "16", "128"]


def heights(line):
    return np.asarray(line.get_ydata(), float)


def test_a_line_of_parallel_coordinates_passes_through_its_values():
    (axis,) = plot_parallel(found()).axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["rate", "kind", "dropout", "valid_loss"]
    lines = [heights(line) for line in axis.lines if len(line.get_xdata()) > 2]
    expected = [  # the diverged one, then from the worst to the best
        [2 / 3, 1, 0.5], [0, 0, 0, 1], [1, 0, 0.5, 1 / 3], [1 / 3, 1, 1, 0],
    ]  # fmt: skip
    assert len(lines) == 4
    for line, own in zip(lines, expected, strict=True):
        np.testing.assert_allclose(line, own, atol=1e-12)
    (best,) = [line for line in axis.lines if line.get_label() == "best"]
    assert best is [line for line in axis.lines if len(line.get_xdata()) > 2][-1]
    with pytest.raises(ValueError, match="no hyperparameter"):
        plot_parallel(Results({}, np.ones((1, 1))))


def test_contours_lie_between_trials_that_did_not_diverge():
    drawn = plot_contour(found(), "rate", "dropout")
    axis = drawn.axes[0]
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "linear")
    star, cross = axis.lines[1], axis.lines[0]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (1e-3, 1.0)
    assert cross.get_xdata().tolist() == [1e-2]
    points = next(c for c in axis.collections if len(c.get_offsets()) == 3)
    np.testing.assert_array_equal(points.get_array(), [4, 1, 2])
    assert len(axis.collections) == 2  # dots and contours
    assert plot_contour(found(), y="rate").axes[0].get_ylabel() == "rate"
    two = found(columns={"rate": RATE[:2], "dropout": DROPOUT[:2]}, scores=SCORES[:2])
    assert len(plot_contour(two).axes[0].collections) == 1
    with pytest.raises(
        ValueError, match=r"'depth' is no hyperparameter, expected one of rate, kind, dropout"
    ):
        plot_contour(found(), "depth")
    with pytest.raises(ValueError, match="two hyperparameters at least"):
        plot_contour(Results({"rate": RATE}, SCORES))


def halving():
    """Four runs, two of which go on, one of these again."""
    columns = {"rate": RATE[[0, 1, 2, 3, 1, 2, 1]], "epochs": np.array([1, 1, 1, 1, 3, 3, 9])}
    scores = np.array([4.0, 2.0, 3.0, np.nan, 1.5, 2.5, 1.0])[:, None]
    return Results({**columns, "parent": np.array([-1, -1, -1, -1, 1, 2, 4])}, scores)


def test_rungs_join_the_runs_that_went_on():
    (axis,) = plot_rungs(halving()).axes
    lines = {line.get_label(): line for line in axis.lines}
    assert lines["winner"].get_xdata().tolist() == [1, 3, 9]
    assert heights(lines["winner"]).tolist() == [2.0, 1.5, 1.0]
    assert lines["run"].get_xdata().tolist() == [1, 1, 1, 3, 3, 9]
    assert lines["diverged"].get_xdata().tolist() == [1]
    joined = [heights(line).tolist() for line in axis.lines if len(line.get_xdata()) == 2]
    assert joined == [[2.0, 1.5], [3.0, 2.5], [1.5, 1.0]]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1\n4 runs", "3\n2 runs", "9\n1 runs"]
    with pytest.raises(ValueError, match=r"plot_rungs\(results\): no run of this search goes on"):
        plot_rungs(found())


def test_lineages_fork_where_a_member_was_copied():
    """The second member is given up: both go on from the first, one with another rate."""
    columns = {"rate": np.array([0.1, 0.5, 0.2, 0.1]), "epochs": np.array([2, 2, 4, 4])}
    scores = np.array([[1.0], [3.0], [0.6], [0.8]])
    pbt = Results({**columns, "parent": np.array([-1, -1, 0, 0])}, scores)
    score, rate = plot_lineages(pbt).axes
    assert (score.get_ylabel(), rate.get_ylabel()) == ("score", "rate")
    assert [heights(line).tolist() for line in rate.lines] == [
        [0.1, 0.2], [0.1, 0.1], [0.1, 0.5, 0.2, 0.1], [0.1, 0.2],
    ]  # fmt: skip
    assert heights(score.lines[-1]).tolist() == [1.0, 0.6]  # the winner's


def test_bars_of_pairs_and_slices_by_importance():
    x, y, z = np.random.default_rng(0).uniform(-1, 1, size=(3, 300))
    together = Results({"z": z, "x": x, "y": y}, (x * y + 0.7 * x)[:, None])
    (axis,) = plot_importance(together, "bins", pairs=2).axes
    assert [label.get_text() for label in axis.get_yticklabels()][-1] == "x"
    assert "x × y" in [label.get_text() for label in axis.get_yticklabels()]
    if importlib.util.find_spec("sklearn"):
        assert plot_sweep(together, by_importance=True).axes[0].get_xlabel() == "x"
    assert plot_sweep(together).axes[0].get_xlabel() == "z"


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
CHECK = """<script>addEventListener("load", () => {
  const images = [...document.images], rows = () => [...document.querySelectorAll("tbody tr")];
  const rates = () => rows().map(row => parseFloat(row.cells[2].textContent));
  const button = [...document.querySelectorAll("th button")].find(b => b.textContent === "rate");
  button.click(); const up = rates(); button.click(); const down = rates();
  document.title = JSON.stringify({
    images: images.filter(i => i.complete && i.naturalWidth > 300).length, rows: rows().length, up, down,
    overflow: document.documentElement.scrollWidth > innerWidth, sorted: button.parentElement.ariaSort,
  });
});</script>"""


@pytest.mark.full
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1200, 420])
def test_a_browser_shows_the_report(tmp_path, width):
    """All pictures are there, nothing overflows the page, and a click on a column sorts by number."""
    for results, pictures in ((found(), 4), (halving(), 4)):
        page = write_report(results, tmp_path)
        page.write_text(
            page.read_text(encoding="utf-8").replace("</body>", f"{CHECK}</body>"), encoding="utf-8"
        )
        out = subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900",
             f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom",
             page.as_uri()],
            capture_output=True, text=True, timeout=240, check=True,
        )  # fmt: skip
        title = out.stdout.split("<title>")[1].split("</title>")[0].replace("&quot;", '"')
        seen = json.loads(title)
        assert seen["images"] == pictures
        assert (seen["rows"], seen["overflow"], seen["sorted"]) == (len(results), False, "descending")
        assert seen["up"] == sorted(seen["up"])
        assert seen["down"] == seen["up"][::-1]
