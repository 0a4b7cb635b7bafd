"""`jaxopt-notes sweep --data`: the main job on a table, with the outputs of the main job."""

import csv
import json

import numpy as np
import pytest

from jaxopt_notes.cli.arguments import main

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


def test_a_classification_and_its_repetition(tmp_path, capsys):
    table(tmp_path / "a.csv")
    options = ["--data", str(tmp_path / "a.csv"), "--target", "dear", "--ignore", "price",
               "--space", "learning_rate=0.01"]  # fmt: skip
    summary, folder = run(tmp_path, *options)
    assert summary["test_accuracy"] > 0.8
    assert "'dear' is a class, one of 2 (no, yes): classification, because it is text." in summary["data"]
    prepared = json.loads((folder / "preprocessing.json").read_text())
    assert prepared["classes"] == ["no", "yes"]
    assert prepared["categories"] == {"city": ["Bern", "Rom"]}
    assert main(["sweep", "--config", str(folder / "config.json"), "--output", str(tmp_path / "again"),
                 "--quiet"]) == 0  # fmt: skip
    again = json.loads((tmp_path / "again" / "summary.json").read_text())
    assert (again["test_accuracy"], again["best"]) == (summary["test_accuracy"], summary["best"])


def test_a_regression_is_scored_in_units_of_its_target(tmp_path):
    table(tmp_path / "a.csv")
    summary, _ = run(tmp_path, "--data", str(tmp_path / "a.csv"), "--target", "price", "--ignore", "dear",
                     "--space", "learning_rate=0.01", "--space", "dropout=0")  # fmt: skip
    assert 0.5 < summary["test_rmse"] < 15  # the deviation is 20
    assert summary["valid_rmse_mean"] < 15


def test_images_and_a_model_of_ones_own(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    image = draw.normal(size=(60, 4, 4)) + y[:, None, None]
    np.savez(tmp_path / "a.npz", image=image, label=y)
    options = ["--data", str(tmp_path / "a.npz"), "--target", "label", "--space", "learning_rate=0.01"]
    assert run(tmp_path, *options, "--model", "cnn")[0]["test_accuracy"] > 0.6
    (tmp_path / "mine.py").write_text(
        "import jaxopt_notes as jn\n"
        "def net(h, outputs):\n"
        "    return jn.serial(jn.flatten(), jn.mlp([8, outputs], dropout=h['drop']))\n"
    )
    monkeypatch.chdir(tmp_path)
    options += ["--model", "mine:net", "--space", "drop=uniform(0, 0.2)", "--overwrite"]
    assert "drop" in run(tmp_path, *options)[0]["best"]


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
