"""Pictures. The only place that imports matplotlib, and only when a picture is drawn."""

from jaxopt_notes.plots.curves import plot_curves
from jaxopt_notes.plots.importance import plot_importance
from jaxopt_notes.plots.lr_range import plot_lr_range
from jaxopt_notes.plots.report import write_report
from jaxopt_notes.plots.sweep import plot_sweep
from jaxopt_notes.plots.trials import plot_trials

__all__ = ["plot_curves", "plot_importance", "plot_lr_range", "plot_sweep", "plot_trials", "write_report"]
