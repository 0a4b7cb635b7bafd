"""Hyperparameter search: spaces, strategies that ask and tell, and the engine that trains populations.

A space names distributions. A strategy draws configurations from it in whole batches, as arrays; each
is a pure record, `init(key, space) -> state`, `ask(state, key, n) -> (configs, state)`,
`tell(state, configs, scores) -> state`, and `remaining(state)` says how many it still wants. The engine,
`population_map`, runs any training function over a population on everything the host has. `sweep` joins
the three with a `Trainer` and returns `Results`.
"""

from collections.abc import Callable
from typing import Any

from jaxopt_notes.search.asha import ASHA, asha
from jaxopt_notes.search.bayesian import Bayesian, bayesian
from jaxopt_notes.search.choices import Choice, StaticChoice, choice, static_choice
from jaxopt_notes.search.cma_es import CMAES, cma_es
from jaxopt_notes.search.coarse_to_fine import CoarseToFine, coarse_to_fine
from jaxopt_notes.search.conditional import Conditional, conditional
from jaxopt_notes.search.distributions import (
    Distribution,
    Integers,
    LogUniform,
    Normal,
    Uniform,
    integers,
    log_uniform,
    normal,
    uniform,
)  # fmt: skip
from jaxopt_notes.search.grid_search import GridSearch, grid_search, grid_size
from jaxopt_notes.search.halton import Halton, halton
from jaxopt_notes.search.hyperband import hyperband, hyperband_brackets
from jaxopt_notes.search.hypergradient_search import hypergradient_search, training_score
from jaxopt_notes.search.importance import edge_warnings, importance
from jaxopt_notes.search.latin_hypercube import LatinHypercube, latin_hypercube
from jaxopt_notes.search.loggers import csv_logger
from jaxopt_notes.search.median_stopping import MedianStopping, median_rule, median_stopping
from jaxopt_notes.search.population import population_map
from jaxopt_notes.search.population_based_training import (
    PopulationBasedTraining,
    pbt_step,
    population_based_training,
)
from jaxopt_notes.search.programs import Programs
from jaxopt_notes.search.random_search import RandomSearch, random_search
from jaxopt_notes.search.results import Results
from jaxopt_notes.search.running import Report
from jaxopt_notes.search.sobol import Sobol, sobol
from jaxopt_notes.search.space import dimensions, fill
from jaxopt_notes.search.successive_halving import (
    SuccessiveHalving,
    equal_share_rungs,
    geometric_rungs,
    successive_halving,
)
from jaxopt_notes.search.sweep import sweep

STRATEGIES: dict[str, Callable[..., Any]] = {
    "grid_search": grid_search,
    "random_search": random_search,
    "sobol": sobol,
    "halton": halton,
    "latin_hypercube": latin_hypercube,
    "coarse_to_fine": coarse_to_fine,
    "bayesian": bayesian,
    "successive_halving": successive_halving,
    "hyperband": hyperband,
    "asha": asha,
    "median_stopping": median_stopping,
    "population_based_training": population_based_training,
    "cma_es": cma_es,
}

__all__ = [
    "ASHA", "CMAES", "STRATEGIES", "Bayesian", "Choice", "CoarseToFine", "Conditional", "Distribution",
    "GridSearch", "Halton", "Integers", "LatinHypercube", "LogUniform", "MedianStopping", "Normal",
    "PopulationBasedTraining", "Programs", "RandomSearch", "Report", "Results", "Sobol", "StaticChoice",
    "SuccessiveHalving", "Uniform", "asha", "bayesian", "choice", "cma_es", "coarse_to_fine",
    "conditional", "csv_logger", "dimensions", "edge_warnings", "equal_share_rungs", "fill",
    "geometric_rungs", "grid_search", "grid_size", "halton", "hyperband", "hyperband_brackets",
    "hypergradient_search", "importance", "integers", "latin_hypercube", "log_uniform", "median_rule",
    "median_stopping", "normal", "pbt_step", "population_based_training", "population_map",
    "random_search", "sobol", "static_choice", "successive_halving", "sweep", "training_score", "uniform",
]  # fmt: skip
