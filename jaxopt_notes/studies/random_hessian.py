"""In many dimensions critical points are saddles: of a random symmetric matrix all eigenvalues rarely agree.

In the Gaussian orthogonal ensemble a matrix of size n is positive definite with probability ½ for n = 1,
(2 − √2)/4 = 0.146 for n = 2, 0.025 for n = 3, and e^(−n²·log(3)/4) when n is large.
"""

import jax
import numpy as np

from jaxopt_notes.record import check_count, record
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, rows_of

__all__ = ["RandomHessian", "random_hessian"]


@record
class RandomHessian(StudyResult):
    """See `random_hessian`."""

    sizes: Array  # [sizes]
    minimum: Array  # [sizes]: share of matrices without a negative eigenvalue
    saddle: Array  # [sizes]: with eigenvalues of both signs
    law: Array  # [sizes]: e^(−n²·log(3)/4)
    spectrum: Array  # eigenvalues of matrices of the largest size, over √n

    def rows(self) -> Rows:
        return rows_of(dimensions=self.sizes, minima=self.minimum, saddles=self.saddle, law=self.law)

    def plot(self) -> Figure:
        from jaxopt_notes.plots.figure import COLORS
        from jaxopt_notes.plots.panels import panels

        drawn, (left, right) = panels(2)
        some = self.minimum > 0
        left.semilogy(self.sizes[some], self.minimum[some], "o", color=COLORS[0], label="found")
        left.semilogy(self.sizes, self.law, "--", color=COLORS[1], label="$e^{-n^2 \\log(3)/4}$")
        left.set(xlabel="dimensions n", ylabel="P(all eigenvalues > 0)", title="chance of a minimum")
        left.legend(frameon=False)
        right.hist(np.ravel(self.spectrum), bins=60, density=True, color=COLORS[5])
        x = np.sqrt(2) * np.sin(np.linspace(-np.pi / 2, np.pi / 2, 200))
        right.plot(x, np.sqrt(np.maximum(2 - x**2, 0)) / np.pi, color=COLORS[1], label="Wigner's semicircle")
        right.set(xlabel="eigenvalue / √n", title=f"spectrum at n = {self.sizes[-1]}")
        right.legend(frameon=False, loc="lower center")
        return drawn


def random_hessian(key: jax.Array, *, matrices: int = 20_000, largest: int = 8) -> RandomHessian:
    """How often all eigenvalues of a random symmetric matrix have one sign.

        H = (A + Aᵀ)/2, A of independent N(0, 1)

    Arguments:
        key: a typed random key.
        matrices: for each size.
        largest: sizes from 1 to this are tried.

    Returns:
        A `RandomHessian`.

    Raises:
        ValueError: a number below 1. TypeError: an argument is not a whole number.

    Source: Dauphin et al. 2014; Dean & Majumdar 2006 for the law. A loss is no random function: this is why
    saddles may be expected, and no proof that they are there.
    """
    check_count("random_hessian(matrices)", matrices, 1)
    sizes = np.arange(1, check_count("random_hessian(largest)", largest, 1) + 1)
    # A minor of the matrix is such a matrix too, so that one draw serves all sizes.
    draws = np.asarray(jax.random.normal(key, (matrices, largest, largest)))
    symmetric = (draws + draws.transpose(0, 2, 1)) / 2
    values = [np.linalg.eigvalsh(symmetric[:, :n, :n]) for n in sizes]
    positive = np.array([np.mean(found[:, 0] > 0) for found in values])
    mixed = np.array([np.mean((found[:, 0] < 0) & (found[:, -1] > 0)) for found in values])
    law = np.exp(-(sizes**2) * np.log(3) / 4)
    return RandomHessian(sizes, positive, mixed, law, values[-1] / np.sqrt(sizes[-1]))
