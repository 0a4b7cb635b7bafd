"""The winner of a sweep in hand: its networks kept from the sweep, or trained once more.

A sweep remembers what it was made of (`Origin`), so its results can make the best `Trainer` and train it
again. With `keep_params` the networks of the best trials stay as well: `Winners` holds them while the sweep
is on its way, in memory, and in the folder if there is one.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.population.packing import pack, unpack
from jaxopt_notes.population.store import Store
from jaxopt_notes.record import check_choice, check_count
from jaxopt_notes.search.cross_validation import FoldData
from jaxopt_notes.search.names import reserved_columns
from jaxopt_notes.training.evaluation import count
from jaxopt_notes.training.fit import FitResult, fit
from jaxopt_notes.training.refit import continue_on_all, joined, train_anew
from jaxopt_notes.training.step_history import steps_of
from jaxopt_notes.training.trainer import Trainer

PARTS = ("train", "train+validation")
KEPT = ("epochs", "updates", "parameters")


class Origin(NamedTuple):
    """What a sweep was made of: what its winner is trained from once more."""

    build: Callable[[Any], Any]
    data: tuple
    key: jax.Array
    epochs: int
    preprocess: Callable | None = None

    @property
    def folded(self) -> bool:
        """Whether the data are those of a cross-validation: (all, folds)."""
        return isinstance(self.data[1], FoldData)

    def prepared(self, x: Tree) -> Tree:
        """Inputs as the sweep's were prepared, by what is fitted to all its data."""
        fit = self.preprocess
        if fit is None:
            return x
        whole, _, *own = self.data[0]
        weights = own[0] if own else jnp.ones(len(whole))
        return jax.jit(lambda whole, weights, x: fit(whole, weights=weights).apply(x))(whole, weights, x)


class Networks(NamedTuple):
    """The trained networks of one trial: every leaf has a first axis of seeds.

    They are the best parameters of each run (`TrainState.best_params`), with the model's state of that epoch.
    """

    params: Tree
    model_state: Tree


class Winners:
    """The networks of the best trials so far.

    Arguments:
        most: how many trials; `None` for all.
        seeds: members per trial.
        store: where they are kept, too; `None` for nowhere.
    """

    def __init__(self, most: int | None, seeds: int, store: Store | None):
        self.most, self.seeds, self.store = most, seeds, store
        self.kept: dict[int, Networks] = {}
        self._places: dict[int, tuple] = {}

    def offer(self, trials: np.ndarray, costs: np.ndarray, state: Tree) -> None:
        """Take in the states of members [trials · seeds, …]; costs [trials] are NaN where a seed diverged."""
        if not hasattr(state, "best_params"):
            raise TypeError(
                "sweep(keep_params) needs a state with `best_params`, as a Trainer's has, and build makes "
                f"runs whose state is a {type(state).__name__}."
            )
        networks = Networks(state.best_params, state.best_model_state)
        for i, (trial, cost) in enumerate(zip(trials.tolist(), costs.tolist(), strict=True)):
            rows = slice(i * self.seeds, (i + 1) * self.seeds)
            self._put(trial, cost, jax.tree.map(lambda leaf, rows=rows: np.asarray(leaf[rows]), networks))

    def save(self, number: int, trials: range) -> None:
        """Put those of a finished round into the folder."""
        if self.store is not None and self.store.leader:
            arrays = {
                f"{trial}/{name}": array
                for trial in self.kept
                if trial in trials
                for name, array in pack(self.kept[trial]).items()
            }
            self.store.write(f"networks-{number:04d}", arrays)

    def restore(self, number: int, costs: Mapping[int, float], like: Callable[[int], Tree]) -> bool:
        """Take in what the folder has of a round; False if it has nothing.

        Arguments:
            number: of the round.
            costs: of its trials.
            like: the shapes of one member's state, for a trial.
        """
        arrays = None if self.store is None else self.store.read(f"networks-{number:04d}")
        if arrays is None:
            return False
        for trial in sorted({int(name.split("/")[0]) for name in arrays}):
            head = f"{trial}/"
            found = {name.removeprefix(head): a for name, a in arrays.items() if name.startswith(head)}
            state = like(trial)
            structure = jax.tree.structure(Networks(state.best_params, state.best_model_state))
            self._put(trial, costs[trial], jax.tree.unflatten(structure, unpack(found)))
        return True

    def _put(self, trial: int, cost: float, networks: Networks) -> None:
        self.kept[trial], self._places[trial] = networks, (np.isnan(cost), cost, trial)
        if self.most is not None and len(self.kept) > self.most:
            worst = max(self._places, key=lambda trial: self._places[trial])
            del self.kept[worst], self._places[worst]


