"""Hyperparameter search: spaces, strategies that ask and tell, and the engine that trains populations.

A space names distributions. A strategy draws configurations from it in whole batches, as arrays; each
is a pure record, `init(key, space) -> state`, `ask(state, key, n) -> (configs, state)`,
`tell(state, configs, scores) -> state`, and `remaining(state)` says how many it still wants. The engine,
`population_map`, runs any training function over a population on everything the host has. `sweep` joins
the three with a `Trainer` and returns `Results`.
"""

from jaxopt_notes.search.choices import Choice, StaticChoice, choice, static_choice
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
from jaxopt_notes.search.population import Report, population_map
from jaxopt_notes.search.random_search import RandomSearch, random_search
from jaxopt_notes.search.results import Results
from jaxopt_notes.search.space import dimensions, fill
from jaxopt_notes.search.sweep import sweep

STRATEGIES = {"grid_search": grid_search, "random_search": random_search}

__all__ = [
    "STRATEGIES", "Choice", "Distribution", "GridSearch", "Integers", "LogUniform", "Normal",
    "RandomSearch", "Report", "Results", "StaticChoice", "Uniform", "choice", "dimensions", "fill",
    "grid_search", "grid_size", "integers", "log_uniform", "normal", "population_map",
    "random_search", "static_choice", "sweep", "uniform",
]  # fmt: skip
