"""Chunks of work on threads, their results handed over in the calling thread, none of them lost.

A compiled program releases Python's lock while it runs, so threads that call it keep every core of a
CPU host busy with nothing to configure. What a thread has finished is delivered by the thread that
called `run_chunks`: there it may be written to disk without a lock, and there Ctrl-C arrives.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any


def run_chunks(
    call: Callable[[Any], Any], chunks: Iterable, workers: int, deliver: Callable[[Any, Any], None]
) -> None:
    """Call `call(chunk)` on `workers` threads, and `deliver(chunk, result)` here as each one finishes.

    When a call fails or Ctrl-C is pressed, no further chunk starts; those already running finish and
    are delivered, and then the error is raised with the traceback it had. Ctrl-C during a delivery takes
    effect when it has ended, so none is made twice. A second Ctrl-C waits for the running chunks only
    to end, and the delivery that it cuts short is made once more.

    Arguments:
        call: runs on a worker thread; must not depend on the settings of the calling thread.
        chunks: what `call` is called with, in this order.
        workers: the number of threads.
        deliver: runs on the calling thread, one chunk at a time, in the order of finishing.

    Raises:
        Whatever `call` or `deliver` raised first. KeyboardInterrupt.

    Example:
        >>> run_chunks(lambda x: x * x, [3], 2, lambda chunk, result: print(chunk, result))
        3 9
    """
    stopped_by: BaseException | None = None
    with ThreadPoolExecutor(workers, thread_name_prefix="population") as pool:
        pending = {pool.submit(call, chunk): chunk for chunk in chunks}
        try:
            while pending:
                try:
                    for future in as_completed(tuple(pending)):
                        error = None if future.cancelled() else future.exception()
                        if error is not None:
                            stopped_by = stopped_by or error
                            _cancel(pending)
                        elif not future.cancelled():
                            with _uninterrupted():
                                deliver(pending[future], future.result())
                                del pending[future]
                        pending.pop(future, None)
                except KeyboardInterrupt as interrupt:
                    if isinstance(stopped_by, KeyboardInterrupt):
                        raise
                    stopped_by = interrupt
                    _cancel(pending)
        finally:
            _cancel(pending)
    if stopped_by is not None:
        raise stopped_by


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C takes effect when the block has ended; pressed again, at once."""
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main else None
    if not callable(handler):  # Ctrl-C is none of Python's business here
        yield
        return
    pressed: list[int] = []

    def later(number: int, frame: Any) -> None:
        pressed.append(number)
        if len(pressed) > 1:
            handler(number, frame)

    signal.signal(signal.SIGINT, later)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if pressed:
        handler(pressed[0], None)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cancel(futures: Iterable) -> None:
    for future in tuple(futures):
        future.cancel()
