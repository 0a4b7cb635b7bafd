"""The command line: the main job end to end, and every mistake in one line."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.cli import formula, main
from jaxopt_notes.optimizers import OPTIMIZERS
from jaxopt_notes.studies.digits_sweep import builder, default_space
from jaxopt_notes.studies.notation import read_axis, write_axis

SMALL = ["sweep", "--configs", "3", "--seeds", "2", "--epochs", "2", "--optimizer", "sgd", "--quiet"]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """One small job, for all that look at what it leaves behind."""
    folder = tmp_path_factory.mktemp("job")
    assert main([*SMALL, "--output", str(folder)]) == 0
    return folder


def test_leaves_everything_behind(job):
    assert sorted(path.name for path in job.iterdir()) == [
        "best_params.npz", "config.json", "curves.png", "results.csv", "summary.json", "sweep.png",
    ]  # fmt: skip
    for picture in ("curves.png", "sweep.png"):
        assert (job / picture).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert {"layers_0/kernel", "layers_0/bias"} < set(np.load(job / "best_params.npz"))


def test_summary_has_the_figures(job):
    summary = json.loads((job / "summary.json").read_text())
    rows = list(csv.DictReader((job / "results.csv").read_text().splitlines()))
    assert summary["members"] == 6
    assert summary["steps"] == 6 * 2 * 40  # 1,258 training digits in batches of 32
    assert 0 < summary["test_accuracy"] <= 1
    assert summary["seconds_compiling"] > 0
    assert summary["member_steps_per_second"] == pytest.approx(480 / summary["seconds_running"], rel=0.05)
    assert summary["devices"]
    best = max(rows, key=lambda row: float(row["score_mean"]))
    assert summary["valid_accuracy_mean"] == pytest.approx(float(best["score_mean"]))
    assert summary["best"]["learning_rate"] == pytest.approx(float(best["learning_rate"]))
    assert set(summary["best"]) == set(default_space("sgd"))


def test_config_says_how_to_repeat_it(job):
    config = json.loads((job / "config.json").read_text())
    assert {name: config[name] for name in ("optimizer", "configs", "seeds", "epochs", "seed")} == {
        "optimizer": "sgd", "configs": 3, "seeds": 2, "epochs": 2, "seed": 0,
    }  # fmt: skip
    assert config["space"]["dropout"] == "uniform(low=0.0, high=0.5)"
    assert set(config["versions"]) == {"jaxopt_notes", "jax", "numpy"}


@pytest.mark.parametrize("again", ["arguments", "config"])
def test_the_same_seed_gives_the_same_table(again, job, tmp_path):
    """Also when the job is repeated from what it wrote down."""
    repeat = SMALL if again == "arguments" else ["sweep", "--config", str(job / "config.json"), "--quiet"]
    assert main([*repeat, "--output", str(tmp_path)]) == 0
    assert (tmp_path / "results.csv").read_bytes() == (job / "results.csv").read_bytes()


def test_quiet_prints_nothing(job, capsys, tmp_path):
    assert main([*SMALL, "--configs", "1", "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--configs", "0"], "--configs is 0, expected a whole number of at least 1"),
        (["sweep", "--batch-size", "-1"], "--batch-size is -1"),
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--epochs", "ten"], "invalid int value: 'ten'"),
        (["--optimizer", "adamm"], "expected one of 'sgd'"),
        (["--space", "dropout=uniform(0.9, 0.1)"], "expected low <= high"),
        (["--space", "learning_rate=log_uniform(0, 1)"], "log_uniform"),
        (["--space", "width=uniform(1, 2)"], "with a name of b1, b2"),
        (["--space", "dropout=__import__('os')"], "is no dimension, expected a number or one of uniform"),
        (["--space", "dropout=uniform(0, 2)"], "dropout(rate) is 2, expected a number in [0, 1]"),
        (["--seed", "-1"], "--seed is -1"),
        (["--config", "/nowhere.json"], "--config is '/nowhere.json', which cannot be read"),
        (["--space", "dropout"], "expected NAME=NUMBER or NAME=DISTRIBUTION"),
        (["--output", "/proc/none"], "--output is '/proc/none', which cannot be written"),
        (["optimise"], "invalid choice"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, says, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error


def test_help_has_examples(capsys):
    for arguments in (["--help"], ["sweep", "--help"]):
        assert main(arguments) == 0
        assert "jaxopt-notes sweep --optimizer nesterov" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == jn.__version__


def test_every_optimizer_is_listed_with_defaults_and_formula(capsys):
    assert main(["optimizers"]) == 0
    out = capsys.readouterr().out
    for name, factory in OPTIMIZERS.items():
        assert f"\n{name}(" in "\n" + out
        assert formula(factory), name
        assert formula(factory)[0] in out
    assert "adam(learning_rate" in out
    assert "θ ← θ − η·m̂ / (√(v̂ + eps_root) + eps)" in out


@pytest.mark.parametrize(
    "axis",
    [
        jn.uniform(0, 0.5),
        jn.log_uniform(1e-4, 1e-1),
        jn.normal(0.0, 2.0),
        jn.integers(1, 9),
        jn.choice([1, 2]),
        0.25,
    ],
    ids=str,
)
def test_a_dimension_is_read_as_it_was_written(axis):
    again = read_axis(write_axis(axis))
    assert type(again) is type(axis)
    assert str(again) == str(axis)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_has_a_space_that_builds(optimizer):
    """Shapes only: nothing is computed."""
    space = default_space(optimizer)
    assert {"learning_rate", "dropout", "weight_decay", "clip_norm"} <= set(space)
    config = {name: float(axis.grid(1)[0]) for name, axis in space.items()}
    trainer = builder(optimizer, 10, 4)(config)
    data = (np.zeros((8, 64), np.float32), np.zeros(8, np.int32))
    state = jax.eval_shape(trainer.init, jax.random.key(0), data)
    jax.eval_shape(lambda state: trainer.advance(state, data, data, 1), state)


def test_ctrl_c_leaves_what_was_finished(tmp_path):
    """SIGINT in the middle of a job far too long to finish."""
    command = [sys.executable, "-m", "jaxopt_notes", "--configs", "4000", "--seeds", "2", "--epochs", "20"]
    process = subprocess.Popen(
        [*command, "--optimizer", "sgd", "--output", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    members = tmp_path / "members.csv"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not (members.exists() and members.read_text().count("\n") > 1):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "Traceback" not in error
    finished = len(members.read_text().splitlines()) - 1
    assert finished > 0
    assert out.count("\n") == 1  # what is about to be done
    assert f"{finished} finished members are in {members}" in error
    assert f"jaxopt-notes sweep --config {tmp_path / 'config.json'}" in error
