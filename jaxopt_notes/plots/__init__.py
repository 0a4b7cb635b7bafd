"""Pictures. The only place that imports matplotlib, and only when a picture is drawn.

    plot_curves(history)                                     # losses and metrics by epoch
    plot_sweep(results); plot_importance(results); write_report(results, "folder")
    plot_trajectories(rosenbrock(), {"adam": points})        # paths over contours; animate_trajectories
    plot_lines(curves); plot_histograms(values); plot_spectrum(spectrum); plot_reliability(outputs, labels)

Every function returns a figure (or an animation) and shows nothing by itself: a notebook shows what stands
last in a cell, `figure.savefig(path)` writes it. All have one style (`plots.figure`).
"""

from jaxopt_notes.plots.bias_variance import plot_bias_variance
from jaxopt_notes.plots.contour import plot_contour
from jaxopt_notes.plots.curves import plot_curves
from jaxopt_notes.plots.histograms import plot_histograms
from jaxopt_notes.plots.importance import plot_importance
from jaxopt_notes.plots.lineages import plot_lineages, plot_rungs
from jaxopt_notes.plots.lines import plot_lines
from jaxopt_notes.plots.lr_range import plot_lr_range
from jaxopt_notes.plots.parallel import plot_parallel
from jaxopt_notes.plots.pareto import plot_pareto
from jaxopt_notes.plots.reliability import plot_reliability
from jaxopt_notes.plots.report import write_report
from jaxopt_notes.plots.schedules import plot_schedules
from jaxopt_notes.plots.spectrum import plot_spectrum
from jaxopt_notes.plots.sweep import plot_sweep
from jaxopt_notes.plots.trajectories import animate_trajectories, plot_trajectories
from jaxopt_notes.plots.trials import plot_trials

__all__ = [
    "animate_trajectories",
    "plot_bias_variance",
    "plot_contour",
    "plot_curves",
    "plot_histograms",
    "plot_importance",
    "plot_lineages",
    "plot_lines",
    "plot_lr_range",
    "plot_parallel",
    "plot_pareto",
    "plot_reliability",
    "plot_rungs",
    "plot_schedules",
    "plot_spectrum",
    "plot_sweep",
    "plot_trajectories",
    "plot_trials",
    "write_report",
]
