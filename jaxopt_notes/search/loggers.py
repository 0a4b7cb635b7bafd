"""Loggers for sweeps: whoever wants to keep every member's configuration, score and history.

A logger has `log(trial, seed, config, score, history)`, called for every member that has finished, in the
order of finishing, and `close()`. `config` is name → value, `history` name → array [epochs]. This one needs
nothing; `interop.loggers` has those for TensorBoard and Weights & Biases.
"""

import csv
import os
from collections.abc import Mapping
from typing import Any

import numpy as np


class csv_logger:
    """One line for each member: trial, seed, its configuration, its score, and its last entries.

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
        last = {name: curve[-1] for name, curve in history.items()}
        epochs = max((len(curve) for curve in history.values()), default=0)
        row = {"trial": trial, "seed": seed, **config, "score": score, "epochs": epochs, **last}
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, list(row), lineterminator="\n")
            self._writer.writeheader()
        self._writer.writerow(row)
        self._file.flush()

    def close(self) -> None:
        self._file.close()
