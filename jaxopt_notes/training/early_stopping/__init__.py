"""Early stopping: rules that watch scores, once per epoch, and say when to stop.

A rule is a record with `init() -> state` and `update(state, score) -> (state, improved, stop)`. It
only watches. The `Trainer` acts on what it says: it keeps the parameters of every epoch that
`improved`, so what it restores is always the best score seen, and freezes a member once `stop` is
true. Numbers are leaves and there is no branch on them, so every member of a population has a
patience of its own, and `patience(inf)` is a rule that never stops but still keeps the best.

    patience(10)                                        no improvement for ten epochs
    stop_up(3)   stop_gl(5)   stop_pq(0.75)             Prechelt's three criteria
    stop_at_target(0.1)   stop_after(50)   stop_on_plateau()   stop_on_nonfinite()
    any_of(patience(10), stop_on_nonfinite(monitor="loss"))
    all_of(smoothed(patience(5), decay=0.8), stop_after(20))

Each has a `monitor`, the name in the history by which the parameters are the best, and a `mode`, "min" or
"max". A rule that looks at more than its monitor has `watches`, a tree of names with the monitor first, and
its `update` takes the scores in a tree like it. `EARLY_STOPPING` lists the rules by name; `replay` says what
they would have done to recorded runs.
"""

# ruff: noqa: F403

# One line for each file of rules: the names in its `__all__` are public, the rules in `EARLY_STOPPING`.
from jaxopt_notes.registry import public_names as _public_names
from jaxopt_notes.registry import returning as _returning
from jaxopt_notes.training.early_stopping.combined import *
from jaxopt_notes.training.early_stopping.patience import *
from jaxopt_notes.training.early_stopping.replay import *
from jaxopt_notes.training.early_stopping.score import worst as worst
from jaxopt_notes.training.early_stopping.smoothed import *
from jaxopt_notes.training.early_stopping.stop_after import *
from jaxopt_notes.training.early_stopping.stop_at_target import *
from jaxopt_notes.training.early_stopping.stop_gl import *
from jaxopt_notes.training.early_stopping.stop_on_nonfinite import *
from jaxopt_notes.training.early_stopping.stop_on_plateau import *
from jaxopt_notes.training.early_stopping.stop_pq import *
from jaxopt_notes.training.early_stopping.stop_up import *

EARLY_STOPPING = _returning(
    {name: globals()[name] for name in _public_names(__name__, globals())}, "init", "update"
)
"""The rules of early stopping by name."""

__all__ = ["EARLY_STOPPING", *_public_names(__name__, globals())]
