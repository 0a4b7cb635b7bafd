"""What is shown and logged of a sweep while it goes on."""

import numpy as np
import pytest

from jaxopt_notes.search.watcher import Watcher


class Noted:
    """A bar and a logger that write down what they are told."""

    def __init__(self):
        self.said, self.logged, self.total = [], [], 0

    def log(self, trial, seed, config, score, history):
        self.logged.append(
            (trial, seed, config, score, {name: curve.tolist() for name, curve in history.items()})
        )

    def set_postfix_str(self, text):
        self.said.append(text)

    def update(self, n):
        self.said.append(n)

    def set_description_str(self, text): ...
    def refresh(self): ...
    def close(self): ...


@pytest.mark.parametrize(
    ("mode", "best"), [("min", ["0.4000", "0.2000", "0.2000"]), ("max", ["0.8000", "0.8000", "0.9000"])]
)
def test_members_are_counted_logged_and_compared(mode, best):
    """Three chunks of two members; one of them diverged. With 2 seeds, member 3 is seed 1 of trial 1."""
    noted, calls = Noted(), []
    watcher = Watcher(lambda done, total: calls.append((done, total)), None, (noted,), 2, "loss", mode)
    watcher.bar = noted
    watcher.asked(6)
    for members, scores in (([3, 0], [0.4, 0.8]), ([1, 2], [0.2, np.nan]), ([5, 4], [0.9, 0.5])):
        columns = {"rate": np.array(members) / 10}
        history = {"loss": np.array([[1.0, score] for score in scores])}
        watcher.finished(np.array(members), columns, columns, {"score": np.array(scores), "history": history})
    assert noted.total == 6
    assert calls == [(2, 6), (4, 6), (6, 6)]
    assert noted.said == [2, f"best loss {best[0]}", 2, f"best loss {best[1]}", 2, f"best loss {best[2]}"]
    assert [row[:2] for row in noted.logged] == [(1, 1), (0, 0), (0, 1), (1, 0), (2, 1), (2, 0)]
    assert noted.logged[0][2:] == ({"rate": 0.3}, 0.4, {"loss": [1.0, 0.4]})
