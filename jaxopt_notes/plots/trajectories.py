"""Optimizers' ways over the contours of a function of two variables."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.plots.figure import GREY, figure, label_axes, line_style

LEVELS = 18


def plot_trajectories(
    function: Callable,
    paths: Mapping[str, Any],
    *,
    span: tuple[float, float, float, float] | None = None,
    xlabel: str = "x",
    ylabel: str = "y",
    title: str = "",
) -> Any:
    """Paths over the contours of a function: a dot a step, a circle at the start, a star at the end.

    Arguments:
        function: from a point [2] to a number. Levels are denser near its minimum.
        paths: name → points [steps, 2], as of `jax.lax.scan` over an optimizer's steps.
        span: (x low, x high, y low, y high); by default all that the paths reach, and a tenth more.
        xlabel, ylabel, title: what is along the axes, and above the picture.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: matplotlib is missing. ValueError: a path that is not [steps, 2], or none.

    Source: the lectures CS231n; the study notes race optimizers so.
    """
    drawn, _, _ = _draw(function, _points(paths), span, xlabel, ylabel, title)
    return drawn


def animate_trajectories(
    function: Callable,
    paths: Mapping[str, Any],
    *,
    interval: int = 120,
    span: tuple[float, float, float, float] | None = None,
    xlabel: str = "x",
    ylabel: str = "y",
    title: str = "",
) -> Any:
    """The same, step by step.

    Arguments:
        interval: milliseconds a step.
        function, paths, span, xlabel, ylabel, title: see `plot_trajectories`.

    Returns:
        A matplotlib animation: `.save("race.gif")`, or in a notebook `IPython.display.HTML(it.to_jshtml())`.

    Raises:
        As `plot_trajectories` does.
    """
    points = _points(paths)
    drawn, lines, ends = _draw(function, points, span, xlabel, ylabel, title)
    from matplotlib.animation import FuncAnimation

    def show(step: int) -> list:
        for path, line, end in zip(points.values(), lines, ends, strict=True):
            line.set_data(*path[: step + 1].T)
            end.set_data(*path[min(step, len(path) - 1), :, None])
        return [*lines, *ends]

    frames = max(len(path) for path in points.values())
    return FuncAnimation(drawn, show, frames=frames, interval=interval)


def _points(paths: Mapping[str, Any]) -> dict[str, np.ndarray]:
    points = {name: np.asarray(path, float) for name, path in paths.items()}
    for name, path in points.items():
        if path.ndim != 2 or path.shape[1] != 2 or len(path) == 0:
            raise ValueError(f"the path {name!r} has shape {path.shape}, expected points [steps, 2].")
    if not points:
        raise ValueError("there are no paths: expected a dict name → points [steps, 2].")
    return points


def _draw(
    function: Callable,
    points: dict[str, np.ndarray],
    span: tuple[float, float, float, float] | None,
    xlabel: str,
    ylabel: str,
    title: str,
) -> tuple[Any, list, list]:
    """The figure, a line a path, and the marker at its end."""
    x, y, heights = _heights(function, _span(points) if span is None else span)
    drawn = figure(6.0, 4.2)
    axis = drawn.subplots()
    low, high = heights.min(), heights.max()
    levels = low + (high - low) * np.linspace(0, 1, LEVELS + 1)[1:] ** 3  # where the paths end they are dense
    axis.contour(x, y, heights, levels, colors=GREY, linewidths=0.5, alpha=0.6)
    axis.contourf(x, y, heights, [low, *levels], cmap="Greys", alpha=0.25)
    lines, ends = [], []
    for index, (name, path) in enumerate(points.items()):
        style = line_style(index)
        lines += axis.plot(*path.T, marker="o", ms=2.5, lw=1.3, label=name, **style)
        axis.plot(*path[0], marker="o", ms=7, mfc="white", mec=style["color"])
        ends += axis.plot(*path[-1, :, None], marker="*", ms=12, color=style["color"], mec="white")
    axis.set_xlim(x[0], x[-1])
    axis.set_ylim(y[0], y[-1])
    label_axes(axis, xlabel, ylabel, title)
    axis.grid(False)
    axis.legend(frameon=True, framealpha=0.9, fontsize="small")
    return drawn, lines, ends


def _span(points: dict[str, np.ndarray]) -> tuple[float, float, float, float]:
    every = np.concatenate([path[np.isfinite(path).all(axis=1)] for path in points.values()])
    low, high = every.min(axis=0), every.max(axis=0)
    room = 0.1 * np.where(high > low, high - low, 1.0)
    (left, bottom), (right, top) = low - room, high + room
    return left, right, bottom, top


def _heights(function: Callable, span: tuple[float, float, float, float]) -> tuple[np.ndarray, ...]:
    """The function on a grid."""
    x, y = np.linspace(*span[:2], 121), np.linspace(*span[2:], 121)
    grid = jnp.asarray(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2), jnp.float32)
    return x, y, np.asarray(jax.vmap(function)(grid), float).reshape(len(y), len(x))
