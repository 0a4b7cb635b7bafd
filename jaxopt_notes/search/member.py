"""A sweep's member as the function that `population_map` trains: a run from its start, or one that goes on.

Both loop over epochs in one program whose number of epochs is data, so a run cut anywhere is the same
program called again, and gives the same bits. A run whose score is not finite at the end of an epoch has
diverged: its last entries are repeated, as those of a run that has stopped early. Its state means nothing any
more: to keep that as it was would be a selection for each of its arrays.
"""

import functools
import types
import weakref
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_notes.control_flow import any_member
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.population import fingerprint
from jaxopt_notes.population.execution import Staged
from jaxopt_notes.population.program_cache import Programs
from jaxopt_notes.search.cross_validation import FOLD
from jaxopt_notes.search.rule import PARAMETERS
from jaxopt_notes.search.spaces.choices import StaticChoice
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs, Space, fill
from jaxopt_notes.training.epoch import TrainState
from jaxopt_notes.training.step import select
from jaxopt_notes.training.trainer import Trainer

Entries = dict[str, jax.Array]  # the history's latest epoch, by name


class Build:
    """A sweep's `build`, held weakly, since programs that are kept may keep no function alive.

    Equal for one function that still says the same: a number that it closes over is in its programs.
    """

    def __init__(self, function: Callable[[Any], Any]):
        try:
            self._function: Callable = weakref.ref(function)
        except TypeError:  # it has no weak references
            self._function = lambda: function
        self.words = fingerprint.of_function(function)
        self._said = self._function, self.words

    def __call__(self, config: Any) -> Trainer:
        return self._function()(config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Build) and self._said == other._said

    def __hash__(self) -> int:
        return hash(self._said)


