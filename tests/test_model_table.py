"""The page of ready models is what was measured: docs/MODELS.md."""

import pytest

from benchmarks.models import DEEP, HEADS, PAGE, PLACES, known, page

pytest.importorskip("flax")


def test_the_page_is_made_of_the_measurements():
    assert PAGE.read_text(encoding="utf-8") == page(known()), "run python -m benchmarks.models --only nothing"


def test_ratios_are_ours_by_theirs():
    ours, theirs = dict.fromkeys(HEADS, 3.0), dict.fromkeys(HEADS, 4.0)
    rows = {"lenet": {"load": 0.5, "ours": ours, "flax": theirs}}
    rows |= {place: {"load": 0.1, "ours": 0.002, "native": 0.05} for place in PLACES}
    blocks = {"repeat": {"run": 1.1, "all three": 2.0}, "unrolled": {"run": 1.0, "all three": 12.0}}
    rows[DEEP] = {"load": 2.5, **blocks}
    text = page({"versions": {"jax": "0"}, "cores": 2, "rows": rows})
    assert "load before each row was 0.1 to 2.5" in text
    assert f"| lenet | 3000.00 |{' 0.75 |' * len(HEADS)}" in text
    assert "| CNN inside a loop | 2.00 | 50.00 | 25.00× as fast |" in text
    assert "| repeat is | 1.10 of its time | 6.0× as fast |" in text
