"""The nonlinear regressions of NIST's Statistical Reference Datasets: 27 problems, each with two starts.

`nist.tsv` holds NIST's published numbers, which are in the public domain; here are the models. The
certified parameters are given to eleven digits.
"""

import csv
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np


class Problem(NamedTuple):
    """Starts [2, n] and certified parameters [n]; the sum of squares there; the observations."""

    model: Callable
    starts: np.ndarray
    certified: np.ndarray
    sum_of_squares: float
    y: np.ndarray
    x: tuple

    def residuals(self, b):
        return self.model(b, *self.x) - self.y

    def digits(self, b):
        """How many digits of the worst parameter are right, at most eleven."""
        error = np.max(np.abs(np.asarray(b) - self.certified) / np.abs(self.certified))
        return 11.0 if error == 0 else min(11.0, -np.log10(error)) if np.isfinite(error) else -np.inf


def exponentials(b, x):
    return b[0] * jnp.exp(-b[1] * x) + b[2] * jnp.exp(-b[3] * x) + b[4] * jnp.exp(-b[5] * x)


def bumps(b, x):
    first, second = (b[i] * jnp.exp(-(((x - b[i + 1]) / b[i + 2]) ** 2)) for i in (2, 5))
    return b[0] * jnp.exp(-b[1] * x) + first + second


def waves(b, x):
    turns = ((b[i], b[i + 1], 2 * jnp.pi * x / period) for i, period in ((1, 12.0), (4, b[3]), (7, b[6])))
    return b[0] + sum(c * jnp.cos(t) + s * jnp.sin(t) for c, s, t in turns)


def ratio(*degrees):
    """A polynomial over one that begins with 1."""

    def model(b, x):
        above, below = b[: degrees[0] + 1], b[degrees[0] + 1 :]
        return sum(c * x**i for i, c in enumerate(above)) / (
            1 + sum(c * x**i for i, c in enumerate(below, 1))
        )

    return model


def saturation(b, x):
    return b[0] * (1 - jnp.exp(-b[1] * x))


def chwirut(b, x):
    return jnp.exp(-b[0] * x) / (b[1] + b[2] * x)


MODELS = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": saturation,
    "Chwirut1": chwirut,
    "Chwirut2": chwirut,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "Eckerle4": lambda b, x: b[0] / b[1] * jnp.exp(-(((x - b[2]) / b[1]) ** 2) / 2),
    "ENSO": waves,
    "Gauss1": bumps,
    "Gauss2": bumps,
    "Gauss3": bumps,
    "Hahn1": ratio(3, 3),
    "Kirby2": ratio(2, 2),
    "Lanczos1": exponentials,
    "Lanczos2": exponentials,
    "Lanczos3": exponentials,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * jnp.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * jnp.exp(-x * b[3]) + b[2] * jnp.exp(-x * b[4]),
    "Misra1a": saturation,
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
    "Nelson": lambda b, x1, x2: b[0] - b[1] * x1 * jnp.exp(-b[2] * x2),
    "Rat42": lambda b, x: b[0] / (1 + jnp.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1 + jnp.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - jnp.arctan(b[2] / (x - b[3])) / jnp.pi,
    "Thurber": ratio(3, 3),
}


def problems():
    """All of them, by name."""
    lines = {name: {"start": [], "x": []} for name in MODELS}
    with pathlib.Path(__file__).with_name("nist.tsv").open() as file:
        for name, kind, *numbers in csv.reader((line for line in file if line[0] != "#"), delimiter="\t"):
            values = np.array(numbers, np.float64)
            if kind in ("start", "x"):
                lines[name][kind].append(values)
            else:
                lines[name][kind] = values
    return {
        name: Problem(
            MODELS[name],
            np.stack(found["start"]),
            found["certified"],
            float(found["residual"][0]),
            np.log(found["y"]) if name == "Nelson" else found["y"],  # the model is one of log y
            tuple(found["x"]),
        )
        for name, found in lines.items()
    }


PROBLEMS = problems()
