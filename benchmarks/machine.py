"""The machine's own limits, and timing that survives a busy machine: interleaved rounds, medians."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np


def interleaved(contenders: dict[str, Callable[[], Any]], rounds: int = 15) -> dict[str, float]:
    """Median seconds of each contender, all called in each round, so that what disturbs one disturbs all.

    The order is drawn anew for each round, and each call has a pause before it: a library's threads may
    spin for a while after its call, and would slow down whoever always comes next.

    Arguments:
        contenders: name → a function that does the work and waits for it.
        rounds: how often each is called, after one call that does not count.
    """
    rng = np.random.default_rng(0)
    for call in contenders.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name in rng.permutation(list(contenders)):
            time.sleep(0.01)
            began = time.perf_counter()
            contenders[name]()
            seconds[name].append(time.perf_counter() - began)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def copy_bandwidth(megabytes: int = 256) -> Callable[[], None]:
    """A contender: one copy of an array far larger than the caches; it moves twice its size."""
    source = np.ones(megabytes * 2**20 // 4, np.float32)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source)
