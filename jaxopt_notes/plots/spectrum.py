"""The eigenvalues of a Hessian."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_notes.plots.figure import GREY, figure, label_axes, line_style


def plot_spectrum(spectra: Any, *, width: float | None = None, title: str = "") -> Any:
    """The density of eigenvalues on a logarithmic axis, with ticks at the ends.

    Arguments:
        spectra: a `HessianSpectrum`, or all eigenvalues as an array [n]; or name → one of these.
        width: of the bell that stands for each eigenvalue; by default a hundredth of what is shown.
        title: above the picture.

    Returns:
        A matplotlib Figure.

    Raises:
        ImportError: matplotlib is missing. ValueError: nothing to draw.

    Source: Ghorbani, Krishnan & Xiao 2019, figure 2.
    """
    named = dict(spectra) if isinstance(spectra, Mapping) else {"": spectra}
    if not named:
        raise ValueError("plot_spectrum(spectra) is empty, expected a spectrum, or a dict of them.")
    parts = {name: _masses(spectrum) for name, spectrum in named.items()}
    low = min(values.min() for values, _ in parts.values())
    high = max(values.max() for values, _ in parts.values())
    extent = (high - low) or 1.0
    bell = 0.01 * extent if width is None else width
    along = np.linspace(low - 5 * bell, high + 5 * bell, 1201)
    drawn = figure(6.0, 3.4)
    axis = drawn.subplots()
    axis.axvline(0.0, lw=0.8, color=GREY)
    highest = 0.0
    for index, (name, (values, weights)) in enumerate(parts.items()):
        bells = np.exp(-(((along[:, None] - values) / bell) ** 2) / 2) / (bell * np.sqrt(2 * np.pi))
        density = bells @ weights
        highest = max(highest, density.max())
        label = f"{name + ': ' if name else ''}{values.min():.3g} to {values.max():.3g}"
        axis.plot(along, density, lw=1.6, label=label, **line_style(index))
    axis.set_yscale("log")
    axis.set_ylim(highest * 1e-6, highest * 3)
    label_axes(axis, "eigenvalue of the Hessian", "density", title)
    axis.legend(frameon=False, fontsize="small")
    return drawn


def _masses(spectrum: Any) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and what each weighs, sum 1."""
    if hasattr(spectrum, "weights"):
        values, weights = np.ravel(spectrum.values), np.ravel(spectrum.weights)
        return values.astype(float), weights.astype(float) / weights.sum()
    values = np.ravel(np.asarray(spectrum, float))
    return values, np.full(len(values), 1 / len(values))
