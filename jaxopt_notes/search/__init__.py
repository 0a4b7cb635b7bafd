"""Hyperparameter search: spaces, strategies that ask and tell, and sweeps that train populations.

    space = {"rate": log_uniform(1e-4, 1e-1), "width": static_choice([32, 64])}
    results = sweep(build, space, (train, validation), random_search(64), seeds=4, epochs=20, key=key)
    print(results)                                   # a short table: which are best, and which are no worse
    results.best, results.best_config                # numbers, and what build takes
    results.predict(x)                               # with refit="train+validation"
    results.plot(); results.report("folder")
    sweep(..., folder="runs/mine")                   # killed, it goes on; finished, it takes more
    sweep(..., (x, y), folds=5)                      # cross-validation
    sweep(..., nsga2(96), monitor=("valid_loss", "parameters")).pareto_front()
    sweep(..., constraints={"parameters": 5000}, enqueue=[{"rate": 0.01}], learn_from=results)

`build(h)` makes a `Trainer` of hyperparameters. Spaces are of `uniform`, `log_uniform`, `integers`,
`choice`, `static_choice` (what changes shapes), `conditional` and others. Strategies are `random_search`,
`grid_search`, `sobol`, `bayesian`, `cma_es`, `nsga2` (several objectives), `successive_halving`,
`hyperband`, `asha`, `population_based_training` and others (`interop.optuna_search` for Optuna's samplers);
`default_search(space, trainings)` picks one and says why.

A strategy draws configurations in whole batches, as arrays; each is a pure record, `init(key, space) ->
state`, `ask(state, key, n) -> (configs, state)`, `tell(state, configs, scores) -> state`, and
`remaining(state)` says how many it wants next. The engine is `population_map`.
"""

# ruff: noqa: F403

from jaxopt_notes.population.execution import Report
from jaxopt_notes.population.population_map import population_map
from jaxopt_notes.population.program_cache import Programs
from jaxopt_notes.registry import public_names, returning
from jaxopt_notes.search.cross_validation import nested_cross_validation
from jaxopt_notes.search.importance import edge_warnings, importance, pair_importance
from jaxopt_notes.search.loggers import csv_logger
from jaxopt_notes.search.pareto import crowding_distance, hypervolume, non_dominated_fronts
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
from jaxopt_notes.search.spaces.elsewhere import as_space
from jaxopt_notes.search.spaces.space import dimensions, fill
from jaxopt_notes.search.sweep import sweep

# One line for each strategy: its file says in `__all__` what is public, and its factory, which says that it
# returns a record with `ask`, is in `STRATEGIES`.
# isort: off
from jaxopt_notes.search.strategies.grid_search import *
from jaxopt_notes.search.strategies.random_search import *
from jaxopt_notes.search.strategies.sobol import *
from jaxopt_notes.search.strategies.halton import *
from jaxopt_notes.search.strategies.latin_hypercube import *
from jaxopt_notes.search.strategies.coarse_to_fine import *
from jaxopt_notes.search.strategies.bayesian import *
from jaxopt_notes.search.strategies.successive_halving import *
from jaxopt_notes.search.strategies.hyperband import *
from jaxopt_notes.search.strategies.asha import *
from jaxopt_notes.search.strategies.median_stopping import *
from jaxopt_notes.search.strategies.population_based_training import *
from jaxopt_notes.search.strategies.cma_es import *
from jaxopt_notes.search.strategies.nsga2 import *
from jaxopt_notes.search.strategies.hypergradient_search import *
from jaxopt_notes.search.strategies.default_search import *
# isort: on

STRATEGIES = returning(globals(), "ask", "tell")
"""The search strategies by name."""

__all__ = [
    "STRATEGIES", "Choice", "Conditional", "Distribution", "Integers", "LogUniform", "Normal", "Programs",
    "Report", "Results", "StaticChoice", "Uniform", "as_space", "choice", "conditional", "crowding_distance",
    "csv_logger", "dimensions", "edge_warnings", "fill", "hypervolume", "importance", "integers",
    "log_uniform", "nested_cross_validation", "non_dominated_fronts", "normal", "pair_importance",
    "population_map", "static_choice", "sweep", "uniform",
    *public_names(f"{__name__}.strategies", globals()),
]  # fmt: skip
