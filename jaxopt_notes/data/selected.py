"""A part of a data set without a copy of it: rows of arrays that stay where they are.

`Selected(x, rows)` stands in a pair `(x, y)` where an array would. `take`, which gives a training step its
batch, looks up the rows of the rows; so a hundred members of a population that train on a hundred parts of
one data set, as the folds of a cross-validation do, hold the data once. What prepares inputs (a standardizer
that was fitted to these rows) is applied to each batch as it is taken.
"""

from typing import Any

import jax
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.record import record
from jaxopt_notes.sharding import rows_of


@record
class Selected:
    """Rows of a data set, in place of an array of them.

        selected[i] = prepare(data[rows[i]])

    Arguments:
        data: an array, or a tree of arrays with a common leading axis.
        rows: int32 [n], which of them; they may be repeated.
        prepare: a record with `apply(x)`, as `fit_standardizer` returns; `None` for none.

    Example:
        >>> import jax.numpy as jnp
        >>> selected = Selected(jnp.array([10.0, 20.0, 30.0]), jnp.array([2, 0]))
        >>> len(selected), selected[jnp.array([1, 1, 0])]
        (2, Array([10., 10., 30.], dtype=float32))
    """

    data: Tree
    rows: jax.Array
    prepare: Any = None

    def __len__(self) -> int:
        return self.rows.shape[0]

    def __getitem__(self, index: ArrayLike) -> Tree:
        taken = jax.tree.map(lambda array: rows_of(array, self.rows[index]), self.data)
        return taken if self.prepare is None else self.prepare.apply(taken)


def is_selected(part: Any) -> bool:
    """Whether a part of a data set is `Selected`: a leaf to those who take samples."""
    return isinstance(part, Selected)
