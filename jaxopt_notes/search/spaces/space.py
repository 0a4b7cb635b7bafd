"""Search spaces: a name for each hyperparameter, and the distribution it is drawn from.

A space is a dict (or any nested pytree) from names to distributions; everything else in it is a
constant, which reaches the training run as it is; distributions of other libraries are read as ours
(`elsewhere.py`). A batch of configurations is a dict of columns, one
array [n] for each searched hyperparameter, named by its path ("optimizer/learning_rate"): a pytree
that strategies draw, `population_map` maps over and results keep. `fill` puts one configuration back
into the shape of the space.
"""

from typing import Any

import jax

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import path_name
from jaxopt_notes.search.spaces.choices import StaticChoice
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.elsewhere import as_space

Space = Any  # a pytree whose leaves are distributions and constants
Configs = dict[str, Any]  # name → column [n]


def dimensions(space: Space) -> dict[str, Distribution]:
    """The searched hyperparameters by name, in the order of their names.

    Raises:
        ValueError: two of them have the same name, as those of {"a": {"b": …}, "a/b": …}.

    Example:
        >>> from jaxopt_notes.search import uniform
        >>> dimensions({"optimizer": {"b1": uniform(0.8, 0.99)}, "hidden": [64, 64]})
        {'optimizer/b1': Uniform(low=0.8, high=0.99)}
    """
    found: dict[str, Distribution] = {}
    for path, leaf in jax.tree.leaves_with_path(as_space(space), is_leaf=_is_distribution):
        name = path_name(path)
        if _is_distribution(leaf) and found.setdefault(name, leaf) is not leaf:
            raise ValueError(f"the space has two hyperparameters called {name!r}: give one another name.")
    return dict(sorted(found.items()))


def fill(space: Space, config: Configs) -> Tree:
    """The space with one configuration in place of its distributions: what a run is built from.

    Arguments:
        space: the search space.
        config: a value for each name of `dimensions(space)`; for a `static_choice` its position.

    Returns:
        A pytree of the shape of the space; static choices are their values.

    Raises:
        KeyError: a name is missing. TypeError: the position of a static choice is traced.

    Example:
        >>> from jaxopt_notes.search import static_choice, uniform
        >>> space = {"rate": uniform(0.0, 1.0), "width": static_choice([64, 128]), "epochs": 3}
        >>> fill(space, {"rate": 0.5, "width": 1})
        {'epochs': 3, 'rate': 0.5, 'width': 128}
    """

    def value(path: tuple, leaf: Any) -> Any:
        if not _is_distribution(leaf):
            return leaf
        found = config[path_name(path)]
        if not isinstance(leaf, StaticChoice):
            return found
        if isinstance(found, jax.core.Tracer):
            raise TypeError(
                f"fill(config): {path_name(path)!r} is a static choice and its position is traced, "
                "expected a known one: group configurations by their static choices, as sweep does."
            )
        return leaf.values[int(found)]

    return jax.tree.map_with_path(value, as_space(space), is_leaf=_is_distribution)


def _is_distribution(leaf: Any) -> bool:
    return isinstance(leaf, Distribution)
