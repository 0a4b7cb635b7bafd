"""Schedules: records called with the step, the first update being step 0.

Every number in them is a leaf, horizons included: a sweep over warm-up lengths is a `vmap`, and
changing one never retraces. The step may be an integer or a float, traced or not, or an array of
steps to draw a curve; the value is float32 (float64 under x64). A horizon of 0 switches the change
off. Wherever a rate is expected any of these fits, and so does a number; `warmup` and `join`
compose them. `plateau` alone is not a function of the step: a rule that watches a metric.
"""

from jaxopt_notes.schedules.constant import Constant, constant
from jaxopt_notes.schedules.cosine import Cosine, cosine
from jaxopt_notes.schedules.exponential import Exponential, exponential
from jaxopt_notes.schedules.inverse_time import InverseTime, inverse_time
from jaxopt_notes.schedules.join import Join, join
from jaxopt_notes.schedules.linear import linear
from jaxopt_notes.schedules.linear_cosine import (
    LinearCosine,
    NoisyLinearCosine,
    linear_cosine,
    noisy_linear_cosine,
)
from jaxopt_notes.schedules.natural_exponential import NaturalExponential, natural_exponential
from jaxopt_notes.schedules.noam import Noam, noam
from jaxopt_notes.schedules.one_cycle import OneCycle, one_cycle
from jaxopt_notes.schedules.piecewise import Piecewise, piecewise
from jaxopt_notes.schedules.plateau import Plateau, plateau
from jaxopt_notes.schedules.polynomial import Polynomial, polynomial
from jaxopt_notes.schedules.schedule import Rate, check_rate, rate_at
from jaxopt_notes.schedules.sgdr import Sgdr, sgdr
from jaxopt_notes.schedules.step import step
from jaxopt_notes.schedules.triangular import Triangular, triangular
from jaxopt_notes.schedules.warmup import Warmup, warmup
from jaxopt_notes.schedules.warmup_cosine import warmup_cosine
from jaxopt_notes.schedules.warmup_stable_decay import warmup_stable_decay

SCHEDULES = {
    factory.__name__: factory
    for factory in (
        constant,
        piecewise,
        step,
        exponential,
        natural_exponential,
        inverse_time,
        polynomial,
        linear,
        cosine,
        linear_cosine,
        noisy_linear_cosine,
        sgdr,
        triangular,
        one_cycle,
        noam,
        warmup,
        join,
        warmup_cosine,
        warmup_stable_decay,
    )
}

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Exponential",
    "InverseTime",
    "Join",
    "LinearCosine",
    "NaturalExponential",
    "Noam",
    "NoisyLinearCosine",
    "OneCycle",
    "Piecewise",
    "Plateau",
    "Polynomial",
    "Rate",
    "Sgdr",
    "Triangular",
    "Warmup",
    "check_rate",
    "constant",
    "cosine",
    "exponential",
    "inverse_time",
    "join",
    "linear",
    "linear_cosine",
    "natural_exponential",
    "noam",
    "noisy_linear_cosine",
    "one_cycle",
    "piecewise",
    "plateau",
    "polynomial",
    "rate_at",
    "sgdr",
    "step",
    "triangular",
    "warmup",
    "warmup_cosine",
    "warmup_stable_decay",
]
