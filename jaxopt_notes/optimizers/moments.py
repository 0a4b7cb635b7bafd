"""The moments that an optimizer keeps of its gradients, and the precision they are kept in.

An optimizer that averages gradients allots its slots with `moments`, and hands them to `leafwise`.
"""

from typing import Any

from jaxopt_notes.record import check_choice
from jaxopt_notes.trees import Tree, zeros_like

STATE_DTYPES = (None, "float32", "bfloat16", "packed", "8bit")


def moments(params: Tree, orders: tuple[int, ...], state_dtype: str | None = None) -> tuple[Any, ...]:
    """Moments of the parameters' shapes, at zero: one slot for `leafwise` for each order.

    Arguments:
        params: the parameters.
        orders: 1 for an average of gradients (it may be negative, or complex), 2 for one of squares or
            magnitudes (real and never negative).
        state_dtype: None for the dtype of the parameters and at least float32.
    """
    return tuple(zeros_like(params, real=order == 2) for order in orders)


def check_state_dtype(where: str, value: Any) -> str | None:
    """The name of a precision that `moments` knows; a dtype stands for its name."""
    name = value if value is None or isinstance(value, str) else getattr(value, "__name__", str(value))
    return check_choice(where, name, STATE_DTYPES)
