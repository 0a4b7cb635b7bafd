"""What a job writes: members as they come, and figures of what was trained and what was restored."""

import csv
import types

import numpy as np
import pytest

from jaxopt_notes.cli.job import RESULTS, Members, describe, summarize
from jaxopt_notes.population.execution import Report
from jaxopt_notes.search import Results


def test_members_are_written_as_they_come(tmp_path):
    """The first of them take the folder over."""
    for name in RESULTS:
        (tmp_path / name).write_text("of an earlier job")
    members = Members(tmp_path, {"command": "sweep"})
    assert members.describe() == "no member had finished, nothing was written."
    for numbers in ([4, 5], [0]):
        rates = {"rate": np.array(numbers) / 10, "width": np.array(numbers)}
        members.add(np.array(numbers), rates, {"score": np.array(numbers) + 0.5})
    rows = list(csv.reader((tmp_path / "members.csv").read_text().splitlines()))
    assert rows == [
        ["member", "rate", "width", "score"],
        ["4", "0.4", "4", "4.5"], ["5", "0.5", "5", "5.5"], ["0", "0.0", "0", "0.5"],
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "members.csv"]
    assert members.describe().startswith("3 finished members are in")


def test_restored_members_are_not_counted_as_trained():
    """Of 4 × 2 members 2 were restored; each had 3 epochs of 5 steps, in 2 seconds."""
    scores = np.array([[0.1, 0.2], [0.7, 0.9], [0.3, np.nan], [0.5, 0.5]])
    reports = (Report(8, 2, 4, 4, ("cpu:0",), 2, 1.5, 2.0, restored=2, trained=6),)
    results = Results({"rate": np.arange(4.0)}, scores, "accuracy", "max", reports=reports)
    outcome = types.SimpleNamespace(results=results, steps_per_epoch=5, test_score=0.8)
    summary = summarize(outcome, 3, 9.0)
    assert summary["steps"] == 8 * 3 * 5
    assert summary["restored_members"] == 2
    assert summary["member_steps_per_second"] == 6 * 3 * 5 / 2
    assert summary["best"] == {"rate": 1.0}
    assert summary["valid_accuracy_mean"] == pytest.approx(0.8)
    assert summary["valid_accuracy_std"] == pytest.approx(np.std([0.7, 0.9], ddof=1))
    assert (summary["diverged_members"], summary["worker_threads"], summary["seconds_total"]) == (1, 2, 9.0)
    assert "test accuracy 0.8000" in describe(summary)
