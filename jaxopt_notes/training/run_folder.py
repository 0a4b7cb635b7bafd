"""A folder that holds one run of `fit`: its state and history after the last call, so that it goes on there.

The folder says what the run is a function of (trainer, data, key, this library's code) and refuses another
one; only the number of epochs may grow. What is written is whole or not at all, whenever the process ends.
"""

import os
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.population import fingerprint
from jaxopt_notes.population.packing import pack, unpack
from jaxopt_notes.population.store import Store

PART = "run"


class RunFolder:
    """The folder of a run.

    Arguments:
        folder: made if it does not exist.
        trainer, data, key: of the run; of data that come batch by batch `None`.
        epochs: in all.

    Raises:
        BlockingIOError: another process is at work in the folder. NotADirectoryError: it is a file.
        ValueError: it holds another run.
    """

    def __init__(self, folder: str | os.PathLike, trainer: Any, data: Any, key: jax.Array, epochs: int):
        settings = {
            "trainer": fingerprint.of_tree(trainer),
            "data": "batches" if data is None else fingerprint.of_tree(data),
            "key": fingerprint.of_tree(key),
            "epochs": str(epochs),
            **fingerprint.library(),
        }
        self._store = Store(folder, settings, may_grow=("epochs",))
        self._store.settle()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *error: Any) -> None:
        self._store.__exit__(*error)

    def restore(self, like: Tree) -> tuple[Tree, dict[str, np.ndarray]] | None:
        """The state, which has the structure of `like`, and the history; `None` if there is none yet."""
        arrays = self._store.read(PART)
        if arrays is None:
            return None
        history = {
            name.removeprefix("history/"): a for name, a in arrays.items() if name.startswith("history/")
        }
        leaves = unpack({name: a for name, a in arrays.items() if not name.startswith("history/")})
        return jax.tree.unflatten(jax.tree.structure(like), leaves), history

    def save(self, state: Tree, history: dict[str, np.ndarray]) -> None:
        """Replace what is there."""
        self._store.write(PART, {**pack(state), **{f"history/{n}": curve for n, curve in history.items()}})
