"""Loggers for sweeps, which keep every member's configuration, score and history.

A logger has `log(trial, seed, config, score, history)`, called for every member that has finished, in the
order of finishing, and `close()`. `config` is name → value, `history` name → array [epochs]. This one needs
nothing; `interop.loggers` has those for TensorBoard and Weights & Biases.
"""

import csv
import os
import pathlib
from collections.abc import Mapping
from typing import IO

import numpy as np

from jaxopt_notes.search.names import own_names
from jaxopt_notes.serialization.atomic import make_folder


class csv_logger:
    """One line for each member: trial, seed, its configuration, its score, and its last entries.

    A hyperparameter keeps its name; a column of the log's own with the same name is then "sweep/seed", and an
    entry of the history "history/loss".

    Arguments:
        path: the file; one that is there is replaced. Further sweeps with the same logger are appended.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     logger = csv_logger(folder + "/new/log.csv")
        ...     logger.log(3, 0, {"rate": 0.1}, 0.5, {"loss": np.array([1.0, 0.5])})
        ...     logger.close()
        ...     print(pathlib.Path(folder, "new/log.csv").read_text())
        trial,seed,rate,score,epochs,loss
        3,0,0.1,0.5,2,0.5
    """

    def __init__(self, path: str | os.PathLike):
        self._path, self._columns = os.fspath(path), list[str]()
        make_folder(pathlib.Path(path).parent)
        self._file = self._open("w")

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
        row |= {entries[name]: curve[-1] for name, curve in history.items() if np.ndim(curve) == 1}
        if self._file.closed:  # by an earlier sweep
            self._file = self._open("a")
        if new := [name for name in row if name not in self._columns]:
            self._widen(new)
        self._write(row)
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _open(self, mode: str) -> IO[str]:
        return open(self._path, mode, newline="", encoding="utf-8")

    def _write(self, row: Mapping) -> None:
        csv.writer(self._file, lineterminator="\n").writerow([row.get(name, "") for name in self._columns])

    def _widen(self, new: list[str]) -> None:
        """More columns: those of other structures, whose histories have other names."""
        self._file.close()
        with self._open("r") as file:
            rows = list(csv.DictReader(file))
        self._columns += new
        self._file = self._open("w")
        self._write(dict(zip(self._columns, self._columns, strict=True)))
        for row in rows:
            self._write(row)
