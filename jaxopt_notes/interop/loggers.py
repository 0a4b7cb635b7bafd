"""Loggers of sweeps for TensorBoard and Weights & Biases, through their own libraries, imported when called.

The protocol is that of `search.loggers`.
"""

import inspect
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_notes.search.arguments import check_names, names_of
from jaxopt_notes.search.names import own_names


class tensorboard_logger:
    """A run "trial-seed" for each member with its curves, and its score among the hyperparameters.

    The score is "score", or "sweep/score" where a curve has that name.

    Arguments:
        folder: the log directory that `tensorboard --logdir` is given.

    Raises:
        ModuleNotFoundError: neither tensorboardX nor torch with tensorboard can be imported.

    Example:
        >>> results = sweep(..., logger=tensorboard_logger("runs/board"))  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike):
        self._writer, self._folder = _summary_writer(), os.fspath(folder)
        known = inspect.signature(self._writer.add_hparams).parameters
        self._subfolder = "run_name" if "run_name" in known else "name"  # torch's, and tensorboardX's

    def log(
        self, trial: int, seed: int, config: Mapping, score: float, history: Mapping[str, np.ndarray]
    ) -> None:
        # add_hparams opens a second file in the same folder: of the same name, without the suffix
        run = os.path.join(self._folder, f"{trial:05d}-{seed}")
        with self._writer(run, filename_suffix=".curves") as writer:
            for name, curve in _scalars(history).items():
                for epoch, value in enumerate(curve):
                    writer.add_scalar(name, float(value), epoch + 1)
            called = own_names(history, "sweep", ["score"])
            writer.add_hparams(
                {name: _plain(value) for name, value in config.items()}, {called["score"]: float(score)},
                **{self._subfolder: "."},
            )  # fmt: skip

    def close(self) -> None: ...


class wandb_logger:
    """A Weights & Biases run for each member, of one group: its configuration, curves, and score.

    In a run's config a hyperparameter called `trial` or `seed` keeps its name, and the member's own number is
    then "sweep/trial" or "sweep/seed"; the score is "sweep/score" where a curve is called `score`.

    Arguments:
        project: the project's name.
        group: the name under which the members of this sweep stand.
        options: further arguments of `wandb.init`, as `mode="offline"`.

    Raises:
        ModuleNotFoundError: wandb cannot be imported. TypeError: an option that `wandb.init` does not take.

    Example:
        >>> results = sweep(..., logger=wandb_logger("digits"))  # doctest: +SKIP
    """

    def __init__(self, project: str, group: str = "sweep", **options: Any):
        try:
            import wandb
        except ImportError as error:
            raise ModuleNotFoundError(
                "wandb_logger() needs wandb, which is not importable: pip install wandb."
            ) from error
        if known := names_of(wandb.init, ["name", "config", "reinit"]):  # none: somebody's **options
            check_names("wandb_logger", options, known)
        self._wandb, self._options = wandb, {"project": project, "group": group, **options}

    def log(
        self, trial: int, seed: int, config: Mapping, score: float, history: Mapping[str, np.ndarray]
    ) -> None:
        plain = {name: _plain(value) for name, value in config.items()}
        called = own_names(config, "sweep", ["trial", "seed"]) | own_names(history, "sweep", ["score"])
        run = self._wandb.init(
            name=f"{trial}-{seed}",
            config={**plain, called["trial"]: trial, called["seed"]: seed},
            reinit="create_new",  # a run of the caller's goes on
            **self._options,
        )  # fmt: skip
        curves = _scalars(history)
        for epoch in range(max((len(curve) for curve in curves.values()), default=0)):
            run.log({name: float(curve[epoch]) for name, curve in curves.items()}, step=epoch + 1)
        run.summary[called["score"]] = score
        run.finish()

    def close(self) -> None: ...


def _summary_writer() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ModuleNotFoundError(
                "tensorboard_logger() needs tensorboardX, or torch and tensorboard, and neither is "
                "importable: pip install tensorboardX."
            ) from error
    return SummaryWriter


def _scalars(history: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The entries of a history that are one number an epoch."""
    return {name: curve for name, curve in history.items() if np.ndim(curve) == 1}


def _plain(value: Any) -> Any:
    """A value that these services take: numbers and strings as they are, names of the others."""
    return value if isinstance(value, bool | int | float | str) else getattr(value, "__name__", str(value))
