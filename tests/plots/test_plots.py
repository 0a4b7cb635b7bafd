"""Pictures: what is drawn where."""

import collections
import dataclasses
import html.parser
import io

import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.plots import plot_curves, plot_importance, plot_sweep, plot_trials, write_report
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


def labelled(drawn, label):
    """The x of what the legend calls so, which has to lie inside the panel."""
    (axis,) = axes_by_name(drawn).values()
    (line,) = [line for line in axis.lines if line.get_label() == label]
    assert label in [text.get_text() for text in drawn.legends[0].get_texts()]
    drawn.savefig(io.BytesIO())
    for x, y in line.get_transform().transform(line.get_xydata()):
        assert axis.bbox.contains(x, y)
    return list(line.get_xdata())


def test_diverged_configurations_are_crosses():
    drawn = plot_sweep(results([[0.5], [np.nan], [0.7]], rate=np.array([0.1, 0.3, 0.2])))
    assert labelled(drawn, "diverged") == [0.3]
    drawn = plot_sweep(results([[np.nan], [np.inf]], rate=np.array([0.1, 0.3])))  # nothing to star
    assert labelled(drawn, "diverged") == [0.1, 0.3]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_bad_configurations_flatten_nothing_and_stay_in_the_picture(mode):
    """Nine scores within 0.08, one far away, one diverged."""
    near, sign = np.linspace(0.9, 0.98, 9), 1 if mode == "max" else -1
    scores = sign * np.array([*near, 0.1, np.nan])[:, None]
    drawn = plot_sweep(results(scores, mode, rate=np.arange(1.0, 12.0)))
    (axis,) = axes_by_name(drawn).values()
    assert np.ptp(axis.get_ylim()) < 0.1
    assert set(labelled(drawn, "off the scale")) == {1.0, 10.0}  # the worst fifth of ten
    assert labelled(drawn, "diverged") == [11.0]
    assert labelled(drawn, "best") == [9.0]
    (points,) = [container.lines[0] for container in axis.containers]
    assert sorted([*points.get_xdata(), 1, 10, 11]) == list(range(1, 12))  # every one is drawn once


def test_one_configuration_and_none_to_vary():
    assert labelled(plot_sweep(results([[0.5, 0.7]], rate=np.array([0.1]))), "best") == [0.1]
    assert axes_by_name(plot_sweep(results([[0.5]]))) == {}


def test_static_choices_are_named():
    drawn = plot_sweep(results([[0.5], [0.6]], width=np.array(["wide", "narrow"], object)))
    (axis,) = axes_by_name(drawn).values()
    assert [label.get_text() for label in axis.get_xticklabels()] == ["narrow", "wide"]


def test_epochs_are_counted_from_one_and_every_line_is_where_it_belongs():
    """Two seeds of three epochs: their median in a band, and the best of the monitored curve."""
    (axis,) = plot_curves({"valid_loss": np.array([[3.0, 2.0, 1.5], [5.0, 1.0, 3.5]])}, "a title").axes
    line, star, mark = axis.lines
    assert list(line.get_xdata()) == [1, 2, 3]
    assert list(line.get_ydata()) == [4, 1.5, 2.5]
    assert (*star.get_xdata(), *star.get_ydata(), *mark.get_xdata()) == (2, 1.5, 2, 2)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("epoch", "valid_loss")
    assert axis.figure.get_suptitle() == "a title"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["valid_loss", "best epoch: 2"]


def test_the_best_epoch_is_the_largest_of_a_metric_and_never_one_without_a_number():
    history = {"loss": np.ones(3), "valid_loss": np.ones(3), "valid_accuracy": np.array([0.5, 0.9, np.nan])}
    for axis in plot_curves(history, monitor="valid_accuracy").axes:
        assert list(axis.lines[-1].get_xdata()) == [2, 2]
    losses, _ = plot_curves(history | {"valid_loss": np.full(3, np.nan)}).axes
    assert len(losses.lines) == 2
    (axis,) = plot_curves({"loss": np.array([1.0, 2.0])}).axes  # no validation, nothing marked
    assert len(axis.lines) == 1
    assert list(plot_curves(history, mode="max").axes[0].lines[-1].get_xdata()) == [1, 1]


