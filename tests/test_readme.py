"""The README: its examples run, and it names what there is."""

import importlib
import json
import pathlib
import re

import pytest

import jaxopt_notes as jn
from jaxopt_notes.optimizers import OPTIMIZERS

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
PEERS = {"flax", "equinox"}


def peers_of(block):
    return [peer for peer in PEERS if re.search(rf"^(from|import) {peer}", block, re.MULTILINE)]


@pytest.mark.full
def test_examples_run(capsys):
    """Those without peers, in order, in one namespace; the others are tested with the peers."""
    namespace = {}
    plain = [block for block in BLOCKS if not peers_of(block)]
    assert len(plain) == 2
    for block in plain:
        exec(block, namespace)
    loss = float(capsys.readouterr().out.splitlines()[0])
    assert loss < 1e-3
    assert namespace["result"].best["valid_loss"] < 2.4


@pytest.mark.parametrize("row", re.findall(r"^\| (`.*?) \| (.*) \|", README, re.MULTILINE))
def test_names_in_the_table_exist(row):
    """Those that look like names, in backticks or with an underscore, are in its subpackages or public."""
    homes = [importlib.import_module(f"jaxopt_notes.{name}") for name in re.findall(r"`(\w+)`", row[0])]
    for name in re.findall(r"`(\w+)|\b([a-z]+_\w+)", row[1]):
        assert any(hasattr(home, "".join(name)) for home in [jn, *homes]), name


def test_every_optimizer_is_on_the_page_that_the_table_names():
    """tests/test_optimizer_table.py has the rest."""
    (row,) = re.findall(r"^\| `optimizers`.*", README, re.MULTILINE)
    ((_, page),) = re.findall(r"\[([^]]*)\]\((\S+)\)", row)
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [name for name in OPTIMIZERS if f"### {name}\n" not in text] == []


def test_names_in_the_text_are_public():
    for name in re.findall(r"jn\.(\w+)", README):
        assert hasattr(jn, name), name


def test_pictures_exist():
    for target in re.findall(r"!\[[^]]*\]\((\S+)\)", README):
        assert (ROOT / target).is_file()


def test_the_two_commands():
    (block,) = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    assert block.splitlines() == [
        'pip install -e ".[demo]" && python -m jaxopt_notes',
        'pip install -e ".[test]" && python -m pytest',
    ]


def test_continuous_integration_runs_the_commands_for_tests_and_for_the_documentation():
    """They are read from the README by these patterns."""
    patterns = re.findall(r"grep (?:-o )?-m 1 -E '(.*?)' README.md", (ROOT / ".ci" / "run").read_text())
    assert [re.findall(pattern, README, re.MULTILINE) for pattern in patterns] == [
        ['pip install -e ".[test]" && python -m pytest'],
        ['pip install -e ".[docs]" && python -m mkdocs build'],
    ]


def test_the_speed_table_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/results/instead.json").read_text(encoding="utf-8"))["many"]
    rows = re.findall(r"^\| `?(.+?)`? \| (\d+) \| (\d+) \| ([\d.]+) \|$", README, re.MULTILINE)
    measured = [
        (name, str(row["trained"]), f"{row['seconds']:.0f}", f"{row['ours_is']:.1f}")
        for name, row in found.items()
    ]
    assert rows == measured
