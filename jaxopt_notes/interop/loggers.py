"""Loggers of sweeps for TensorBoard, Weights & Biases and MLflow, through their own libraries.

The protocol is that of `search.loggers`.
"""

import inspect
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_notes.search.arguments import check_names, names_of
from jaxopt_notes.search.names import own_names
from jaxopt_notes.serialization.atomic import make_folder


class tensorboard_logger:
    """A run "trial-seed" for each member with its curves, and its score among the hyperparameters.

    The score is "score", or "sweep/score" where a curve has that name.

    Arguments:
        folder: the log directory that `tensorboard --logdir` is given; it is made if it does not exist.

    Raises:
        ModuleNotFoundError: neither tensorboardX nor torch with tensorboard can be imported.
        NotADirectoryError: the folder is a file.

    Example:
        >>> results = sweep(..., logger=tensorboard_logger("runs/board"))  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike):
        self._writer, self._folder = _summary_writer(), os.fspath(folder)
        make_folder(pathlib.Path(folder))
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
            for name, curve in _steps(history).items():
                for window, value in enumerate(curve):
                    writer.add_scalar(name, float(value), window + 1)
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
        if steps := _steps(history):
            for name in steps:
                run.define_metric(name, step_metric="window")
            for window in range(max(map(len, steps.values()))):
                run.log(
                    {"window": window + 1, **{name: float(curve[window]) for name, curve in steps.items()}}
                )
        run.summary[called["score"]] = score
        run.finish()

    def close(self) -> None: ...


class mlflow_logger:
    """An MLflow run for each member, in one experiment: its configuration, curves, and score.

    Runs are made through MLflow's client: a run of the caller's that is active stays as it is. Names are
    those of `wandb_logger`; windows of steps count as MLflow's steps.

    Arguments:
        experiment: its name; made if it is not there.
        tracking_uri: where MLflow keeps it: "sqlite:///mlruns.db", "http://…"; by default what it is set to.

    Raises:
        ModuleNotFoundError: mlflow cannot be imported.

    Example:
        >>> results = sweep(..., logger=mlflow_logger("digits"))  # doctest: +SKIP
    """

    def __init__(self, experiment: str = "sweep", tracking_uri: str | None = None):
        try:
            from mlflow import MlflowClient, entities
        except ImportError as error:
            raise ModuleNotFoundError(
                "mlflow_logger() needs mlflow, which is not importable: pip install mlflow."
            ) from error
        self._client, self._entities = MlflowClient(tracking_uri), entities
        found = self._client.get_experiment_by_name(experiment)
        self._experiment = found.experiment_id if found else self._client.create_experiment(experiment)

    def log(
        self, trial: int, seed: int, config: Mapping, score: float, history: Mapping[str, np.ndarray]
    ) -> None:
        own = own_names(config, "sweep", ["trial", "seed"]) | own_names(history, "sweep", ["score"])
        numbers = {own["trial"]: trial, own["seed"]: seed}
        run = self._client.create_run(self._experiment, run_name=f"{trial}-{seed}").info.run_id
        now = int(time.time() * 1000)
        parameters = [
            self._entities.Param(_mlflow_name(name), str(_plain(value)))
            for name, value in {**config, **numbers}.items()
        ]
        metrics = [
            self._entities.Metric(_mlflow_name(name), float(value), now, step + 1)
            for name, curve in {**_scalars(history), **_steps(history)}.items()
            for step, value in enumerate(curve)
        ]
        metrics.append(self._entities.Metric(_mlflow_name(own["score"]), float(score), now, 0))
        self._client.log_batch(run, params=parameters)
        for first in range(0, len(metrics), MLFLOW_BATCH):
            self._client.log_batch(run, metrics=metrics[first : first + MLFLOW_BATCH])
        self._client.set_terminated(run)

    def close(self) -> None: ...


MLFLOW_BATCH = 1000  # metrics in one request, at most


def _mlflow_name(name: str) -> str:
    """A name with the characters that MLflow allows."""
    return "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in name)


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


def _steps(history: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The entries for windows of steps that are one number each, as one curve over all epochs."""
    return {
        name: np.ravel(curve)
        for name, curve in history.items()
        if name.startswith("step_") and np.ndim(curve) == 2
    }


def _plain(value: Any) -> bool | int | float | str:
    """A value that these services take: numbers and strings as they are, names of the others."""
    return value if isinstance(value, bool | int | float | str) else getattr(value, "__name__", str(value))
