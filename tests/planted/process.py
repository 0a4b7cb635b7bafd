"""Pytest in a process that finds JAX imported: faults are often caught in less time than imports take.

The processes are forked from a server, which imports what hardly any test does without, but neither the
package, which differs from copy to copy, nor anything that starts a backend.
"""

import multiprocessing
import os
import pathlib
import signal
import sys
import tempfile
from collections.abc import Sequence

import pytest

from tests.planted import PACKAGE, ROOT

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    ["pytest", "hypothesis", "jax.numpy", "chex", "scipy.special", "scipy.optimize"]
)
RUNNING: set[int] = set()  # process groups, which end with this one


def run(tree: pathlib.Path, arguments: Sequence[str], limit: float) -> tuple[int | None, str]:
    """The exit status of pytest in a copy of the tree, None if it takes too long, and what it printed."""
    with tempfile.NamedTemporaryFile() as file:
        process = FORKED.Process(target=_run, args=(str(tree), list(arguments), file.name))
        process.start()
        RUNNING.add(group := process.pid)
        try:
            process.join(limit)
            if process.exitcode is None:
                os.killpg(group, signal.SIGKILL)
            return process.exitcode, file.read().decode(errors="replace")
        finally:
            RUNNING.discard(group)


def _run(tree: str, arguments: list[str], output: str) -> None:
    os.setsid()
    os.chdir(tree)
    with open(output, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ["PYTHONPATH"] = tree  # of processes that tests start
    sys.path[:] = [tree, *(path for path in sys.path if path not in ("", str(ROOT)))]
    for name in list(sys.modules):
        if name.partition(".")[0] in (PACKAGE, "tests"):
            del sys.modules[name]
    sys.exit(pytest.main(arguments))


def end_all() -> None:
    """End the processes that still run, and what they started."""
    for group in tuple(RUNNING):
        os.killpg(group, signal.SIGKILL)
