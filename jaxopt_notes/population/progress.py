"""Progress that people see: a bar, where it is wanted and tqdm is installed."""

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from typing import Any

from jaxopt_notes.record import check_takes

Progress = bool | None | Callable[[int, int], Any]


def check_progress(where: str, progress: Any) -> Progress:
    """Return `progress` if it is True, False, None or a function.

    Raises:
        TypeError: it is something else.
    """
    if callable(progress):
        return check_takes(where, progress, 2, "progress(done, members)")
    if progress is None or isinstance(progress, bool):
        return progress
    raise TypeError(
        f"{where} is {progress!r}, expected True, False, None, or a function that is called as "
        "progress(done, members)."
    )


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


@contextlib.contextmanager
def reporting(progress: Progress, total: int) -> Iterator[Callable[[int, int], Any] | None]:
    """What is to be called as `(done, members)` while inside: the function, a bar for True, else nothing."""
    if progress is not True:
        yield progress if callable(progress) else None
        return
    bar, shown = progress_bar(True, total, "members"), 0

    def show(done: int, members: int) -> None:
        nonlocal shown
        bar.update(done - shown)
        shown = done

    try:
        yield show
    finally:
        bar.close()


class _Silent:
    """What is used of tqdm's bar, doing nothing."""

    total = 0

    def update(self, n: int) -> None: ...

    def refresh(self) -> None: ...

    def set_description_str(self, text: str) -> None: ...

    def set_postfix_str(self, text: str) -> None: ...

    def close(self) -> None: ...
