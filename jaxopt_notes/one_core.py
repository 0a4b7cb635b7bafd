"""Whether a program is compiled for one core of a CPU, beside others like it, or may have all cores.

Who compiles it knows; who has a choice of forms asks while the program is lowered.
"""

import contextlib
import contextvars
from collections.abc import Iterator

__all__: list[str] = []

_ONE_CORE = contextvars.ContextVar("one core", default=False)


def on_one_core() -> bool:
    """Whether what is being lowered will have one core."""
    return _ONE_CORE.get()


@contextlib.contextmanager
def compiled_for_one_core(really: bool = True) -> Iterator[None]:
    """What is lowered within is for one core, if `really`."""
    token = _ONE_CORE.set(really)
    try:
        yield
    finally:
        _ONE_CORE.reset(token)
