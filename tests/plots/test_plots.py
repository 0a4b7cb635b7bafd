"""Pictures: what is drawn where."""

import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.plots import plot_curves, plot_sweep
from jaxopt_notes.search import Results


def results(scores, mode="max", **columns):
    space = {"rate": jn.log_uniform(1e-4, 1e-1), "dropout": jn.uniform(0.0, 0.5)}
    return Results(columns, np.asarray(scores, float), "valid_accuracy", mode, space=space)


def axes_by_name(figure):
    return {axis.get_xlabel(): axis for axis in figure.axes if axis.get_visible()}


def test_one_panel_a_hyperparameter_scaled_as_its_distribution():
    rng = np.random.default_rng(0)
    drawn = plot_sweep(
        results(rng.random((9, 2)), rate=np.logspace(-4, -1, 9), dropout=np.linspace(0.001, 0.5, 9))
    )
    axes = axes_by_name(drawn)
    assert set(axes) == {"rate", "dropout"}
    assert axes["rate"].get_xscale() == "log"
    assert axes["dropout"].get_xscale() == "linear"
    assert axes["rate"].get_ylabel() == "valid_accuracy"


@pytest.mark.parametrize(("mode", "best"), [("max", 0.3), ("min", 0.1)])
def test_the_star_is_the_best(mode, best):
    drawn = plot_sweep(results([[0.5], [0.9], [0.7]], mode, rate=np.array([0.1, 0.3, 0.2])))
    (axis,) = axes_by_name(drawn).values()
    (star,) = [line for line in axis.lines if line.get_label() == "best"]
    assert star.get_xdata() == [best]


def test_diverged_configurations_are_crosses():
    drawn = plot_sweep(results([[0.5], [np.nan], [0.7]], rate=np.array([0.1, 0.3, 0.2])))
    (axis,) = axes_by_name(drawn).values()
    (crosses,) = [line for line in axis.lines if line.get_label() == "diverged"]
    assert list(crosses.get_xdata()) == [0.3]
    plot_sweep(results([[np.nan], [np.inf]], rate=np.array([0.1, 0.3])))  # nothing to star


def test_static_choices_are_named():
    drawn = plot_sweep(results([[0.5], [0.6]], width=np.array(["wide", "narrow"], object)))
    (axis,) = axes_by_name(drawn).values()
    assert [label.get_text() for label in axis.get_xticklabels()] == ["narrow", "wide"]


def test_curves_have_a_line_a_seed_and_a_mean():
    history = {"loss": np.ones((3, 5)), "valid_loss": np.ones((3, 5)), "valid_accuracy": np.ones((3, 5))}
    losses, metrics = plot_curves(history).axes
    assert len(losses.lines) == 2 * (3 + 1)
    assert len(metrics.lines) == 3 + 1
    assert losses.get_yscale() == "log"
    assert len(plot_curves({"loss": np.ones(5)}).axes) == 1


def test_a_picture_is_written(tmp_path):
    plot_curves({"loss": np.ones(5)}, "title").savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
