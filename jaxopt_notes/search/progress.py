"""Progress that people see, and everybody else who wants to know of a member when it has finished.

A bar with rate, time left and the best score so far, where there is somebody to see it; a function called
with counts; a function called with members; loggers (`loggers.py`).
"""

import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Progress = bool | None | Callable[[int, int], None]


def progress_bar(wanted: bool | None, total: int, unit: str) -> Any:
    """A tqdm bar of `total` units; a silent one where it is not wanted, or tqdm is missing.

    Arguments:
        wanted: True, False, or None: if standard error is a terminal, or in a notebook.
        total: the number of units.
        unit: what is counted, as "members".
    """
    notebook = "ipykernel" in sys.modules
    if wanted is None:
        wanted = sys.stderr.isatty() or notebook
    widgets = notebook and importlib.util.find_spec("ipywidgets") is not None
    try:
        module = importlib.import_module("tqdm.notebook" if widgets else "tqdm") if wanted else None
    except ImportError:
        module = None
    if module is None:
        return _Silent()
    return module.tqdm(total=total, unit=f" {unit}", smoothing=0.05, dynamic_ncols=True)


class _Silent:
    """What is used of tqdm's bar, doing nothing."""

    total = 0

    def update(self, n: int) -> None: ...

    def refresh(self) -> None: ...

    def set_description_str(self, text: str) -> None: ...

    def set_postfix_str(self, text: str) -> None: ...

    def close(self) -> None: ...


class Watcher:
    """Tells whoever wants to know how a sweep goes on.

    Arguments:
        progress, on_chunk, logger: as in `sweep`.
        seeds: members per configuration.
        monitor, mode: as in `sweep`.
    """

    def __init__(
        self, progress: Progress, on_chunk: Callable | None, logger: Any, seeds: int, monitor: str, mode: str
    ):
        self.progress = progress if callable(progress) else None
        self.on_chunk, self.seeds, self.monitor, self.mode = on_chunk, seeds, monitor, mode
        self.loggers = tuple(logger) if isinstance(logger, tuple | list) else (logger,) if logger else ()
        self.done = self.total = 0
        self.best = np.nan
        self.bar = progress_bar(None if progress is None else progress is True, 0, "members")

    def asked(self, members: int) -> None:
        """So many members more are to be trained."""
        self.total += members
        self.bar.total = self.total
        self.bar.refresh()

    def compiling(self, text: str) -> None:
        """Something is about to be compiled."""
        self.bar.set_description_str(text)

    def finished(self, members: np.ndarray, configs: dict[str, np.ndarray], shown: dict, out: dict) -> None:
        """Some members have finished.

        Arguments:
            members: their numbers, trial·seeds + seed.
            configs, shown: their columns as arrays, and with the values of static choices.
            out: {"score": [k], "history": {name: [k, epochs]}}.
        """
        if self.on_chunk is not None:
            self.on_chunk(members, configs, out)
        for i, member in enumerate(members):
            for logger in self.loggers:
                trial, seed = divmod(int(member), self.seeds)
                logger.log(
                    trial, seed, {name: _item(column[i]) for name, column in shown.items()},
                    float(out["score"][i]), {name: curve[i] for name, curve in out["history"].items()},
                )  # fmt: skip
        self.done += len(members)
        if self.progress is not None:
            self.progress(self.done, self.total)
        self.bar.set_description_str("")
        self.bar.update(len(members))
        finite = out["score"][np.isfinite(out["score"])]
        if finite.size:
            self.best = (np.fmax if self.mode == "max" else np.fmin).reduce(finite, initial=self.best)
            self.bar.set_postfix_str(f"best {self.monitor} {self.best:.4f}")

    def close(self) -> None:
        """No more members."""
        self.bar.close()
        for logger in self.loggers:
            logger.close()


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
