"""`jaxopt-notes sweep --data`: the main job on a table, with the outputs of the main job."""

import csv
import json

import jax
import numpy as np
import pytest

from jaxopt_notes.cli.arguments import main, saved_arguments
from jaxopt_notes.cli.own_sweep import OwnTask
from jaxopt_notes.cli.own_table import read_table

pytestmark = pytest.mark.full
SMALL = ["--configs", "3", "--seeds", "2", "--epochs", "3", "--optimizer", "adam", "--quiet"]
OUTPUTS = [
    "best_params.npz", "config.json", "curves.png", "preprocessing.json", "results.csv", "summary.json",
    "sweep.png",
]  # fmt: skip


def table(path, n=160):
    draw = np.random.default_rng(0)
    x, city = draw.normal(size=n), draw.choice(["Bern", "Rom"], n)
    price = 100 + 20 * x + 10 * (city == "Rom")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "city", "price", "dear"])
        for row in zip(x, city, price, np.where(price > 105, "yes", "no"), strict=True):
            writer.writerow(["" if row[0] > 2 else row[0], *row[1:]])


def run(tmp_path, *arguments):
    folder = tmp_path / "out"
    assert main(["sweep", *arguments, *SMALL, "--output", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == OUTPUTS
    return json.loads((folder / "summary.json").read_text()), folder


def test_a_classification_and_its_flags(tmp_path):
    table(tmp_path / "a.csv")
    options = ["--data", str(tmp_path / "a.csv"), "--target", "dear", "--ignore", "price",
               "--space", "learning_rate=0.01"]  # fmt: skip
    summary, folder = run(tmp_path, *options)
    assert summary["test_accuracy"] > 0.8
    assert "'dear' is a class, one of 2 (no, yes): classification, because it is text." in summary["data"]
    prepared = json.loads((folder / "preprocessing.json").read_text())
    assert prepared["classes"] == ["no", "yes"]
    assert prepared["categories"] == {"city": ["Bern", "Rom"]}
    saved = saved_arguments(folder / "config.json")
    assert {f"--data={tmp_path / 'a.csv'}", "--target=dear", "--model=mlp", "--ignore=price"} < set(saved)


def test_a_regression_by_a_model_of_ones_own_is_scored_in_units_of_the_target(tmp_path, monkeypatch):
    table(tmp_path / "a.csv")
    (tmp_path / "mine.py").write_text(
        "import jaxopt_notes as jn\n"
        "def net(h, outputs):\n"
        "    return jn.mlp([16, outputs], dropout=h['drop'])\n"
    )
    monkeypatch.chdir(tmp_path)
    options = ["--data", "a.csv", "--target", "price", "--ignore", "dear", "--model", "mine:net"]
    space = ["--space", "learning_rate=0.03", "--space", "drop=uniform(0, 0.1)"]
    summary, _ = run(tmp_path, *options, *space)
    assert 0.5 < summary["test_rmse"] < 18  # the deviation is 21
    assert summary["valid_rmse_mean"] < 18
    assert "drop" in summary["best"]


def test_images_have_channels_for_the_cnn():
    columns = {"image": np.random.default_rng(0).normal(size=(60, 4, 6)), "y": np.repeat([0.0, 1.0], 30)}
    task = OwnTask(read_table(columns, "y"), "cnn")
    task.check("adam", {})
    x, y = task._prepare(np.arange(40)).of(np.arange(60))
    assert (x.shape, y.dtype) == ((60, 4, 6, 1), np.int32)
    trainer = task._builder("adam", 1, 8, 1.0)({"learning_rate": 0.1, "clip_norm": 1.0, "dropout": 0.1,
                                              "weight_decay": 0.0})  # fmt: skip
    state = jax.eval_shape(trainer.init, jax.random.key(0), (x, y))
    assert {leaf.shape[-1] for leaf in jax.tree.leaves(state.best_params)} == {16, 32, 64, 2}


def test_mistakes_are_one_line(tmp_path, capsys):
    table(tmp_path / "a.csv")
    data = ["--data", str(tmp_path / "a.csv")]
    for arguments, message in (
        (data, "--data needs --target COLUMN"),
        (["--target", "x"], "--target needs --data FILE"),
        ([*data, "--target", "z"], "expected a column of the file: x, city, price, dear"),
        ([*data, "--target", "price", "--model", "cnn"], "which needs images"),
        (["--model", "cnn"], "--model is 'cnn', which needs --data FILE"),
    ):
        assert main(["sweep", *arguments, "--output", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
