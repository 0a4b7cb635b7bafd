"""What all studies share: a registry, tables."""

import inspect

import jax
import numpy as np
import pytest

from jaxopt_notes.studies import STUDIES
from jaxopt_notes.studies.result import StudyResult, aligned


def test_every_study_is_found_and_explained():
    """Set by numbers that have defaults, a function of a key where there is chance, with its source."""
    assert len(STUDIES) >= 7
    for name, study in STUDIES.items():
        arguments = inspect.signature(study).parameters.values()
        assert [p.name for p in arguments if p.kind is not p.KEYWORD_ONLY] in ([], ["key"]), name
        doc = inspect.getdoc(study) or ""
        assert all(part in doc for part in ("Returns:", "Source:")), name
        result = inspect.signature(study).return_annotation
        assert issubclass(result, StudyResult), name
        assert {"rows", "plot"} <= set(vars(result)), name


def test_a_table():
    rows = [
        {"name": "a", "n": np.int64(1200), "x": 0.123456, "ok": True},
        {"name": "longer", "n": 3.0, "x": np.nan, "ok": np.False_},
    ]
    assert aligned(rows).splitlines() == [
        "name       n       x   ok",
        "a       1200  0.1235  yes",
        "longer     3     nan   no",
    ]
    with pytest.raises(NotImplementedError):
        StudyResult().rows()


def test_results_are_trees(key):
    """Of arrays, so a study can be mapped and saved like anything else."""
    found = STUDIES["zigzag"](key, seeds=1, steps=3)
    leaves = jax.tree.leaves(found)
    assert len(leaves) == 4
    assert type(jax.tree.map(np.negative, found)) is type(found)
