"""Chunks of work on threads, their results handed over in the calling thread, none of them lost.

A compiled program releases Python's lock while it runs, so threads that call it keep every core of a
CPU host busy with nothing to configure. What a thread has finished is delivered by the thread that
called `run_chunks`: there it may be written to disk without a lock, and there Ctrl-C arrives. Where every
thread has one chunk, or there is one thread, the calling thread is one of them: to start another takes longer
than small chunks do.

Python raises KeyboardInterrupt wherever it happens to be, and loses it where nothing can be raised, as in
the callback of a weak reference. So Ctrl-C is a message here, which is read between one result and the next.
"""

import collections
import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterable
from typing import Any

_PRESSED = object()


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
    waiting = collections.deque(chunks)
    messages: queue.SimpleQueue[Any] = queue.SimpleQueue()  # (chunk, result, error), or _PRESSED
    left = len(waiting)  # chunks whose results have not been delivered

    def work(most: int) -> None:
        with contextlib.suppress(IndexError):
            for _ in range(most):
                chunk = waiting.popleft()
                try:
                    messages.put((chunk, call(chunk), None))
                except BaseException as error:
                    messages.put((chunk, None, error))

    def stop() -> None:
        nonlocal left
        with contextlib.suppress(IndexError):
            while True:
                waiting.popleft()
                left -= 1

    helps = left <= workers or workers == 1  # else it delivers what the others have finished, at once
    threads = [
        threading.Thread(target=work, args=(left,), name=f"population_{i}")
        for i in range(min(workers, left) - helps)
    ]
    stopped_by: BaseException | None = None
    message = None
    with _CtrlC(lambda: messages.put(_PRESSED)) as ctrl_c:
        try:
            for thread in threads:
                thread.start()
            while left:
                try:
                    if helps and message is None:
                        work(1)
                    message = message or messages.get()
                    if message is _PRESSED:
                        message = None
                        ctrl_c.answer()
                        continue
                    chunk, result, error = message
                    if error is None:
                        deliver(chunk, result)
                    else:
                        stopped_by = stopped_by or error
                        stop()
                    left, message = left - 1, None
                except KeyboardInterrupt as interrupt:
                    if isinstance(stopped_by, KeyboardInterrupt):
                        raise
                    stopped_by = interrupt
                    stop()
        finally:
            stop()
            for thread in threads:
                thread.join()
    if stopped_by is not None:
        raise stopped_by


class _CtrlC:
    """Ctrl-C calls `noted`, and acts when answered, or at the end of the block; pressed again, at once."""

    def __init__(self, noted: Callable[[], None]):
        in_main = threading.current_thread() is threading.main_thread()
        self._handler: Any = signal.getsignal(signal.SIGINT) if in_main else None
        self._noted, self._pressed = noted, False

    def __enter__(self) -> "_CtrlC":
        if callable(self._handler):  # else Ctrl-C is none of Python's business here
            signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *_: Any) -> None:
        if callable(self._handler):
            signal.signal(signal.SIGINT, self._handler)
        self.answer()

    def answer(self) -> None:
        """What it does outside, if it was pressed."""
        if self._pressed:
            self._pressed = False
            self._handler(signal.SIGINT, None)

    def _press(self, number: int, frame: Any) -> None:
        if self._pressed:
            self.answer()
        else:
            self._pressed = True
            self._noted()


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
