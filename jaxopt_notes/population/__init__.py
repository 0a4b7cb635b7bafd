"""Populations: any training function over many members, on everything the host has.

    results = population_map(train, configs, keys)           # train(config, key) for each of both

It is `vmap` in chunks that fit the cache and the memory, on all cores or all accelerators, with progress,
and with each chunk's results on disk where there is a folder. It knows nothing of searches: `search` is built
on it.
"""

from jaxopt_notes.population.execution import Report
from jaxopt_notes.population.keys import threefry_keys
from jaxopt_notes.population.population_map import population_map
from jaxopt_notes.population.program_cache import Programs

__all__ = ["Programs", "Report", "population_map", "threefry_keys"]
