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
from jaxopt_notes.cli.arguments import formula, main, saved_arguments
from jaxopt_notes.cli.job import prepare
from jaxopt_notes.optimizers import OPTIMIZERS
from jaxopt_notes.studies.digits_sweep import builder, check_space, default_space

SMALL = ["sweep", "--configs", "3", "--seeds", "2", "--epochs", "2", "--optimizer", "sgd", "--quiet"]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """One small job, for all that look at what it leaves behind."""
    folder = tmp_path_factory.mktemp("job")
    assert main([*SMALL, "--output", str(folder)]) == 0
    return folder


@pytest.mark.full
def test_leaves_everything_behind(job):
    assert sorted(path.name for path in job.iterdir()) == [
        "best_params.npz", "config.json", "curves.png", "results.csv", "summary.json", "sweep.png",
    ]  # fmt: skip
    for picture in ("curves.png", "sweep.png"):
        assert (job / picture).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with np.load(job / "best_params.npz") as params:
        assert {"layers_0/kernel", "layers_0/bias"} < set(params)


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


def test_a_job_runs_again_from_its_config_with_the_same_table(job, tmp_path, capfd):
    """Also: --quiet prints nothing, and a pipe sees no progress bar."""
    assert main(["sweep", "--config", str(job / "config.json"), "--quiet", "--output", str(tmp_path)]) == 0
    assert capfd.readouterr() == ("", "")
    for name in ("results.csv", "config.json"):
        assert (tmp_path / name).read_bytes() == (job / name).read_bytes()
    with np.load(job / "best_params.npz") as first, np.load(tmp_path / "best_params.npz") as second:
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


def test_what_is_typed_beside_a_saved_job_wins(job, tmp_path, capsys):
    """Said at once of a flag that is refused; nothing is run."""
    flags = ["--config", str(job / "config.json"), "--configs", "0", "--output", str(tmp_path)]
    assert main(["sweep", *flags]) == 2
    assert "--configs is 0, expected a whole number of at least 1" in capsys.readouterr().err


@pytest.mark.full
def test_flags_change_a_saved_job_and_a_table_is_printed(job, tmp_path, capsys):
    """One configuration and one seed; every dimension but two is fixed."""
    fixed = ["--space=dropout=0", "--space=weight_decay=0.0", "--space", "clip_norm=choice([1, 10])"]
    flags = ["--configs", "1", "--seeds", "1", "--seed", "7", *fixed, "--output", str(tmp_path)]
    assert main(["sweep", "--config", str(job / "config.json"), *flags]) == 0
    out, error = capsys.readouterr()
    assert error == ""
    assert "strategy: 1 configuration of 2 hyperparameters: too few to learn from" in out
    table = out.split("\n\n")[1].splitlines()
    assert table[0].split() == ["rank", "trial", "clip_norm", "learning_rate", "valid_accuracy"]
    assert len(table) == 2
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert f"test accuracy {summary['test_accuracy']:.4f}" in out
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["configs"], config["seed"], config["epochs"]) == (1, 7, 2)
    assert config["space"]["clip_norm"] == "choice(values=[1, 10])"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--configs", "0"], "--configs is 0, expected a whole number of at least 1"),
        (["sweep", "--batch-size", "-1"], "--batch-size is -1"),
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--epochs", "ten"], "invalid int value: 'ten'"),
        (["--optimizer", "adamm"], "expected one of 'adabelief', 'adadelta'"),
        (["--space", "dropout=uniform(0.9, 0.1)"], "expected low <= high"),
        (["--space", "learning_rate=log_uniform(0, 1)"], "log_uniform"),
        (["--space", "width=uniform(1, 2)"], "with a name of b1, b2"),
        (["--space", "dropout=__import__('os')"], "is not a dimension, expected a number or one of uniform"),
        (["--space", "dropout=uniform(0, 2)"], "dropout(rate) is 2, expected a number in [0, 1]"),
        (["--seed", "-1"], "--seed is -1"),
        (["--config", "/nowhere.json"], "--config is '/nowhere.json', which cannot be read"),
        (["--config", __file__], "expected the config.json of an earlier job"),
        (["--seed", "4294967296"], "expected a whole number in [0, 2**32)"),
        (["--space", "dropout"], "expected NAME=NUMBER or NAME=DISTRIBUTION"),
        (["--output", "/proc/none"], "--output is '/proc/none', which cannot be written"),
        (["--strategy", "random_search(0)"], "--strategy: random_search(n) is 0"),
        (["--strategy", "print('x')"], "is not a strategy, expected one of grid_search"),
        (["optimise"], "invalid choice"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, says, capsys):
    assert main(arguments) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("jaxopt-notes: ")
    assert error.count("\n") == 1
    assert says in error


def test_debug_shows_where_it_went_wrong():
    with pytest.raises(ValueError, match="--configs is 0"):
        main(["sweep", "--configs", "0", "--debug"])


