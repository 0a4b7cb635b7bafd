"""Importance and edges on functions whose answer is known, exports, and loggers."""

import csv
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.interop import tensorboard_logger, wandb_logger
from jaxopt_notes.search import (
    Results,
    choice,
    integers,
    log_uniform,
    pair_importance,
    static_choice,
    sweep,
    uniform,
)
from jaxopt_notes.search.importance import edge_warnings, importance, in_order
from jaxopt_notes.search.loggers import csv_logger


def drawn(n, score, seed=0, **columns):
    """Results of n random configurations with a score that is a function of them."""
    random = np.random.default_rng(seed)
    columns = {name: draw(random, n) for name, draw in columns.items()}
    return Results(columns, score(**columns)[:, None])


UNIT = lambda random, n: random.uniform(size=n)  # noqa: E731


@pytest.mark.parametrize("method", ["forest", "bins"])
def test_importance_is_the_share_of_the_variance(method):
    """Linear in uniform variables: ranks of a + b are nearly linear too, and Var(wx) = w²/12."""
    if method == "forest":
        pytest.importorskip("sklearn")
    results = drawn(500, lambda a, b, c: 2 * a + b, a=UNIT, b=UNIT, c=UNIT)
    found = importance(results, method)
    assert list(found) == ["a", "b", "c"]
    assert found["a"] == pytest.approx(0.8, abs=0.12)
    assert found["b"] == pytest.approx(0.2, abs=0.1)
    assert found["c"] < 0.03


@pytest.mark.parametrize("method", ["forest", "bins"])
def test_what_is_not_recorded_is_not_shared_out(method):
    """Half of the variance is that of the seeds: the importances add up to the other half, not to 1."""
    if method == "forest":
        pytest.importorskip("sklearn")
    results = drawn(500, lambda a, hidden: a + hidden, a=UNIT, hidden=UNIT)
    found = importance(Results({"a": results.columns["a"]}, results.scores), method)
    assert 0.4 < found["a"] < {"bins": 0.6, "forest": 0.8}[method]  # trees fit noise, too


def test_bins_subtract_what_chance_explains():
    """Sixteen columns of pure noise: without the correction each would explain 1/√n."""
    columns = {f"x{i}": UNIT for i in range(16)}
    results = drawn(64, lambda **columns: np.random.default_rng(1).uniform(size=64), **columns)
    assert np.mean(list(importance(results, "bins").values())) < 0.06


