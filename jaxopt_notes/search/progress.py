"""Progress that people see: a bar with the rate and the time left, where there is somebody to see it."""

import importlib.util
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
    notebook = "ipykernel" in sys.modules
    if wanted is None:
        wanted = sys.stderr.isatty() or notebook
    widgets = notebook and importlib.util.find_spec("ipywidgets") is not None
    try:
        module = importlib.import_module("tqdm.notebook" if widgets else "tqdm") if wanted else None
    except ImportError:
        module = None
    if module is None:
        return _Silent()
    return module.tqdm(total=total, unit=f" {unit}", smoothing=0.05, dynamic_ncols=True)


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
