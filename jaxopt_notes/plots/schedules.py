"""Learning rates over steps."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.plots.lines import plot_lines
from jaxopt_notes.record import check_count


def plot_schedules(schedules: Mapping[str, Callable], steps: int, *, yscale: str = "linear") -> Any:
    """What schedules give over steps 0, 1, …, steps − 1.

    Arguments:
        schedules: name → schedule.
        steps: how many, at least 1.
        yscale: "linear" or "log".

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: matplotlib is missing. ValueError: no steps, or nothing to draw.

    Example:
        >>> from jaxopt_notes.schedules import step
        >>> drawn = plot_schedules({"step": step(1.0, transition_steps=2)}, 5)
        >>> drawn.axes[0].lines[0].get_ydata().tolist()
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    along = jnp.arange(check_count("plot_schedules(steps)", steps, 1))
    rates = {name: np.asarray(jax.vmap(schedule)(along)) for name, schedule in schedules.items()}
    return plot_lines(rates, xlabel="step", ylabel="learning rate", yscale=yscale, width=6.0)
