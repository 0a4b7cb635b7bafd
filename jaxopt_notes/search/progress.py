"""Progress that people see: a bar with the rate and the time left, where there is somebody to see it."""

import sys
from collections.abc import Callable
from typing import Any


def progress_bar(wanted: bool | None, total: int, unit: str) -> Any:
    """A tqdm bar of `total` units; a silent one where it is not wanted, or tqdm is missing.

    Arguments:
        wanted: True, False, or None: if standard error is a terminal, or in a notebook.
        total: the number of units.
        unit: what is counted, as "members".
    """
    if wanted is None:
        wanted = sys.stderr.isatty() or "ipykernel" in sys.modules
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _Silent()
    return tqdm(total=total, unit=f" {unit}", disable=not wanted, smoothing=0.05, dynamic_ncols=True)


class _Silent:
    """What is used of tqdm's bar, doing nothing."""

    def update(self, n: int) -> None: ...

    def set_postfix_str(self, text: str) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> "_Silent":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


Progress = bool | None | Callable[[int, int], None]