def check_keep_params(keep_params: Any) -> int | None:
    """How many trials' networks are kept: 0 for none, `None` for all."""
    if keep_params is None:
        return 0
    if isinstance(keep_params, str):
        check_choice("sweep(keep_params)", keep_params, ("best", "all"))
        return 1 if keep_params == "best" else None
    return check_count("sweep(keep_params)", keep_params, 1, '"best", "all", a number of trials, or None')


def trained_again(
    trainer: Trainer, origin: Origin, on: str, keep: str, best_epoch: int, key: jax.Array | None,
    progress: bool | None,
) -> FitResult:  # fmt: skip
    """The winner trained once more, on the training set alone or on all data.

    Arguments:
        trainer: the best one.
        origin: gives the data, the epochs and the key of the sweep.
        on: "train", with validation as in the sweep; or "train+validation", without any.
        keep: on all data, whether as many "epochs" as were best, or as many "updates".
        best_epoch: how many epochs were. After a cross-validation all data are meant, prepared.
        key: a typed random key; `None` for one made from the sweep's.
        progress: as in `fit`.
    """
    key = jax.random.fold_in(origin.key, 1) if key is None else key
    if origin.folded:
        x, *others = origin.data[0]
        whole, part = (origin.prepared(x), *others), origin.data[1].folds.train.shape[1]
    elif on == "train":
        train, validation = origin.data
        return fit(trainer, key, train, validation, origin.epochs, progress=progress)
    else:
        train, validation = origin.data
        whole, part = joined(train, validation), count(train)
    updates = best_epoch * steps_of(trainer, part if keep == "updates" else count(whole))
    return train_anew(trainer, key, whole, updates, progress)


def gone_on(
    trainer: Trainer, origin: Origin, networks: tuple | None, epochs: int, key: jax.Array | None,
    progress: bool | None,
) -> FitResult:  # fmt: skip
    """The winner trained further on all data, from the parameters that it had at its best.

    Arguments:
        trainer, origin, key, progress: see `trained_again`.
        networks: its best parameters and model state if the sweep has kept them, else it is trained first.
        epochs: how many on all data at most.
    """
    if origin.folded:
        raise ValueError(
            'refit(keep="parameters") needs one validation set, whose loss says when to end, and a '
            'cross-validation has one in each fold: keep="epochs" or "updates".'
        )
    key = jax.random.fold_in(origin.key, 1) if key is None else key
    if networks is None:
        first = trained_again(trainer, origin, "train", "epochs", 0, key, progress)
    else:
        params, model_state = networks
        state = trainer.init(key, origin.data[0])
        first = FitResult(trainer, state._replace(best_params=params, best_model_state=model_state), {})
    train, validation = origin.data
    return continue_on_all(first, jax.random.fold_in(key, 1), train, validation, epochs, progress=progress)


def epochs_to_best(results: Any, best: int) -> int:
    """After how many epochs a trial's runs were at their best: the mean over seeds, rounded up.

    Where their scores are those of the last epoch, it is all that the runs had.
    """
    epochs = reserved_columns(results).get("epochs")
    curve = results.history[results.monitor][best]  # [seeds, epochs]
    curve = curve if epochs is None else curve[:, : int(epochs[best])]
    lost = -np.inf if results.mode == "max" else np.inf
    curve = np.where(np.isfinite(curve), curve, lost)
    if np.array_equal(results.scores[best], curve[:, -1]):
        return curve.shape[1]
    found = curve.argmax(axis=1) if results.mode == "max" else curve.argmin(axis=1)
    return math.ceil(np.mean(found + 1))
