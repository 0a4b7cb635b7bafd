"""Spectra of Hessians."""

import numpy as np
import pytest

from jaxopt_notes.diagnostics import HessianSpectrum
from jaxopt_notes.plots import plot_spectrum


def test_each_eigenvalue_is_a_bell_of_its_weight():
    estimated = HessianSpectrum(np.array([-1.0, 3.0]), np.array([0.25, 0.75]), np.zeros(2))
    (axis,) = plot_spectrum(
        {"estimated": estimated, "all": np.array([-1.0, 3.0])}, width=0.1, title="two"
    ).axes
    _, first, second = axis.lines  # the line at zero stands behind
    x, density = first.get_data()
    step = x[1] - x[0]
    assert density.sum() * step == pytest.approx(1, rel=1e-3)
    assert density[x < 1].sum() * step == pytest.approx(0.25, rel=1e-3)
    assert x[x > 1][np.argmax(density[x > 1])] == pytest.approx(3, abs=step)
    x, density = second.get_data()
    assert density[x < 1].sum() * step == pytest.approx(0.5, rel=1e-3)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [
        "estimated: -1 to 3",
        "all: -1 to 3",
    ]
    assert axis.get_yscale() == "log"


def test_spectra_over_several_starts_and_a_single_value():
    starts = HessianSpectrum(
        np.array([[0.0, 2.0], [0.0, 2.0]]), np.array([[1.0, 0.0], [0.5, 0.5]]), np.zeros((2, 2))
    )
    x, density = plot_spectrum(starts, width=0.1).axes[0].lines[1].get_data()
    assert density[x < 1].sum() * (x[1] - x[0]) == pytest.approx(0.75, rel=1e-3)
    assert len(plot_spectrum(np.array([2.0])).axes) == 1
    with pytest.raises(ValueError, match="empty"):
        plot_spectrum({})
