"""The main job on a table of one's own: the same search, the same outputs.

The table is split at random (classes in proportion), inputs are prepared with what the training part says,
and the winner is trained again on training and validation part and scored once on the test part.
"""

import dataclasses
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxopt_notes.cli.own_table import Encoder, Table, fit_encoder
from jaxopt_notes.data import fit_standardizer, split
from jaxopt_notes.layers import cnn, flatten, mlp, serial
from jaxopt_notes.losses import mean_squared_error, softmax_cross_entropy
from jaxopt_notes.metrics import accuracy, r2, rmse
from jaxopt_notes.record import replace
from jaxopt_notes.search import random_search
from jaxopt_notes.studies.digits_sweep import Outcome, Task, builder

MODELS = ("mlp", "cnn")
LEAST = 20  # rows


@dataclasses.dataclass(frozen=True)
class OwnTask:
    """A table as a task for the main job.

    Arguments:
        table: what was read.
        model: "mlp", "cnn", or "module:function".
    """

    table: Table
    model: str

    @property
    def metric(self) -> str:
        """The score: "accuracy", or "rmse" in units of the target."""
        return "accuracy" if self.table.classes else "rmse"

    def __call__(
        self, key: jax.Array, *, optimizer: str, space: dict[str, Any], configs: int, seeds: int, epochs: int,
        batch_size: int, strategy: Any = None, folder: str | os.PathLike | None = None, progress: Any = None,
        on_chunk: Any = None,
    ) -> Outcome:  # fmt: skip
        """Search, retrain the winner, score it once; arguments as of `digits_sweep`."""
        split_key, search_key, final_key = jax.random.split(key, 3)
        rows, target = np.arange(len(self.table)), self.table.target
        strata = np.asarray(target if self.table.classes else rows, np.int32)
        parts = split(split_key, (rows, strata), stratify=bool(self.table.classes))
        batch_size = min(batch_size, len(parts.train[0]))
        task = Task(
            parts=tuple(rows for rows, _ in parts),
            prepare=lambda rows: self._prepare(np.asarray(rows)),
            apply=lambda prepared, rows: prepared.of(np.asarray(rows)),
            builder=lambda prepared, steps: self._builder(optimizer, steps, batch_size, prepared.unit),
            metric=self.metric, mode="max" if self.table.classes else "min", batch_size=batch_size,
        )  # fmt: skip
        return task.run(
            search_key, final_key, space, random_search(configs) if strategy is None else strategy,
            seeds=seeds, epochs=epochs, folder=folder, progress=progress, on_chunk=on_chunk,
        )  # fmt: skip

    def check(self, optimizer: str, space: dict[str, Any]) -> None:
        """Refuse, before anything is trained, a model that does not fit the table."""
        if len(self.table) < LEAST:
            raise ValueError(f"--data has {len(self.table)} rows with a target, expected {LEAST} at least.")
        arrays = self.table.arrays
        if len(arrays) > 1 or (arrays and len(self.table.inputs) > 1):
            others = [name for name in self.table.inputs if name != arrays[0]]
            raise ValueError(f"--data has the array {arrays[0]!r} and {', '.join(map(repr, others))} as "
                             "inputs, expected one array or plain columns: --ignore the others.")  # fmt: skip
        rank = self.table.inputs[arrays[0]].ndim if arrays else 2
        if self.model == "cnn" and rank not in (3, 4):
            raise ValueError("--model is cnn, which needs images [n, height, width] or [n, height, width, "
                             "channels], in an NPZ file: --model mlp for columns.")  # fmt: skip
        self._builder(optimizer, 1, 1, 1.0)

    def _prepare(self, rows: np.ndarray) -> "Prepared":
        inputs = {name: column[rows] for name, column in self.table.inputs.items()}
        y = self.table.target[rows]
        center, unit = (0.0, 1.0) if self.table.classes else (float(y.mean()), float(y.std()) or 1.0)
        arrays = self.table.arrays
        fitted = fit_standardizer(_image(inputs[arrays[0]])) if arrays else fit_encoder(inputs)
        return Prepared(self.table, fitted, center, unit)

    def _builder(self, optimizer: str, steps: int, batch_size: int, unit: float) -> Callable[[dict], Any]:
        outputs = max(1, len(self.table.classes))
        make = _model(self.model, bool(self.table.arrays))
        common = builder(optimizer, steps, batch_size)

        def scaled_rmse(
            outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None
        ) -> jax.Array:
            return unit * rmse(outputs, targets, weights)

        def build(h: dict) -> Any:
            classes = self.table.classes
            return replace(
                common(h),
                model=make(h, outputs),
                loss=softmax_cross_entropy if classes else mean_squared_error,
                metric={"accuracy": accuracy} if classes else {"rmse": scaled_rmse, "r2": r2},
            )

        return build


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A table in numbers that a network takes, by what one part of it said."""

    table: Table
    fitted: Any
    center: float
    unit: float

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(x, y) of some rows; targets of a regression are standardized, [n, 1]."""
        inputs = {name: column[rows] for name, column in self.table.inputs.items()}
        y = self.table.target[rows]
        arrays = self.table.arrays
        x = np.asarray(self.fitted.apply(_image(inputs[arrays[0]]) if arrays else inputs))
        return x, y if self.table.classes else ((y - self.center) / self.unit)[:, None].astype(np.float32)

    def as_dict(self) -> dict[str, Any]:
        """What is needed to prepare further rows, as JSON has it."""
        found: dict[str, Any] = {"classes": self.table.classes} if self.table.classes else {
            "target_mean": self.center, "target_deviation": self.unit}  # fmt: skip
        if isinstance(self.fitted, Encoder):
            return found | self.fitted.as_dict()
        mean, scale = (np.asarray(part).tolist() for part in (self.fitted.mean, self.fitted.scale))
        return found | {"array": self.table.arrays[0], "mean": mean, "scale": scale}


def _image(array: np.ndarray) -> np.ndarray:
    """An array of inputs as float32, images with channels."""
    return array.astype(np.float32)[..., None] if array.ndim == 3 else array.astype(np.float32)


def _model(name: str, arrays: bool) -> Callable[[dict, int], Any]:
    """A function of hyperparameters and the number of outputs that makes the model."""
    if name == "mlp":
        flat = [flatten()] if arrays else []
        return lambda h, outputs: serial(*flat, mlp([64, 64, outputs], dropout=h["dropout"]))
    if name == "cnn":
        return lambda h, outputs: cnn([16, 32], [64, outputs], dropout=h["dropout"])
    return own_model(name)


def own_model(name: str) -> Callable[[dict, int], Any]:
    """The function that "module:function" names, of (hyperparameters, outputs), which makes a model.

    Raises:
        ValueError: there is none, or it has other arguments.
    """
    module, separator, function = name.partition(":")
    if not separator or not module or not function:
        raise ValueError(f"--model is {name!r}, expected {', '.join(MODELS)} or module:function.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` has it
    try:
        found = getattr(importlib.import_module(module), function)
        if not inspect.isbuiltin(found):
            inspect.signature(found).bind({}, 1)
    except ImportError as error:
        raise ValueError(f"--model is {name!r}, and {module!r} cannot be imported: {error}.") from error
    except AttributeError:
        raise ValueError(f"--model is {name!r}, and the module has no {function!r}.") from None
    except TypeError:
        raise ValueError(
            f"--model is {name!r}, expected a function of (h, outputs): the hyperparameters by name, and the "
            "number of classes, or 1."
        ) from None
    return found
