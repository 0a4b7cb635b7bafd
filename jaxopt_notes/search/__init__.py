"""Hyperparameter search: spaces, strategies that ask and tell, and the engine that trains populations.

A space names distributions. A strategy draws configurations from it in whole batches, as arrays; each
is a pure record, `init(key, space) -> state`, `ask(state, key, n) -> (configs, state)`,
`tell(state, configs, scores) -> state`, and `remaining(state)` says how many it still wants. The engine,
`population_map`, runs any training function over a population on everything the host has. `sweep` joins
the three with a `Trainer` and returns `Results`.
"""

from jaxopt_notes.search.asha import ASHA, asha
from jaxopt_notes.search.choices import Choice, StaticChoice, choice, static_choice
from jaxopt_notes.search.cma_es import CMAES, cma_es
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
from jaxopt_notes.search.hyperband import hyperband, hyperband_brackets
from jaxopt_notes.search.hypergradient_search import hypergradient_search, training_score
from jaxopt_notes.search.importance import edge_warnings, importance
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
from jaxopt_notes.search.space import dimensions, fill
from jaxopt_notes.search.successive_halving import (
    SuccessiveHalving,
    equal_share_rungs,
    geometric_rungs,
    successive_halving,
)
from jaxopt_notes.search.sweep import sweep

STRATEGIES = {
    "grid_search": grid_search,
    "random_search": random_search,
    "successive_halving": successive_halving,
    "hyperband": hyperband,
    "asha": asha,
    "median_stopping": median_stopping,
    "population_based_training": population_based_training,
    "cma_es": cma_es,
}

__all__ = [
    "ASHA", "CMAES", "STRATEGIES", "Choice", "Distribution", "GridSearch", "Integers", "LogUniform",
    "MedianStopping", "Normal", "PopulationBasedTraining", "Programs", "RandomSearch", "Report",
    "Results", "StaticChoice", "SuccessiveHalving", "Uniform", "asha", "choice", "cma_es", "csv_logger",
    "dimensions", "edge_warnings", "equal_share_rungs", "fill", "geometric_rungs", "grid_search",
    "grid_size", "hyperband", "hyperband_brackets", "hypergradient_search", "importance", "integers",
    "log_uniform", "median_rule", "median_stopping", "normal", "pbt_step", "population_based_training",
    "population_map", "random_search", "static_choice", "successive_halving", "sweep",
    "training_score", "uniform",
]  # fmt: skip
