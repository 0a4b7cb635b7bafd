"""The protocol of optimizers and of the gradient transforms that they are chained of; also optax's."""

from collections.abc import Callable
from typing import Protocol

from jaxopt_notes.dtypes import Tree


class GradientTransform(Protocol):
    """Anything with `init` and `update`; those of this package also take `accept` and more by name."""

    @property
    def init(self) -> Callable[[Tree], Tree]: ...

    @property
    def update(self) -> Callable[..., tuple[Tree, Tree]]: ...
