"""Loggers for sweeps, which keep every member's configuration, score and history.

A logger has `log(trial, seed, config, score, history)`, called for every member that has finished, in the
order of finishing, and `close()`. `config` is name → value, `history` name → array [epochs]. This one needs
nothing; `interop.loggers` has those for TensorBoard and Weights & Biases.
"""

import csv
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_notes.search.names import own_names


class csv_logger:
    """One line for each member: trial, seed, its configuration, its score, and its last entries.

    A hyperparameter keeps its name; a column of the log's own with the same name is then "sweep/seed", and an
    entry of the history "history/loss".

    Arguments:
        path: the file; one that is there is replaced.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     logger = csv_logger(folder + "/log.csv")
        ...     logger.log(3, 0, {"rate": 0.1}, 0.5, {"loss": np.array([1.0, 0.5])})
        ...     logger.close()
        ...     print(pathlib.Path(folder, "log.csv").read_text())
        trial,seed,rate,score,epochs,loss
        3,0,0.1,0.5,2,0.5
    """

    def __init__(self, path: str | os.PathLike):
        self._file = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115
        self._writer: Any = None

    def log(
        self, trial: int, seed: int, config: Mapping, score: float, history: Mapping[str, np.ndarray]
    ) -> None:
        own = {"trial": trial, "seed": seed, "score": score}
        if not {"epochs", "parent"} <= {name.removeprefix("sweep/") for name in config}:
            own["epochs"] = max((len(curve) for curve in history.values()), default=0)
        called = own_names(config, "sweep", own)
        row = {called[name]: own[name] for name in ("trial", "seed")} | dict(config)
        row |= {called[name]: value for name, value in own.items() if name not in ("trial", "seed")}
        entries = own_names(row, "history", history)
        row |= {entries[name]: curve[-1] for name, curve in history.items()}
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, list(row), lineterminator="\n")
            self._writer.writeheader()
        self._writer.writerow(row)
        self._file.flush()

    def close(self) -> None:
        self._file.close()
