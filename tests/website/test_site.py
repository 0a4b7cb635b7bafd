"""The documentation: what its pages are made of, and that the build refuses what it must."""

import doctest
import json
import pathlib
import subprocess
import sys
import textwrap

import pytest

from tests import rows
from website import links, tutorials

ROOT = pathlib.Path(__file__).parents[2]


# Docstrings as Markdown

DOC = """Adam: a rule.

    m ← b1·m

    θ ← θ − η·m

Of the text, see `adamw`.

Arguments:
    rate: η ≥ 0, a number, or
        a schedule of `adam`.
    b1, b2: decays.

Returns:
    (params, state): two trees, of `optax.adamw` none.

Example:
    >>> adam(0.1)
    Adam()

Source: a paper,
    and another.

Elsewhere: the same.
"""


def test_a_docstring_becomes_markdown():
    pytest.importorskip("griffe")
    from website import docstrings

    found = docstrings.markdown(DOC, {"adamw": "x.adamw", "adam": "x.adam"}, own="adam")
    assert found == textwrap.dedent("""\
        Adam: a rule.

        ```text
        m ← b1·m

        θ ← θ − η·m
        ```

        Of the text, see [`adamw`][x.adamw].

        **Arguments**

        `rate`
        :   η ≥ 0, a number, or a schedule of `adam`.

        `b1, b2`
        :   decays.

        **Returns**

        (params, state): two trees, of `optax.adamw` none.

        **Example**

        ```pycon
        >>> adam(0.1)
        Adam()
        ```

        *Source:* a paper, and another.

        *Elsewhere:* the same.""")


# Links and notebooks


def test_links_out_of_the_pages():
    text = (
        "[a](../tests/rows.py) [b](COSTS.md) [c](../tests/nothing.py) [d](https://x.org) [e](../README.md#f)"
    )
    assert links.outward(text, "docs", "") == "a [b](COSTS.md) [c](../tests/nothing.py) [d](https://x.org) e"
    assert links.outward(text, "docs", "https://h/r").split()[:2] == [
        "[a](https://h/r/blob/main/tests/rows.py)",
        "[b](COSTS.md)",
    ]


def test_the_address_of_the_repository_is_that_of_the_project(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\n[project.urls]\nRepository = "https://h/r/"\n')
    assert links.repository(tmp_path) == "https://h/r"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert links.repository(tmp_path) == ""


def test_a_notebook_becomes_a_page(tmp_path):
    stream = {"output_type": "stream", "text": ["\x1b[31mred\x1b[0m\n"]}
    picture = {"output_type": "display_data", "data": {"image/png": "UE5H", "text/plain": "<Figure>"}}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "Text."]},
        {"cell_type": "code", "metadata": {"tags": ["install"]}, "source": "pip()", "outputs": [stream]},
        {"cell_type": "code", "metadata": {}, "source": "1 + 1", "outputs": [stream, picture]},
    ]
    path = tmp_path / "01_one.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    text, pictures = tutorials.page(path)
    assert text == (
        "# Title\nText.\n\n```python\n1 + 1\n```\n\n"
        "```{.text .output}\nred\n```\n\n![&lt;Figure&gt;](01_one_0.png)\n"
    )
    assert pictures == {"01_one_0.png": b"PNG"}
    assert tutorials.notebooks(ROOT)


# Made pages


def test_findings_say_what_was_guessed_and_with_which_versions():
    from website import findings

    for path in (ROOT / "findings").glob("*.sh"):
        assert list(findings.head(path)) == list(findings.PARTS), path.name
    assert "## flax: layer norm" in findings.page()


def test_corrections_name_rows():
    from website import corrections

    table = corrections.corrections()
    assert set(table) <= set(rows.names())
    assert len(table) == 60
    assert any(name for _, name in corrections.proofs()["S3-34"])


@pytest.mark.notes("S4-80")
def test_references_are_those_of_the_docstrings():
    pytest.importorskip("griffe")
    from website import references

    found = references.references()
    assert len(found) > 150
    assert "jaxopt_notes.optimizers.adam.adam" in found["Kingma & Ba 2015"]
    for work in ("Ioffe & Szegedy 2015", "Ba", "Ioffe 2017", "Santurkar"):  # those that the notes list
        assert any(name.startswith(work) for name in found) or work in references.HEAD, work
    assert found.keys() & {"He et al. 2015", "Glorot & Bengio 2010"}


@pytest.mark.notes("S3-30")
def test_decision_tables_are_made_of_the_measurements():
    from website import choosing

    found = choosing.summaries([0.1, 0.3, 1.0], {"task": {"a": [4.0, 1.0, 1.9], "b": [None, 2.0, 1.05]}})
    assert found["task"]["a"] == {"loss": 1.0, "rate": 0.3, "decades": 1.0}
    assert choosing.least(found["task"]) == ["a", "b"]
    text = choosing.page()
    measured = json.loads((ROOT / "benchmarks" / "results" / "choosing.json").read_text())
    for name in [*measured["initializers"], *next(iter(measured["optimizers"]["tasks"].values()))]:
        assert name in text


# The build


def test_every_public_name_has_a_docstring_of_its_own():
    pytest.importorskip("griffe")
    from website import symbols

    found = symbols.symbols()
    assert len(found) > 700
    assert symbols.undocumented(found.values()) == []
    bare = symbols.Symbol("x", "layers", "jaxopt_notes.layers.layer.x", "function", "")
    assert symbols.undocumented([*found.values(), bare]) == [bare.path]


@pytest.mark.full
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("[a](nothing.md)", "nothing.md"),
        ("[a](other.md#nowhere)", "nowhere"),
        ("[`x`][jaxopt_notes.nothing.x]", "jaxopt_notes.nothing.x"),
        ("undocumented", "without a docstring of their own: jaxopt_notes.layers.layer.x"),
        ("[a](other.md#here)", None),
    ],
)
def test_the_build_refuses(tmp_path, fault, message):
    """Our configuration, with pages of its own in place of ours."""
    pytest.importorskip("mkdocstrings")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Start\n\n{fault}\n")
    (tmp_path / "docs" / "other.md").write_text("# Other\n\n## Here\n")
    plant = (
        """
from website import symbols
found = symbols.symbols
symbols.symbols = lambda: {"x": symbols.Symbol("x", "layers", "jaxopt_notes.layers.layer.x", "function", "")}
"""
        if fault == "undocumented"
        else "from website import symbols\nsymbols.symbols = dict\n"
    )
    script = f"""
import logging
logging.basicConfig(level="WARNING")
import sys
sys.path.insert(0, {str(ROOT)!r})
{plant}
from website import pages
pages.made = pages.navigation = dict
from mkdocs.commands.build import build
from mkdocs.config import load_config
config = load_config(
    {str(ROOT / "mkdocs.yml")!r}, docs_dir={str(tmp_path / "docs")!r}, site_dir={str(tmp_path / "site")!r},
    nav=[{{"Start": "index.md"}}, {{"Other": "other.md"}}], extra_css=[],
)
config.plugins.run_event("startup", command="build", dirty=False)
build(config)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False
    )
    assert (done.returncode == 0) == (message is None), done.stderr[-2000:]
    assert message is None or message in done.stderr


@pytest.mark.full
def test_the_examples_on_numerics_run():
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testfile(
        str(ROOT / "docs" / "NUMERICS.md"), module_relative=False, optionflags=flags
    )
    assert (failed, tried > 10) == (0, True)
