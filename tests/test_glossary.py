"""The glossary of abbreviations names what there is."""

import pathlib

import pytest

import jaxopt_notes as jn

GLOSSARY = pathlib.Path(__file__).parent.parent / "docs" / "GLOSSARY.md"


@pytest.mark.notes("S0-04")
def test_every_entry_names_a_public_symbol():
    rows = [line for line in GLOSSARY.read_text(encoding="utf-8").splitlines() if line.count("`") == 2]
    names = [row.split("`")[1] for row in rows]
    assert len(names) > 200
    assert len(set(names)) == len(names)
    assert [name for name in names if name not in jn.__all__] == []
