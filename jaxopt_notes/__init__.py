"""Pure functions for training neural networks in JAX, and for studying how they train.

One idea carries the library: **every hyperparameter is a pytree leaf, a training run is a pure
function of a pytree, a sweep is `vmap` of it.**

A layer, an optimizer, a schedule, a penalty, a whole `Trainer` is a *record*: a frozen dataclass
registered as a pytree. Its numbers are leaves, its structure (a width, an axis, a function) is static.
So `jax.vmap(jn.adam)(rates)` is a batch of optimizers, changing a rate compiles nothing anew,
`jax.grad` reaches every hyperparameter, and a record pickles, checkpoints, shards and prints. Pass
records as *arguments*: closed over, their numbers become constants again.

Four shapes recur, each the same everywhere:

    state = optimizer.init(params)                                    # optimizers and transforms
    updates, state = optimizer.update(grads, state, params)
    params = jn.apply_updates(params, updates)

    params, state = layer.init(key, x)                                # layers
    y, state = layer.apply(params, state, x, key=key, train=True)

    state = strategy.init(key, space)                                 # search strategies
    configs, state = strategy.ask(state, key, n)
    state = strategy.tell(state, configs, scores)

    state = trainer.init(key, train_data)                             # training runs
    state, history = trainer.advance(state, train_data, valid_data, epochs)

They compose by being nested: schedules inside optimizers inside `chain` inside a `Trainer` inside the
function that `sweep` maps over a search space. Losses, metrics, penalties and activations are plain
functions or records that are called. Nothing is hidden: no global state, no implicit keys.

What is at the top? Every public function of `data`, `initializers`, `layers`, `losses`, `masks`, `metrics`,
`models`, `norms`, `optimizers`, `penalties`, `population`, `schedules`, `search`, `sparsity` and `training`,
and two classes, `Trainer` and `SealedTestSet`. A name that two of them have (`constant`, an initializer and a
schedule) is in its subpackage only; but `normal` and `uniform` are the distributions to search over. Records
and other classes (`jn.optimizers.Adam`), registries (`jn.optimizers.OPTIMIZERS`), and all of `activations`,
`diagnostics`, `ensembles`, `interop`, `plots`, `problems`, `projections`, `studies` and `transfer` keep the
subpackage's name in front. Everything loads when it is first used, so that the import itself costs next to
nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxopt_notes.record import record, replace, static

if TYPE_CHECKING:  # for editors and type checkers, which cannot see what `__getattr__` finds
    from jaxopt_notes import activations, diagnostics, ensembles, interop, plots, problems, projections
    from jaxopt_notes import studies, transfer
    from jaxopt_notes.initializers import *
    from jaxopt_notes.schedules import *
    from jaxopt_notes.metrics import *
    from jaxopt_notes.sparsity import *
    from jaxopt_notes.norms import *
    from jaxopt_notes.masks import *
    from jaxopt_notes.data import *
    from jaxopt_notes.losses import *
    from jaxopt_notes.optimizers import *
    from jaxopt_notes.penalties import *
    from jaxopt_notes.layers import *
    from jaxopt_notes.models import *
    from jaxopt_notes.population import *
    from jaxopt_notes.search import *
    from jaxopt_notes.training import *

__version__ = "0.1.0"

# Subpackages whose public functions are at the top too. A name is looked for in this order, which begins with
# what is loaded fastest.
_FLAT = (
    "norms", "masks", "metrics", "sparsity", "losses", "penalties", "data", "schedules", "layers", "models",
    "initializers", "optimizers", "training", "population", "search",
)  # fmt: skip
_NAMESPACES = (
    "activations",
    "diagnostics",
    "ensembles",
    "interop",
    "plots",
    "problems",
    "projections",
    "studies",
    "transfer",
)
_CLASSES = ("SealedTestSet", "Trainer")  # at the top like functions: nothing else makes them
# Names of two subpackages: where the one at the top is from, or `None` if neither is there.
_AMBIGUOUS = {"constant": None, "normal": "search", "uniform": "search"}


def __getattr__(name: str) -> Any:
    if name in _FLAT or name in _NAMESPACES:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "__all__":
        return _public_names()
    if _is_flat(name):
        home = _AMBIGUOUS.get(name, "")
        for subpackage in (home,) if home else () if home is None else _FLAT:
            module = importlib.import_module(f"{__name__}.{subpackage}")
            if name in module.__all__:
                return globals().setdefault(name, getattr(module, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{_elsewhere(name)}")


def _is_flat(name: str) -> bool:
    return name[0].islower() or name in _CLASSES


def _homes() -> dict[str, list[str]]:
    """Every public name of every subpackage, and the subpackages that have it."""
    homes: dict[str, list[str]] = {}
    for subpackage in (*_FLAT, *_NAMESPACES):
        module = importlib.import_module(f"{__name__}.{subpackage}")
        for name in module.__all__:
            homes.setdefault(name, []).append(subpackage)
    return homes


def _public_names() -> list[str]:
    names = ["__version__", "record", "replace", "static", *_FLAT, *_NAMESPACES]
    for name, homes in _homes().items():
        home = _AMBIGUOUS.get(name, homes[0])
        if home in _FLAT and _is_flat(name):
            names.append(name)
    return sorted(names)


def _elsewhere(name: str) -> str:
    """Where a name that is not at the top is to be had."""
    found = [f"jn.{home}.{name}" for home in _homes().get(name, ())]
    return f": use {' or '.join(found)} (with `import jaxopt_notes as jn`)" if found else ""


def __dir__() -> list[str]:
    return _public_names()
