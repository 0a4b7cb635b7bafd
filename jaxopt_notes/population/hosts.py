"""Several hosts: each process of a `jax.distributed` job trains its share, and all of them get everything.

The processes run the same program with the same arguments, so that what they decide from gathered results
is the same everywhere. With a single process nothing of this is called. A folder must be one that all
processes see.
"""

from collections.abc import Sequence

import jax
import numpy as np


def share_of(groups: Sequence[int] | np.ndarray) -> np.ndarray:
    """The groups that this process trains: every so-many-th, so that shares differ by at most one."""
    return np.asarray(groups, int)[jax.process_index() :: jax.process_count()]


def gather_rows(columns: list[np.ndarray], mine: np.ndarray) -> None:
    """Fill in, on every process, the rows that others have trained.

    Arguments:
        columns: arrays [members, …], changed in place.
        mine: which rows this process has [members].
    """
    if jax.process_count() == 1:
        return
    from jax.experimental.multihost_utils import process_allgather

    have = process_allgather(mine)  # [processes, members]
    most = int(have.sum(axis=1).max())
    for column in columns:
        if not column.size:
            continue
        rows = column[mine]
        width = column[:1].nbytes
        sent = np.zeros((most, width), np.uint8)  # bits, as they are; shares differ by a few rows
        sent[: len(rows)] = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), width)
        received = process_allgather(sent)
        for process, theirs in enumerate(have):
            if process != jax.process_index():
                bits = np.ascontiguousarray(received[process][: int(theirs.sum())])
                column[theirs] = bits.view(column.dtype).reshape(column[theirs].shape)


def least(count: int | None) -> int | None:
    """The smallest of the numbers that the processes have, so that all of them choose the same sizes."""
    if jax.process_count() == 1:
        return count
    from jax.experimental.multihost_utils import process_allgather

    known = np.float64(np.inf if count is None else count)
    found = process_allgather(np.frombuffer(known.tobytes(), np.uint8))  # without x64 it would be rounded
    least = float(np.ascontiguousarray(found).view(np.float64).min())
    return None if np.isinf(least) else int(least)


def is_leader() -> bool:
    """Whether this process writes what is written once."""
    return jax.process_index() == 0


def meet(point: str) -> None:
    """Wait until all processes have come to the point of this name."""
    if jax.process_count() > 1:
        from jax.experimental.multihost_utils import sync_global_devices

        sync_global_devices(point)
