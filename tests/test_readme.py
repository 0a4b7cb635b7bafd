"""The README: its examples run, and it names what there is."""

import pathlib
import re

import pytest

import jaxopt_notes as jn

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
PEERS = {"flax", "equinox"}


def peers_of(block):
    return [peer for peer in PEERS if re.search(rf"^(from|import) {peer}", block, re.MULTILINE)]


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


@pytest.mark.parametrize("room", re.findall(r"^\| (`.*?) \|", README, re.MULTILINE))
def test_rooms_exist(room):
    for name in re.findall(r"`(\w+)`", room):
        assert (ROOT / "jaxopt_notes" / name).is_dir() or (ROOT / "jaxopt_notes" / f"{name}.py").is_file()


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
