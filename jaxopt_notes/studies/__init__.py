"""Studies: the experiments of the notes, one a file, each a function that returns its numbers.

    found = jn.studies.overfit_sine(jax.random.key(0), seeds=4)      # dropout_rates, contour_race, zigzag, …
    print(found.table())          # medians over seeds
    found.plot()                  # a figure
    found.r2                      # the numbers, arrays

`jaxopt-notes study NAME` runs one from the command line, `jaxopt-notes study --list` names them, `STUDIES`
has them by name. Configurations and seeds are members of one program wherever they have the same structure,
so that a claim is looked at for many seeds and not for one.
"""

# ruff: noqa: F403

# One line for each file: the names in its `__all__` are public; STUDIES are the functions among them.
from jaxopt_notes.registry import public_names as _public_names
from jaxopt_notes.registry import returning as _returning
from jaxopt_notes.studies.activation_race import *
from jaxopt_notes.studies.bagging_digits import *
from jaxopt_notes.studies.batch_norm_averages import *
from jaxopt_notes.studies.batch_norm_rates import *
from jaxopt_notes.studies.batch_norm_starts import *
from jaxopt_notes.studies.bias_variance_tradeoff import *
from jaxopt_notes.studies.conditioning import *
from jaxopt_notes.studies.contour_race import *
from jaxopt_notes.studies.correlated_features import *
from jaxopt_notes.studies.curve_race import *
from jaxopt_notes.studies.differentiable_training import *
from jaxopt_notes.studies.digits_sweep import *
from jaxopt_notes.studies.dropout_masks import *
from jaxopt_notes.studies.dropout_rates import *
from jaxopt_notes.studies.feature_scaling import *
from jaxopt_notes.studies.grid_or_random import *
from jaxopt_notes.studies.half_precision import *
from jaxopt_notes.studies.initial_activations import *
from jaxopt_notes.studies.linear_race import *
from jaxopt_notes.studies.noisy_batch_norm import *
from jaxopt_notes.studies.overfit_causes import *
from jaxopt_notes.studies.overfit_digits import *
from jaxopt_notes.studies.overfit_sine import *
from jaxopt_notes.studies.random_hessian import *
from jaxopt_notes.studies.rate_regimes import *
from jaxopt_notes.studies.ridge_readings import *
from jaxopt_notes.studies.saddle_escape import *
from jaxopt_notes.studies.stopping_tradeoff import *
from jaxopt_notes.studies.width_and_speed import *
from jaxopt_notes.studies.zigzag import *

STUDIES = _returning(globals(), "rows", "plot")
"""The studies by name."""

__all__ = ["STUDIES", *_public_names(__name__, globals())]
