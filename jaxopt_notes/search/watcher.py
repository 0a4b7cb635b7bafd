"""Who is told of a member when it has finished: a progress bar, functions, loggers.

The bar shows rate, time left and the best score so far, where there is somebody to see it; one function is
called with counts, another with members; loggers are in `loggers.py`.
"""

from collections.abc import Callable

import numpy as np

from jaxopt_notes.population.progress import Progress, progress_bar
from jaxopt_notes.search.export import as_written


class Watcher:
    """Tells the bar, the functions and the loggers how a sweep goes on.

    Arguments:
        progress, on_chunk: as in `sweep`.
        loggers: a tuple.
        seeds: members per configuration.
        monitor, mode: as in `sweep`.
    """

    def __init__(
        self,
        progress: Progress,
        on_chunk: Callable | None,
        loggers: tuple,
        seeds: int,
        monitor: str,
        mode: str,
    ):
        self.progress = progress if callable(progress) else None
        self.on_chunk, self.seeds, self.monitor, self.mode = on_chunk, seeds, monitor, mode
        self.loggers = loggers
        self.done = self.total = 0
        self.best = np.nan
        self.bar = progress_bar(None if progress is None else progress is True, 0, "members")

    def asked(self, members: int) -> None:
        """This many more members are to be trained."""
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
                    trial, seed, {name: as_written(column[i]) for name, column in shown.items()},
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
