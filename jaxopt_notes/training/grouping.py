"""Small leaves that share kernels while `fit` trains, without being asked.

A step starts a kernel for every leaf on a GPU or a TPU, and runs a loop on a CPU. `fit` owns the state
between its first and its last call of `Trainer.advance`, so it holds the optimizer's state joined for so
long, by `grouped`; whoever sees the state, a callback, a folder, the caller, sees trees like the parameters.

It does so for one network on one device, with an optimizer that is known to treat every entry by itself. In a
population a leaf of all members is large already. A CPU gains only where leaves are many and tiny: to start a
loop takes little, and each piece of the joined update is one more to compile.
"""

from typing import Any, NamedTuple

import jax

from jaxopt_notes.dtypes import Tree, is_float
from jaxopt_notes.optimizers.core.moments import LowPrecision
from jaxopt_notes.optimizers.wrappers.flatten_tree import Joined
from jaxopt_notes.optimizers.wrappers.grouped import grouped, joined, mirrored, size_on
from jaxopt_notes.optimizers.wrappers.skip_nonfinite import SkipNonfinite, skip_nonfinite
from jaxopt_notes.record import replace
from jaxopt_notes.training.epoch import TrainState
from jaxopt_notes.training.step import Learner
from jaxopt_notes.training.trainer import Trainer

FEWEST = {"cpu": 500}  # leaves: below, a step saves less than a program that joins and cuts costs
ELSEWHERE = 16


class Groups(NamedTuple):
    """A trainer to go on with, and whether the state that it goes on with is joined.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.adam import adam
        >>> trainer = Trainer(dense(1), adam(0.1), mean_squared_error, metric=None)
        >>> state = trainer.init(jax.random.key(0), (jnp.ones((4, 2)), jnp.ones((4, 1))))
        >>> Groups.of(trainer, state).joined
        False
    """

    trainer: Trainer
    joined: bool

    @classmethod
    def of(cls, trainer: Trainer, state: TrainState) -> "Groups":
        """The optimizer `grouped` where that is worth while."""
        rule: Any
        platform, rule = _platform(state.learner), trainer.optimizer
        if platform is None:
            return cls(trainer, False)
        guarded = isinstance(rule, SkipNonfinite)
        rule = rule.optimizer if guarded else rule
        leaves = jax.tree.leaves(trainer.moving(state.params))
        size, fewest = size_on(platform), FEWEST.get(platform, ELSEWHERE)
        few = sum(is_float(leaf) and leaf.size <= size for leaf in leaves) < fewest
        if few or not getattr(rule, "elementwise", False) or _has_a_form(state.learner.opt_state):
            return cls(trainer, False)
        rule = grouped(rule, size)
        return cls(replace(trainer, optimizer=skip_nonfinite(rule) if guarded else rule), True)

    def held(self, state: TrainState) -> TrainState:
        """The state in the form that the trainer goes on with."""
        if not self.joined:
            return state
        optimizer, moving = self.trainer.guarded_optimizer(), self.trainer.moving(state.params)
        return _with(state, _joined(optimizer, state.learner.opt_state, moving))

    def shown(self, state: TrainState) -> TrainState:
        """The state as others see it."""
        return _with(state, _mirrored(state.learner.opt_state)) if self.joined else state


def _platform(learner: Learner) -> str | None:
    """What it lies on; `None` if that is more than one device."""
    arrays = [leaf for leaf in jax.tree.leaves(learner) if isinstance(leaf, jax.Array)]
    places = {device for array in arrays for device in array.devices()}
    return places.pop().platform if len(places) == 1 else None


def _has_a_form(opt_state: Tree) -> bool:
    """Whether it is joined already, or rounded at random: by the place of a number in its leaf."""
    has = lambda part: isinstance(part, LowPrecision | Joined)  # noqa: E731
    return any(map(has, jax.tree.leaves(opt_state, is_leaf=has)))


def _with(state: TrainState, opt_state: Tree) -> TrainState:
    return state._replace(learner=state.learner._replace(opt_state=opt_state))


_joined, _mirrored = jax.jit(joined), jax.jit(mirrored)
