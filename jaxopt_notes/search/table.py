"""The trials of a sweep on the host: what was asked for, what came of it, and the states to go on from.

Trials are numbered in the order of asking. A round is one batch; states are kept by round and by group (the
trials of a round with the same structure and the same epochs), in memory, or in the folder if there is one.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import path_name
from jaxopt_notes.population import hosts
from jaxopt_notes.population.chunk_program import is_key
from jaxopt_notes.population.fingerprint import without_addresses
from jaxopt_notes.population.packing import pack, unpack
from jaxopt_notes.population.store import Store, differences
from jaxopt_notes.search.names import RESERVED
from jaxopt_notes.search.segments import Curves, Start


class Round(NamedTuple):
    """One batch of trials.

    Arguments:
        first: the number of its first trial.
        configs: columns [n].
        epochs, parent: [n].
        group: which group each belongs to [n].
        scores: [n, seeds].
        history: name → [n, seeds, epochs], of whole runs, the parents' epochs included; padded.
        given: the reserved columns that the strategy gave.
    """

    first: int
    configs: dict[str, np.ndarray]
    epochs: np.ndarray
    parent: np.ndarray
    group: np.ndarray
    scores: np.ndarray
    history: Curves
    given: tuple[str, ...]

    def reserved(self) -> dict[str, np.ndarray]:
        """The reserved columns that the strategy gave."""
        return {name: getattr(self, name) for name in self.given}


class Table:
    """All rounds so far, and the states of their members.

    Arguments:
        store: where states are kept; `None` for memory.
    """

    def __init__(self, store: Store | None):
        self.store = store
        self.rounds: list[Round] = []
        self._states: dict[tuple[int, int], Tree] = {}

    def __len__(self) -> int:
        return sum(len(batch.epochs) for batch in self.rounds)

    def first_of(self, number: int) -> int:
        """The number of a round's first trial."""
        return sum(len(batch.epochs) for batch in self.rounds[:number])

    def find(self, trial: int) -> tuple[int, int]:
        """The round of a trial, and its row there."""
        for number, batch in enumerate(self.rounds):
            if batch.first <= trial < batch.first + len(batch.epochs):
                return number, trial - batch.first
        raise ValueError(
            f"the strategy continues trial {trial}, expected -1 or an earlier one of {len(self)} trials."
        )

    def restore(self, number: int, like: Tree) -> tuple[Round | None, Tree]:
        """A round from the folder, and the strategy's state behind it; `None` for what is not there.

        Arguments:
            number: of the round.
            like: the strategy's first state; one of another structure is not restored.
        """
        arrays = None if self.store is None else self.store.read(f"round-{number:04d}")
        if arrays is None:
            return None, None
        part = {
            kind: {n.removeprefix(kind): a for n, a in arrays.items() if n.startswith(kind)}
            for kind in ("config/", "history/", "state/")
        }
        fields = {name: arrays[name] for name in ("epochs", "parent", "group", "scores")}
        given = tuple(name for name in RESERVED if name in str(arrays["given"]).split())
        batch = Round(len(self), part["config/"], **fields, history=part["history/"], given=given)
        leaves, (wanted, treedef) = unpack(part["state/"]), jax.tree.flatten(like)
        if str(arrays["structure"]) != structure(like) or len(leaves) != len(wanted):
            return batch, None
        return batch, jax.tree.unflatten(treedef, leaves)

    def save(self, number: int, batch: Round, state: Tree) -> None:
        """Put a finished round into the folder, in place of its chunks."""
        if self.store is None:
            return
        hosts.meet("round")
        if self.store.leader:
            arrays = {f"config/{name}": column for name, column in batch.configs.items()}
            arrays |= {f"history/{name}": curve for name, curve in batch.history.items()}
            arrays |= {name: getattr(batch, name) for name in ("epochs", "parent", "group", "scores")}
            arrays |= {f"state/{name}": array for name, array in pack(state).items()}
            texts = {"given": " ".join(batch.given), "structure": structure(state)}
            arrays |= {name: np.asarray(text) for name, text in texts.items()}
            self.store.write(f"round-{number:04d}", arrays)
            self.store.remove(f"chunk-{number:04d}-")

    def epochs_of(self, trials: np.ndarray) -> np.ndarray:
        """The epochs of some trials; 0 for −1."""
        found = [0 if trial < 0 else (lambda at: self.rounds[at[0]].epochs[at[1]])(self.find(trial))
                 for trial in trials]  # fmt: skip
        return np.asarray(found, int)

    def curves_of(self, trials: np.ndarray, epochs: int) -> Curves:
        """The histories of some trials, so many epochs of them, with one row for each member."""
        places = [self.find(int(trial)) for trial in trials]
        names = self.rounds[places[0][0]].history
        return {
            name: np.concatenate([self.rounds[r].history[name][row][:, :epochs] for r, row in places])
            for name in names
        }

    def keep(self, number: int, group: int, state: Tree) -> None:
        """Keep the states of a group's members [members, …]."""
        self._states.pop((number, group), None)  # of fewer epochs or seeds
        if self.store is None:
            self._states[number, group] = state
        elif self.store.leader:
            self.store.write(f"states-{number:04d}-{group:03d}", pack(state))

    def widen(self, number: int, group: int, state: Tree, seeds: int, like: Tree) -> None:
        """Keep the states of further seeds of a group's trials [trials · seeds, …] behind those it has."""
        if not self.has_states(number, group):
            return
        old = self._state(number, group, like)

        def behind(before: Any, more: Any) -> Any:
            trials = len(more) // seeds
            rows = [part.reshape(trials, -1, *part.shape[1:]) for part in (before, more)]
            both = jnp.concatenate(rows, 1) if is_key(before) else np.concatenate(rows, 1)
            return both.reshape(-1, *before.shape[1:])

        self.keep(number, group, jax.tree.map(behind, old, state))

    def has_states(self, number: int, group: int) -> bool:
        """Whether the states of a group are kept."""
        name = f"states-{number:04d}-{group:03d}"
        return (number, group) in self._states or (self.store is not None and name in self.store.names(name))

    def start_of(self, trials: np.ndarray, epochs: int, like: Tree) -> Start:
        """Where the members of new trials go on: states and latest entries of the trials' members.

        Arguments:
            trials: whom they continue [n].
            epochs: how many those have had.
            like: the shapes of one member's state.
        """
        pieces, order = [], []
        sources: dict[tuple[int, int], list[int]] = {}
        for i, trial in enumerate(trials):
            number, row = self.find(int(trial))
            sources.setdefault((number, int(self.rounds[number].group[row])), []).append(i)
        for (number, group), rows in sources.items():
            batch = self.rounds[number]
            seeds = batch.scores.shape[1]
            mates = np.flatnonzero(batch.group == group)  # the group's trials, in the order of its states
            place = np.searchsorted(mates, [self.find(int(trials[i]))[1] for i in rows])
            members = _members(place, seeds)
            state = self._state(number, group, like)
            self._check(state, like, trials[rows[0]])
            pieces.append(jax.tree.map(lambda leaf, members=members: leaf[members], state))
            order.extend(rows)
        back = _members(np.argsort(order), seeds)
        state = jax.tree.map(lambda *leaves: _concatenate(leaves)[back], *pieces)
        latest = {name: curve[:, -1] for name, curve in self.curves_of(trials, epochs).items()}
        return Start(state, latest)

    def _state(self, number: int, group: int, like: Tree) -> Tree:
        if (number, group) in self._states:
            return self._states[number, group]
        name = f"states-{number:04d}-{group:03d}"
        arrays = None if self.store is None else self.store.read(name)
        if arrays is None:
            raise ValueError(f"{name} is missing: run the same again, the round will be trained anew.")
        leaves, wanted = unpack(arrays), jax.tree.leaves(like)
        if len(leaves) != len(wanted):
            raise ValueError(
                f"{name} has {len(leaves)} arrays, and the state of a member now has {len(wanted)}: name "
                "another folder for this run."
            )
        state = jax.tree.unflatten(jax.tree.structure(like), leaves)
        self._states = {(number, group): state, **dict(list(self._states.items())[:3])}  # the latest few
        return state

    def _check(self, state: Tree, like: Tree, trial: Any) -> None:
        found = [f"{x.dtype}{list(x.shape[1:])}" for x in jax.tree.leaves(state)]
        wanted = {path_name(path): f"{x.dtype}{list(x.shape)}" for path, x in jax.tree.leaves_with_path(like)}
        if found != list(wanted.values()):
            first, *others = differences(dict(zip(wanted, found, strict=False)), wanted).split("; ")
            more = f", and {len(others)} more" if others else ""
            raise ValueError(
                f"the strategy continues trial {int(trial)} with another structure: {first}{more}. A static "
                "choice that changes shapes must be that of the parent: leave it out of the space, or take a "
                "strategy that changes no run that goes on, as asha(64)."
            )


