"""`jaxopt-notes study`: it lists, it runs, and a mistake is one clear line."""

import pytest

from jaxopt_notes.cli import main
from jaxopt_notes.cli.study import read_settings
from jaxopt_notes.studies import STUDIES, zigzag


def test_the_list_has_every_study(capsys):
    assert main(["study", "--list"]) == 0
    shown = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in shown if not line.startswith(" ")]
    assert names == sorted(STUDIES)
    assert "overfit_sine  seeds=12 epochs=20000" in shown


def test_a_study_leaves_a_table_and_a_figure(tmp_path, capsys):
    command = ["study", "zigzag", "seeds=2", "steps=30", "--seed", "3", "--output", str(tmp_path / "new")]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("inputs    gradients_of_one_sign")
    assert (tmp_path / "new" / "zigzag.png").read_bytes()[:4] == b"\x89PNG"
    header, *lines = (tmp_path / "new" / "zigzag.csv").read_text().splitlines()
    assert header == "inputs,gradients_of_one_sign,length_over_distance,steps"
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "study is 'nothing', expected one of"),
        (["zigzag", "seed=3"], "study is given 'seed=3', expected ARGUMENT=VALUE with an argument of seeds"),
        (["zigzag", "seeds"], "study is given 'seeds', expected ARGUMENT=VALUE"),
        (["zigzag", "seeds=few"], "study is given 'seeds=few', expected a whole number for seeds"),
        (["zigzag", "--seed=-1"], "--seed is -1, expected a whole number"),
    ],
)
def test_mistakes(arguments, message, capsys):
    assert main(["study", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jaxopt-notes: {message}")


def test_settings_have_the_kind_of_their_defaults():
    assert read_settings(zigzag, ["steps=40"]) == {"steps": 40}
    assert read_settings(STUDIES["saddle_escape"], ["rate=1", "seeds=2"]) == {"rate": 1.0, "seeds": 2}