class Runs(NamedTuple):
    """What all members with the same structure have in common.

    Arguments:
        build: from a configuration in the shape of the space to a `Trainer`; a `Build`, or a function.
        space: the search space.
        static: the positions of its static choices.
        monitors: the scores, names of the history; a run with one that is not finite has diverged.
        capacity: epochs in one call, at most: the length of the history that comes back.
        folded: whether the data are all of it and its `FoldData`, and each configuration says its fold.
        bounded: further names that the history has to have.
    """

    build: Callable[[Any], Any]
    space: Space
    static: dict[str, int]
    monitors: tuple[str, ...]
    capacity: int
    folded: bool = False
    bounded: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """A name for the structure: all members of one kind have the same layout."""
        return "-".join(map(str, self.static.values())) or "all"

    def begin(self, keep: bool) -> Callable:
        """`(config, key, epochs, train_data, valid_data) -> (member, key)`: what a run first goes on from."""

        def begin(config: Configs, key: jax.Array, epochs: jax.Array, train: tuple, valid: tuple) -> tuple:
            trainer, data = self.trainer(config), self.data_of(config, train, valid)
            state = trainer.init(key, data[0])
            if not keep and isinstance(state, TrainState):  # nobody will see its best networks
                state = state._replace(best_params=None, best_model_state=None)
            entries = jax.eval_shape(self._epoch(trainer, data), state)[1]
            self.check_names(entries)
            latest = {name: jnp.zeros(entry.shape, entry.dtype) for name, entry in entries.items()}
            return (config, state, latest), key

        return begin

    def go_on(self, keep: bool) -> Callable:
        """`((config, state, latest), key, epochs, train_data, valid_data) -> results`: a run continued.

        The results are the history [capacity], of which `epochs` entries count; whether the run has
        `stopped`; and with `keep` the state to go on with.
        """

        def go_on(member: tuple, key: jax.Array, epochs: jax.Array, train: tuple, valid: tuple) -> Tree:
            config, state, latest = member
            data = self.data_of(config, train, valid)
            return self._advance(self.trainer(config), state, latest, epochs, data, keep)

        return go_on

    def function(self, programs: Programs, keep: bool) -> Staged:
        """`begin(keep)`, then `go_on(keep)`: one object for equal runs, so that its programs serve again."""
        key = (keep, self.signature())
        return programs.function(key, lambda: Staged(self.begin(keep), self.go_on(keep)))

    def state_like(self, config: Configs, data: tuple) -> Tree:
        """The shapes of one member's state."""

        def start(config: Configs, key: jax.Array, data: tuple) -> Tree:
            return self.trainer(config).init(key, self.data_of(config, *data)[0])

        return jax.eval_shape(start, config, jax.random.key(0), shapes_of(data))

    def data_of(self, config: Configs, train: Any, valid: Any) -> tuple:
        """The training and validation data of a member."""
        return valid.of_fold(train, config.get(FOLD, 0)) if self.folded else (train, valid)

    def signature(self) -> Hashable:
        """Equal for runs that are the same program; a new one where that cannot be known."""
        leaves, treedef = jax.tree.flatten(self.space, is_leaf=_is_leaf)
        key = (self.build, treedef, tuple(map(_constant, leaves)), tuple(self.static.items()), self.monitors)
        try:
            hash(key)
        except TypeError:
            return object()
        return *key, self.capacity, self.folded, self.bounded

    def is_finite(self, latest: Mapping[str, Any]) -> Any:
        """Whether a run with these latest entries has not diverged."""
        xp: types.ModuleType = jnp if isinstance(latest[self.monitors[0]], jax.Array) else np
        return functools.reduce(xp.logical_and, (xp.isfinite(latest[name]) for name in self.monitors))

    def counted(self, state: Tree, entries: dict[str, Any]) -> dict[str, Any]:
        """The entries of an epoch, and how many numbers the network has, if that is asked for."""
        if PARAMETERS in entries or PARAMETERS not in (*self.monitors, *self.bounded):
            return entries
        networks = getattr(state, "params", None)
        if networks is None:
            raise TypeError(
                f"sweep counts {PARAMETERS!r} in a state with `params`, as a Trainer's, and build makes runs "
                f"whose state is a {type(state).__name__}: return {PARAMETERS!r} in its history."
            )
        return {**entries, PARAMETERS: jnp.asarray(sum(x.size for x in jax.tree.leaves(networks)), jnp.int32)}

    def check_names(self, entries: Collection[str]) -> None:
        """Refuse a history that lacks what is watched."""
        for argument, names in (("monitor", self.monitors), ("constraints", self.bounded)):
            for name in names:
                if name not in entries:
                    verb = "is" if argument == "monitor" and len(names) == 1 else "has"
                    known = ", ".join(sorted({*entries, *([] if verb == "is" else [PARAMETERS])}))
                    raise ValueError(f"sweep({argument}) {verb} {name!r}, expected one of {known}.")

    def trainer(self, config: Configs) -> Trainer:
        """The `Trainer` of one configuration."""
        return self.build(fill(self.space, {**config, **self.static}))

    def _epoch(self, trainer: Any, data: tuple) -> Callable[[Tree], tuple[Tree, Entries]]:
        def epoch(state: Tree) -> tuple[Tree, Entries]:
            state, history = trainer.advance(state, *data, 1)
            return state, self.counted(state, {name: curve[0] for name, curve in history.items()})

        return epoch

    def _advance(
        self, trainer: Trainer, state: Tree, latest: Entries, epochs: jax.Array, data: tuple, keep: bool
    ) -> Tree:
        epoch = self._epoch(trainer, data)
        history = {
            name: jnp.zeros((self.capacity, *entry.shape), entry.dtype) for name, entry in latest.items()
        }

        def step(i: jax.Array, carry: tuple) -> tuple:
            state, latest, history = carry
            alive = self.is_finite(latest)
            state, new = lax.cond(any_member(alive), lambda: epoch(state), lambda: (state, latest))
            latest = select(alive, new, latest)
            history = {
                name: lax.dynamic_update_index_in_dim(curve, latest[name], i, 0)
                for name, curve in history.items()
            }
            return state, latest, history

        state, latest, history = lax.fori_loop(0, epochs, step, (state, latest, history))
        stopped = jnp.asarray(getattr(state, "stopped", False)) | ~self.is_finite(latest)
        out = {"history": history, "stopped": stopped}
        return out | {"state": state} if keep else out


def shapes_of(data: Tree) -> Tree:
    """Shapes and dtypes to trace with, without the mesh that the arrays lie on: it may be another."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)), data)


def _is_leaf(leaf: Any) -> bool:
    return leaf is None or isinstance(leaf, Distribution)


def _constant(leaf: Any) -> Hashable:
    """A leaf of the space as part of a key: a constant by its value; what is searched over is an argument."""
    if isinstance(leaf, StaticChoice):
        return leaf.values
    if isinstance(leaf, Distribution):
        return Distribution
    if hasattr(leaf, "dtype"):
        return str(leaf.dtype), leaf.shape, np.asarray(leaf).tobytes()
    return type(leaf), leaf
