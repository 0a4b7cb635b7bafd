"""The protocol of optimizers and of the gradient transforms that they are chained of; also optax's."""

from collections.abc import Callable
from typing import Protocol

import jax

from jaxopt_notes.dtypes import Tree

Accept = jax.Array | None  # a bool scalar; where it is False, the step is not taken


class GradientTransform(Protocol):
    """Anything with `init` and `update`; those of this package also take `accept` and more by name."""

    @property
    def init(self) -> Callable[[Tree], Tree]: ...

    @property
    def update(self) -> Callable[..., tuple[Tree, Tree]]: ...
