"""What docs/SWEEPS.md says to write is there: names, methods of results, arguments."""

import inspect
import pathlib
import re

import jaxopt_notes as jn
from jaxopt_notes.search import Results, default_search

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "SWEEPS.md").read_text(encoding="utf-8")
CODE = " ".join(re.findall(r"`([^`]+)`", PAGE))


def test_every_name_is_there():
    for path in set(re.findall(r"\bjn((?:\.\w+)+)", CODE)):
        found = jn
        for name in path.split(".")[1:]:
            found = getattr(found, name)
    for name in set(re.findall(r"\bplot_\w+", CODE)):
        assert callable(getattr(jn.plots, name))
    for name in set(re.findall(r"\b\w+_logger", CODE)):
        assert callable(getattr(jn.interop if name != "csv_logger" else jn, name))
    fields = set(Results.__dataclass_fields__)
    for name in set(re.findall(r"\bresults\.(\w+)", CODE)) | set(re.findall(r"\bto_\w+", CODE)):
        assert name in fields or hasattr(Results, name), name
    assert {"strategy", "why"} <= set(default_search({"rate": jn.uniform(0.0, 1.0)}, 8)._fields)


def test_every_argument_is_there():
    of_sweep = {
        "enqueue", "learn_from", "seconds", "target", "patience", "monitor", "constraints", "folds",
        "preprocess", "folder", "keep_states", "keep_params", "refit", "logger",
    }  # fmt: skip
    assert of_sweep <= set(inspect.signature(jn.sweep).parameters)
    written = set(re.findall(r"\b(\w+)=", CODE))
    assert of_sweep <= written
    others = {"key", "trainings", "seeds", "history_every", "sampler"}
    assert written <= of_sweep | others