def test_a_loss_that_is_not_positive_keeps_its_scale():
    both = {"loss": np.ones((1, 3)), "valid_loss": np.array([[1.0, 0.0, 1.0]])}
    assert plot_curves(both).axes[0].get_yscale() == "linear"
    assert plot_curves({"loss": np.array([1.0, np.nan])}).axes[0].get_yscale() == "log"  # diverged at the end


def test_curves_have_a_line_and_a_band_each():
    history = {"loss": np.ones((3, 5)), "valid_loss": np.ones((3, 5)), "valid_accuracy": np.ones((3, 5))}
    losses, metrics = plot_curves(history).axes
    assert [len(axis.collections) for axis in (losses, metrics)] == [2, 1]
    assert [len(axis.lines) for axis in (losses, metrics)] == [2 + 2, 1 + 1]  # and the best epoch
    assert losses.get_yscale() == "log"
    assert len(plot_curves({"loss": np.ones(5)}).axes) == 1


def test_losses_that_are_not_positive_have_a_linear_axis():
    (axis,) = plot_curves({"loss": np.array([1.0, 0.0, -1.0])}).axes
    assert axis.get_yscale() == "linear"
    (axis,) = plot_curves({"loss": np.array([1.0, np.nan])}).axes  # diverged
    assert axis.get_yscale() == "log"


def test_a_history_without_curves():
    with pytest.raises(ValueError, match=r"plot_curves\(history\) has \['rate'\]"):
        plot_curves({"rate": np.ones(3)})


def test_a_picture_is_written(tmp_path):
    plot_curves({"loss": np.ones(5)}, "title").savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize(("mode", "y", "arrow"), [("max", 0.03, "v"), ("min", 0.97, "^")])
def test_what_is_off_the_scale_is_on_the_side_of_the_bad(mode, y, arrow):
    sign = 1 if mode == "max" else -1
    scores = sign * np.array([*np.linspace(0.9, 0.98, 9), 0.1])[:, None]
    (axis,) = axes_by_name(plot_sweep(results(scores, mode, rate=np.arange(1.0, 11.0)))).values()
    (line,) = [line for line in axis.lines if line.get_label() == "off the scale"]
    assert set(line.get_ydata()) == {y}
    assert line.get_marker() == arrow
    (points,) = [container.lines[0] for container in axis.containers]
    assert 10.0 in line.get_xdata()
    assert len(points.get_xdata()) == 8


def test_trials_with_the_best_so_far():
    drawn = plot_trials(results([[0.5], [np.nan], [0.9], [0.7]], rate=np.array([1.0, 2.0, 3.0, 4.0])))
    lines = {line.get_label(): line for line in drawn.axes[0].lines}
    assert lines["trial"].get_xdata().tolist() == [0, 2, 3]
    assert lines["best so far"].get_ydata().tolist() == [0.5, 0.5, 0.9, 0.9]
    assert lines["diverged"].get_xdata().tolist() == [1]


def test_importance_has_the_most_important_on_top():
    rate = np.linspace(0.0, 0.5, 40)
    found = results(rate[:, None], dropout=rate, rate=np.tile([0.1, 0.2], 20))
    (axis,) = plot_importance(found, "bins").axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["rate", "dropout"]
    assert axis.patches[1].get_width() == pytest.approx(found.importance("bins")["dropout"])


def test_a_report_is_one_page_that_holds_everything(tmp_path):
    rng = np.random.default_rng(0)
    found = results(rng.random((12, 2)), rate=np.logspace(-4, -1, 12), act=np.array(["<relu>"] * 12, object))
    found = dataclasses.replace(found, history={"valid_accuracy": rng.random((12, 2, 3))})
    page = found.report(tmp_path / "new").read_text(encoding="utf-8")
    assert write_report(found, tmp_path).name == "index.html"
    tree = html.parser.HTMLParser()
    tags = collections.Counter()
    tree.handle_starttag = lambda tag, attributes: tags.update([tag])
    tree.feed(page)
    assert (tags["tr"], tags["img"], tags["table"]) == (13, 6, 1)
    assert "http" not in page.replace("data:image", "")
    assert "&lt;relu&gt;" in page
    assert "<relu>" not in page
    for row in found.rows():
        assert f'data-value="{row["score_mean"]}"' in page
