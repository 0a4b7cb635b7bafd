"""Chunks on threads: what is delivered when something goes wrong."""

import signal
import threading
import time
import traceback
import weakref

import pytest

from jaxopt_notes.population.workers import run_chunks


def collect(call, chunks, workers=2):
    delivered = {}
    return delivered, lambda: run_chunks(call, chunks, workers, delivered.__setitem__)


def test_all_are_delivered_and_threads_work_together():
    together = threading.Barrier(2, timeout=5)  # passed only if two chunks run at the same time
    delivered, run = collect(lambda chunk: (together.wait(), chunk)[1] ** 2, range(4))
    run()
    assert delivered == {0: 0, 1: 1, 2: 4, 3: 9}


def test_an_error_keeps_its_traceback_and_what_was_finished():
    finished = threading.Event()
    called = []

    def culprit(chunk):
        called.append(chunk)
        if chunk == 1:
            raise ValueError("chunk 1 is bad")
        if chunk == 0:
            finished.wait(0.2)  # still running when chunk 1 fails
        else:
            time.sleep(0.02)
        return chunk

    delivered, run = collect(culprit, range(100))
    with pytest.raises(ValueError, match="chunk 1 is bad") as caught:
        run()
    assert "culprit" in "".join(traceback.format_tb(caught.value.__traceback__))
    assert delivered[0] == 0
    assert set(delivered) == set(called) - {1}
    assert len(called) < 100


def test_an_error_of_a_delivery_stops_the_rest():
    called = []

    def deliver(chunk, result):
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        run_chunks(lambda chunk: (called.append(chunk), time.sleep(0.01)), range(100), 1, deliver)
    assert len(called) < 100


@pytest.fixture
def hears_ctrl_c():
    """Python's own handler, also where a shell has started the tests with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_during_a_delivery_waits_for_its_end_unless_it_is_pressed_twice(presses, hears_ctrl_c):
    """So that what a delivery has written before is not written again."""
    before, written, ended = hears_ctrl_c, [], []

    def deliver(chunk, result):
        written.append(chunk)
        if len(written) == 1:
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)
        ended.append(chunk)

    with pytest.raises(KeyboardInterrupt):
        run_chunks(lambda chunk: (time.sleep(0.01), chunk)[1], range(100), 1, deliver)
    assert ended == list(range(len(ended)))
    assert 1 <= len(ended) < 100
    assert written == ([0] if presses == 2 else []) + ended
    assert signal.getsignal(signal.SIGINT) is before


def test_deliveries_on_another_thread_need_no_signals():
    delivered, run = collect(lambda chunk: chunk, range(3))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert delivered == {0: 0, 1: 1, 2: 2}


def test_an_interrupted_delivery_is_made_once_more():
    attempts = []

    def deliver(chunk, result):
        attempts.append(chunk)
        if len(attempts) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_chunks(lambda chunk: chunk, [7], 1, deliver)
    assert attempts == [7, 7]


def test_the_first_error_is_raised_and_not_a_later_one():
    together = threading.Barrier(2, timeout=5)

    def both_fail(chunk):
        together.wait()  # what has not begun when the first fails is never called
        if chunk == 0:
            raise ValueError("the first")
        time.sleep(0.1)  # until it has been seen
        raise KeyError("a later one")

    _, run = collect(both_fail, range(2))
    with pytest.raises(ValueError, match="the first"):
        run()


@pytest.mark.parametrize(("chunks", "workers"), [(1, 4), (3, 1), (2, 2)])
def test_no_thread_is_started_that_the_calling_one_can_be(chunks, workers):
    together = threading.Barrier(min(chunks, workers), timeout=5)
    threads = []
    _, run = collect(
        lambda chunk: (threads.append(threading.current_thread()), together.wait()), range(chunks), workers
    )
    run()
    assert threads.count(threading.current_thread()) == chunks // min(chunks, workers)


def test_ctrl_c_is_not_lost_where_python_can_raise_nothing(hears_ctrl_c):
    class Thing:
        pass

    def call(chunk):
        thing = Thing()
        reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing  # an error in the callback is printed and forgotten
        return reference() is None

    delivered, run = collect(call, range(3), 1)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert delivered == {0: True}
