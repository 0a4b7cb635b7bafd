"""The pages for newcomers: both sides of every pair run, and their answers are equal."""

import pathlib
import re

import jax
import numpy as np
import pytest

import jaxopt_notes as jn

PAGES = sorted((pathlib.Path(__file__).parents[2] / "docs" / "coming_from").glob("*.md"))


def run(text, library):
    """The answers of all blocks of a library on a page, run in order in one namespace."""
    namespace, answers = {}, []
    for block in re.findall(rf'^```python title="{library}"\n(.*?)^```', text, re.DOTALL | re.MULTILINE):
        namespace.pop("answer", None)
        exec(block, namespace)
        answers.append(namespace.get("answer"))
    return answers


@pytest.mark.full
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_both_sides_run_and_agree(page):
    text = page.read_text(encoding="utf-8")
    ours = run(text, "jaxopt_notes")
    assert len(ours) >= 2
    pytest.importorskip(page.stem)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as they rely on
        theirs = run(text, page.stem)
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if a is not None or b is not None]
    assert page.stem in ("keras", "optuna") or len(pairs) >= 3
    for a, b in pairs:
        a, b = jax.tree.leaves(a), jax.tree.leaves(b)
        assert len(a) == len(b) > 0
        for mine, peers in zip(a, b, strict=True):
            np.testing.assert_allclose(np.asarray(mine), np.asarray(peers), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_in_the_tables_exist(page):
    text = page.read_text(encoding="utf-8")
    homes = [jn, jn.interop, jn.search.Results]
    for row in re.findall(r"^\| .*? \| (.*) \|$", text, re.MULTILINE)[1:]:
        for name in re.findall(r"`(?:result\.|jn\.)?([a-z]\w+)", row):
            assert any(hasattr(home, name) for home in homes), name
    for name in re.findall(r"jn\.(\w+)", text):
        assert hasattr(jn, name), name