def structure(tree: Tree) -> str:
    """The structure of a tree as text."""
    return without_addresses(str(jax.tree.structure(tree)))


def check_rounds(store: Store) -> None:
    """Set aside what was damaged: those parts, and rounds whose states are not all there."""
    whole = {name: store.read(name) for name in store.names("round-")}
    there = {name for name in store.names("states-") if store.read(name) is not None}
    for name, arrays in whole.items():
        if arrays is not None and "parent" in str(arrays["given"]).split():
            number = name.removeprefix("round-")
            wanted = {f"states-{number}-{group:03d}" for group in np.unique(arrays["group"])}
            if not wanted <= there:
                store.set_aside(name)


def check_growth(store: Store) -> None:
    """Refuse more seeds or epochs where a strategy has said how long runs are, and whom they continue."""
    grown = [name for name in ("seeds", "epochs") if name in store.grown]
    if grown and any(str((store.read(name) or {"given": ""})["given"]) for name in store.names("round-")):
        before, now = store.grown[grown[0]]
        raise ValueError(
            f"{str(store.folder)!r} holds a search with {grown[0]} = {before}, and is asked for {now}, but "
            "its strategy chose epochs and parents by the scores there were: name another folder."
        )


def _members(trials: np.ndarray, seeds: int) -> np.ndarray:
    """The rows of the members of trials."""
    return (trials[:, None] * seeds + np.arange(seeds)).reshape(-1)


def _concatenate(leaves: tuple) -> Any:
    return jnp.concatenate(leaves) if is_key(leaves[0]) else np.concatenate(leaves)
