"""Hyperparameter search: spaces, strategies that ask and tell, and the engine that trains populations.

A space names distributions. A strategy draws configurations from it in whole batches, as arrays; each
is a pure record, `init(key, space) -> state`, `ask(state, key, n) -> (configs, state)`,
`tell(state, configs, scores) -> state`, and `remaining(state)` says how many it still wants. The engine,
`population_map`, runs any training function over a population on everything the host has. `sweep` joins
the three with a `Trainer` and returns `Results`.
"""

from collections.abc import Callable
from typing import Any

from jaxopt_notes.population.execution import Report
from jaxopt_notes.population.population_map import population_map
from jaxopt_notes.population.program_cache import Programs
from jaxopt_notes.search.importance import edge_warnings, importance
from jaxopt_notes.search.loggers import csv_logger
from jaxopt_notes.search.results import Results
from jaxopt_notes.search.spaces.choices import Choice, StaticChoice, choice, static_choice
from jaxopt_notes.search.spaces.conditional import Conditional, conditional
from jaxopt_notes.search.spaces.distributions import (
    Distribution,
    Integers,
    LogUniform,
    Normal,
    Uniform,
    integers,
    log_uniform,
    normal,
    uniform,
)
from jaxopt_notes.search.spaces.space import dimensions, fill
from jaxopt_notes.search.strategies.asha import ASHA, asha
from jaxopt_notes.search.strategies.bayesian import Bayesian, bayesian
from jaxopt_notes.search.strategies.cma_es import CMAES, cma_es
from jaxopt_notes.search.strategies.coarse_to_fine import CoarseToFine, coarse_to_fine
from jaxopt_notes.search.strategies.grid_search import GridSearch, grid_search, grid_size
from jaxopt_notes.search.strategies.halton import Halton, halton
from jaxopt_notes.search.strategies.hyperband import hyperband, hyperband_brackets
from jaxopt_notes.search.strategies.hypergradient_search import (
    hypergradient_search,
    training_score,
)
from jaxopt_notes.search.strategies.latin_hypercube import LatinHypercube, latin_hypercube
from jaxopt_notes.search.strategies.median_stopping import (
    MedianStopping,
    median_rule,
    median_stopping,
)
from jaxopt_notes.search.strategies.population_based_training import (
    PopulationBasedTraining,
    pbt_step,
    population_based_training,
)
from jaxopt_notes.search.strategies.random_search import RandomSearch, random_search
from jaxopt_notes.search.strategies.sobol import Sobol, sobol
from jaxopt_notes.search.strategies.successive_halving import (
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