def test_a_mistake_leaves_the_results_of_an_earlier_job(job):
    before = {path.name: path.read_bytes() for path in job.iterdir()}
    assert main(["--space", "dropout=7", "--output", str(job)]) == 2
    assert {path.name: path.read_bytes() for path in job.iterdir()} == before


def test_results_are_replaced_only_when_told_so(tmp_path, capsys):
    (tmp_path / "results.csv").write_text("of an earlier job")
    assert main([*SMALL, "--output", str(tmp_path)]) == 2
    assert "holds the results of an earlier job: name another folder" in capsys.readouterr().err
    assert (tmp_path / "results.csv").read_text() == "of an earlier job"
    prepare(tmp_path, overwrite=True)
    (tmp_path / "unfinished").mkdir()
    prepare(tmp_path, overwrite=False)  # a job that replaces them was stopped and goes on


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
        assert formula(factory)[0][0] != " ", name
        assert formula(factory)[0] in out
    assert "adam(learning_rate" in out
    assert "θ ← θ − η·m̂ / (√(v̂ + eps_root) + eps)" in out
    assert main(["optimizers", "adam"]) == 0
    assert capsys.readouterr().out.startswith("adam(learning_rate")
    assert main(["optimizers", "adan", "adma"]) == 2
    assert "optimizers is 'adma', expected one of" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error():
    program = [sys.executable, "-m", "jaxopt_notes", "optimizers"]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0


@pytest.mark.full
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_has_a_space_that_builds(optimizer):
    """Shapes only: nothing is computed."""
    space = default_space(optimizer)
    check_space(optimizer, space)
    assert {"learning_rate", "dropout", "weight_decay", "clip_norm"} <= set(space)
    config = {name: float(axis.grid(1)[0]) for name, axis in space.items()}
    trainer = builder(optimizer, 10, 4)(config)
    data = (np.zeros((8, 64), np.float32), np.zeros(8, np.int32))
    state = jax.eval_shape(trainer.init, jax.random.key(0), data)
    jax.eval_shape(lambda state: trainer.advance(state, data, data, 1), state)


@pytest.mark.full
def test_a_stopped_job_goes_on_with_the_same_command(job, tmp_path):
    """SIGINT in the middle, in the folder of an earlier job; then the same command, and then another one."""
    (tmp_path / "results.csv").write_text("of an earlier job")
    # as `python -m jaxopt_notes`, but deaf to Ctrl-C nowhere: a shell may start its jobs with SIGINT ignored
    main_module = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "runpy.run_module('jaxopt_notes', run_name='__main__')"
    )
    command = [
        sys.executable,
        "-c",
        main_module,
        "--overwrite",
        "--configs",
        "400",
        "--seeds",
        "2",
        "--epochs",
        "10",
    ]
    process = subprocess.Popen(
        [*command, "--optimizer", "sgd", "--strategy", "random_search(400)", "--output", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    members = tmp_path / "members.csv"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not (members.exists() and members.read_text().count("\n") > 1):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "Traceback" not in error
    finished = len(members.read_text().splitlines()) - 1
    assert finished > 0
    assert out.count("\n") == 1  # what is about to be done
    assert f"{finished} finished members are in {members}. The same command goes on" in error
    assert saved_arguments(tmp_path / "config.json")[1] == "--configs=400"
    assert not (tmp_path / "results.csv").exists()
    parts = sorted(path.name for path in (tmp_path / "unfinished").glob("chunk-*.part"))
    assert len(parts) * 32 >= finished


@pytest.mark.full
def test_an_unfinished_job_is_finished_and_another_is_refused(job, tmp_path, capsys, monkeypatch):
    import jaxopt_notes.cli.job as module

    flags = [*SMALL, "--output", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(module, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main(flags) == 130  # after the search, before anything is written
    assert "6 finished members" in capsys.readouterr().err
    assert main([*flags, "--seed", "1"]) == 2
    assert "holds another run; what differs: data was" in capsys.readouterr().err
    assert main([*flags, "--epochs", "3"]) == 2
    error = capsys.readouterr().err
    assert "epochs was 2 and is 3" in error
    assert error.count("\n") == 1
    assert main(flags) == 0
    assert (tmp_path / "results.csv").read_bytes() == (job / "results.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in job.iterdir())
    assert json.loads((tmp_path / "summary.json").read_text())["restored_members"] == 6


@pytest.mark.full
def test_any_strategy_from_the_command_line(tmp_path):
    strategy = "successive_halving(4, min_epochs=1, max_epochs=2, eta=2)"
    assert main([*SMALL, "--strategy", strategy, "--output", str(tmp_path)]) == 0
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert (
        sorted((row["epochs"], row["parent"] == "-1") for row in rows)
        == [("1", True)] * 4 + [("2", False)] * 2
    )
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["steps"] == (4 + 2) * 2 * 40
    assert saved_arguments(tmp_path / "config.json")[5] == f"--strategy={strategy}"
