"""Schedules: records called with the step, the first update being step 0.

    optimizer = adam(warmup_cosine(0.0, 1e-3, 500, 10_000))  # a rate is a number or a schedule
    step(0.1, 30, 0.3)(epoch)                                # a number
    join([constant(0.1), exponential(0.1, 100, 0.9)], [1000])

Every number in them is a leaf, horizons included: a sweep over warm-up lengths is a `vmap`, and
changing one never retraces. The step may be an integer or a float, traced or not, or an array of
steps to draw a curve; the value is float32 (float64 under x64). A horizon of 0 switches the change
off. Wherever a rate is expected any of these fits, and so does a number; `warmup` and `join`
compose them. `plateau` alone is not a function of the step: a rule that watches a metric.
"""

# ruff: noqa: F403

from jaxopt_notes.registry import public_names as _public_names
from jaxopt_notes.registry import returning as _returning

# One line for each schedule: the names in its file's `__all__` are public, its factory is in `SCHEDULES`.
from jaxopt_notes.schedules.constant import *
from jaxopt_notes.schedules.cosine import *
from jaxopt_notes.schedules.exponential import *
from jaxopt_notes.schedules.inverse_time import *
from jaxopt_notes.schedules.join import *
from jaxopt_notes.schedules.linear import *
from jaxopt_notes.schedules.linear_cosine import *
from jaxopt_notes.schedules.natural_exponential import *
from jaxopt_notes.schedules.noam import *
from jaxopt_notes.schedules.one_cycle import *
from jaxopt_notes.schedules.piecewise import *
from jaxopt_notes.schedules.plateau import *
from jaxopt_notes.schedules.polynomial import *
from jaxopt_notes.schedules.schedule import *
from jaxopt_notes.schedules.sgdr import *
from jaxopt_notes.schedules.step import *
from jaxopt_notes.schedules.triangular import *
from jaxopt_notes.schedules.warmup import *
from jaxopt_notes.schedules.warmup_cosine import *
from jaxopt_notes.schedules.warmup_stable_decay import *

SCHEDULES = _returning(globals(), "__call__")
"""The schedules by name."""

__all__ = ["SCHEDULES", *_public_names(__name__, globals())]