def test_a_forest_is_a_function_of_its_seed():
    pytest.importorskip("sklearn")
    results = drawn(40, lambda a, b: a + b, a=UNIT, b=UNIT)
    found = [importance(results, "forest", seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_static_choices_stand_by_size_and_what_is_no_number_last():
    places, names = in_order(np.array([16, 4, None, 128, float("nan"), 4, jnp.tanh], object))
    assert names == ["4", "16", "128", "None", "nan", "tanh"]
    np.testing.assert_array_equal(places, [1, 0, 3, 2, 4, 0, 5])


@pytest.mark.parametrize("method", ["bins", "forest"])
def test_pairs_are_what_neither_does_alone(method):
    """Of x·y on [−1, 1]², all of the variance is the pair's."""
    if method == "forest":
        pytest.importorskip("sklearn")
    x, y, z = np.random.default_rng(0).uniform(-1, 1, size=(3, 300))
    together = Results({"x": x, "y": y, "z": z}, (x * y)[:, None])
    shares = pair_importance(together, method)
    assert next(iter(shares)) == ("x", "y")
    assert shares["x", "y"] > 0.45 > 0.2 > max(shares["x", "z"], shares["y", "z"])
    alone = pair_importance(Results({"a": z, "x": x}, x[:, None]), method)
    assert alone["a", "x"] < 0.05
    assert pair_importance(Results({"x": x[:1]}, x[:1, None]), method) == {}


@pytest.mark.parametrize("method", ["forest", "bins"])
def test_importance_is_of_order_alone_and_knows_names(method):
    """A monotonous change of the score, diverged trials in place of the worst: the same."""
    if method == "forest":
        pytest.importorskip("sklearn")
    kinds = np.array([jax.nn.relu, jnp.tanh], object)
    space = {"a": UNIT, "kind": lambda random, n: kinds[random.integers(0, 2, n)]}
    plain = drawn(300, lambda a, kind: (a - 0.5) ** 2 + 0.1 * (kind == jnp.tanh), **space)
    worst = np.where(plain.scores > np.quantile(plain.scores, 0.99), np.nan, np.exp(50 * plain.scores))
    assert importance(Results(plain.columns, worst), method) == pytest.approx(
        importance(plain, method), abs=0.02
    )
    assert set(importance(plain, method)) == {"a", "kind"}
    assert importance(plain, method)["kind"] > 0.2


def test_only_the_ends_of_lines_count():
    columns = {"a": np.array([0.1, 0.1, 0.9]), "parent": np.array([-1, 0, -1]), "epochs": np.array([1, 2, 2])}
    found = importance(Results(columns, np.array([[5.0], [1.0], [2.0]])), "bins")
    assert list(found) == ["a"]


@pytest.mark.notes("S1-54")
def test_a_planted_optimum_at_an_edge_is_said():
    space = {
        "low": uniform(0.0, 1.0), "high": log_uniform(1e-4, 1.0), "middle": uniform(0.0, 1.0),
        "count": integers(1, 9), "one": choice([1.0, 2.0]), "kind": static_choice(["a", "b"]),
    }  # fmt: skip
    key = jax.random.key(0)
    state = jn.random_search(400).init(key, space)
    columns = {n: np.asarray(c) for n, c in jn.random_search(400).ask(state, key, 400)[0].items()}

    def said(score):
        return edge_warnings(Results(columns, score[:, None], space=space))

    c = columns
    inner = (
        (c["middle"] - 0.5) ** 2
        + (np.log10(c["high"]) + 2) ** 2
        + (c["low"] - 0.5) ** 2
        + (c["count"] - 4) ** 2
    )
    assert said(inner) == []
    end = "end, {}, of its range: search beyond it."
    assert said(inner + 100 * c["low"]) == ["low: the best values are at the lower " + end.format(0)]
    assert said(inner - 100 * np.log(c["high"])) == [
        "high: the best values are at the upper " + end.format(1)
    ]
    assert said(inner - 100 * c["count"]) == ["count: the best values are at the upper " + end.format(8)]
    assert said(np.full(400, np.nan)) == []


def test_parquet_goes_through_polars_or_pandas(tmp_path, monkeypatch):
    results = Results({"rate": np.array([0.1, 0.2])}, np.array([[2.0], [1.0]]))
    written = {}
    frame = lambda rows: types.SimpleNamespace(write_parquet=lambda file: written.update({file.mode: rows}))  # noqa: E731
    monkeypatch.setitem(sys.modules, "polars", types.SimpleNamespace(DataFrame=frame))
    results.to_parquet(tmp_path / "new" / "x")
    assert written["xb"][0]["rate"] == 0.2
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match="pip install polars"):
        results.to_parquet(tmp_path / "x")


def small_sweep(logger, seeds=2):
    x = jnp.linspace(-1, 1, 8)[:, None]

    def build(h):
        return jn.Trainer(jn.dense(1), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None, batch_size=4)

    return sweep(build, {"rate": choice([0.01, 0.5])}, ((x, x), (x, x)), jn.grid_search(), seeds=seeds,
                 epochs=3, key=jax.random.key(0), progress=False, logger=logger)  # fmt: skip


def test_every_member_is_logged_once(tmp_path, monkeypatch):
    """CSV for real; TensorBoard and Weights & Biases by stand-ins that write down what they are told."""
    calls = []

    class Writer:  # with the arguments of tensorboardX 2.6.5
        def __init__(self, logdir=None, comment="", purge_step=None, max_queue=10, flush_secs=120,
                     filename_suffix=""):  # fmt: skip
            self.folder = logdir

        def add_scalar(self, tag, scalar_value, global_step=None):
            calls.append(("add_scalar", self.folder, (tag, scalar_value, global_step)))

        def add_hparams(self, hparam_dict, metric_dict, name=None, global_step=None):
            calls.append(("add_hparams", self.folder, (hparam_dict, metric_dict)))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            calls.append(("close", self.folder, ()))

    class Run:
        def __init__(self):
            self.summary = {}

        def log(self, values, step):
            calls.append(("wandb", step, values))

        def finish(self):
            calls.append(("finish", 0, dict(self.summary)))

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))

    def init(project=None, group=None, name=None, config=None, reinit=None):
        calls.append(("init", name, config))
        return Run()

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    path = tmp_path / "log.csv"
    results = small_sweep((csv_logger(path), tensorboard_logger(tmp_path / "board"), wandb_logger("digits")))
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert {row["rate"] for row in rows} == {"0.01", "0.5"}  # not 0.009999999776482582
    assert sorted((row["trial"], row["seed"]) for row in rows) == [
        ("0", "0"),
        ("0", "1"),
        ("1", "0"),
        ("1", "1"),
    ]
    for row in rows:
        trial, seed = int(row["trial"]), int(row["seed"])
        assert float(row["score"]) == pytest.approx(results.scores[trial, seed])
        assert float(row["valid_loss"]) == pytest.approx(results.history["valid_loss"][trial, seed, -1])
        assert row["epochs"] == "3"
    scalars = [call for call in calls if call[0] == "add_scalar" and call[2][0] == "valid_loss"]
    assert len(scalars) == 4 * 3
    assert {call[2][2] for call in scalars} == {1, 2, 3}
    assert len([call for call in calls if call[0] == "add_hparams"]) == 4
    assert {call[2]["rate"] for call in calls if call[0] == "init"} == {0.01, 0.5}
    assert sorted(call[1] for call in calls if call[0] == "init") == ["0-0", "0-1", "1-0", "1-1"]
    assert len([call for call in calls if call[0] == "wandb"]) == 4 * 3
    assert all(np.isfinite(call[2]["score"]) for call in calls if call[0] == "finish")


def test_a_missing_library_is_said(monkeypatch, tmp_path):
    for name in ("tensorboardX", "torch.utils.tensorboard", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match="pip install tensorboardX"):
        tensorboard_logger(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="pip install wandb"):
        wandb_logger("digits")


def test_how_near_an_edge_is_is_said_in_the_scale_of_the_range():
    """0.02 is at 0.575 of [1e-4, 1] in logarithms, and 1e-3 at a quarter."""
    space = {"rate": log_uniform(1e-4, 1.0), "count": integers(0, 5)}

    def said(margin, rate, count):
        columns = {"rate": np.array([rate]), "count": np.array([count])}
        return [
            text.split(":")[0]
            for text in edge_warnings(Results(columns, np.ones((1, 1)), space=space), margin)
        ]

    assert said(0.1, 1e-3, 2) == []
    assert said(0.3, 1e-3, 2) == ["rate"]
    assert said(0.3, 0.02, 2) == []
    assert said(0.43, 0.02, 2) == ["rate"]
    assert said(0.1, 0.02, 4) == said(0.1, 0.02, 0) == ["count"]
    assert said(0.4, 0.01, 3) == []  # a whole number is at an end or is not
