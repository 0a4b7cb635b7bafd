"""Pictures. The only place that imports matplotlib, and only when a picture is drawn."""

from jaxopt_notes.plots.curves import plot_curves
from jaxopt_notes.plots.sweep import plot_sweep

__all__ = ["plot_curves", "plot_sweep"]
