"""Loggers of sweeps for TensorBoard and Weights & Biases, through their own libraries, imported when called.

The protocol is that of `search.loggers`.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np


class tensorboard_logger:
    """A run "trial-seed" for each member with its curves, and its score among the hyperparameters.

    Arguments:
        folder: the log directory that `tensorboard --logdir` is given.

    Raises:
        ModuleNotFoundError: neither tensorboardX nor torch with tensorboard can be imported.

    Example:
        >>> results = sweep(..., logger=tensorboard_logger("runs/board"))  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike):
        self._writer, self._folder = _summary_writer(), os.fspath(folder)

    def log(
        self, trial: int, seed: int, config: Mapping, score: float, history: Mapping[str, np.ndarray]
    ) -> None:
        writer = self._writer(os.path.join(self._folder, f"{trial:05d}-{seed}"))
        for name, curve in history.items():
            for epoch, value in enumerate(curve):
                writer.add_scalar(name, float(value), epoch + 1)
        writer.add_hparams(
            {name: _plain(value) for name, value in config.items()}, {"score": score}, run_name="."
        )
        writer.close()

    def close(self) -> None: ...


class wandb_logger:
    """A Weights & Biases run for each member, of one group: its configuration, curves, and score.

    Arguments:
        project: the project's name.
        group: the name under which the members of this sweep stand.
        options: further arguments of `wandb.init`, as `mode="offline"`.

    Raises:
        ModuleNotFoundError: wandb cannot be imported.

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
        self._wandb, self._options = wandb, {"project": project, "group": group, **options}

    def log(
        self, trial: int, seed: int, config: Mapping, score: float, history: Mapping[str, np.ndarray]
    ) -> None:
        plain = {name: _plain(value) for name, value in config.items()}
        run = self._wandb.init(
            name=f"{trial}-{seed}", config={**plain, "trial": trial, "seed": seed},
            reinit="create_new",  # a run of the caller's goes on
            **self._options,
        )  # fmt: skip
        for epoch in range(max((len(curve) for curve in history.values()), default=0)):
            run.log({name: float(curve[epoch]) for name, curve in history.items()}, step=epoch + 1)
        run.summary["score"] = score
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


def _plain(value: Any) -> Any:
    """A value that these services take: numbers and strings as they are, names of the others."""
    return value if isinstance(value, bool | int | float | str) else getattr(value, "__name__", str(value))
