"""Loggers of sweeps with TensorBoard and Weights & Biases themselves, where they are installed."""

import functools
import importlib.util
import sys
import types

import jax
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.interop import mlflow_logger, tensorboard_logger, wandb_logger

X = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]


def build(h):
    return jn.Trainer(jn.dense(1), jn.sgd(h["rate"]), LOSSES[h["loss"]], metric=score, batch_size=4)


LOSSES = {"squared": jn.mean_squared_error, "absolute": jn.mean_absolute_error}
# Names that the logs have too.
SPACE = {
    "rate": jn.choice([0.01, 0.5]), "loss": jn.static_choice(["squared"]), "seed": jn.choice([7.0]),
    "trial": jn.choice([8.0]), "score": jn.choice([9.0]),
}  # fmt: skip


def score(outputs, targets):
    return jn.mean_squared_error(outputs, targets)


def run(logger):
    return jn.sweep(build, SPACE, ((X, 2 * X), (X, 2 * X)), jn.grid_search(), seeds=2, epochs=3,
                    key=jax.random.key(0), progress=False, logger=logger)  # fmt: skip


def read_board(folder):
    """The scalars of a run, name → [(step, value)], and its hyperparameters, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    events = EventAccumulator(str(folder))
    events.Reload()
    scalars = {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }
    begun = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    info = plugin_data_pb2.HParamsPluginData.FromString(begun).session_start_info
    given = {name: getattr(value, value.WhichOneof("kind")) for name, value in info.hparams.items()}
    return scalars, given


@pytest.mark.filterwarnings("ignore")
def test_a_board_that_is_a_file_is_refused_before_training(tmp_path):
    pytest.importorskip("tensorboardX")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file' is a file, expected a folder"):
        tensorboard_logger(tmp_path / "file")


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")  # of libraries that others bring along
@pytest.mark.parametrize("writer", ["tensorboardX", "torch"])
def test_tensorboard_reads_every_curve_score_and_hyperparameter(writer, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    pytest.importorskip(writer)
    if writer == "torch":
        monkeypatch.setitem(sys.modules, "tensorboardX", None)
    results = run(tensorboard_logger(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000-0", "00000-1", "00001-0", "00001-1"]
    for trial in range(2):
        for seed in range(2):
            scalars, given = read_board(tmp_path / f"{trial:05d}-{seed}")
            assert set(scalars) == {*results.history, "score"}
            for name, curves in results.history.items():
                steps, values = zip(*scalars[name], strict=True)
                assert steps == (1, 2, 3)
                np.testing.assert_allclose(values, curves[trial, seed], rtol=1e-6)
            ((_, value),) = scalars["score"]
            np.testing.assert_allclose(value, results.scores[trial, seed], rtol=1e-6)
            assert given.pop("rate") == pytest.approx(results.columns["rate"][trial])
            assert given == {"loss": "squared", "seed": 7.0, "trial": 8.0, "score": 9.0}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("writer", ["tensorboardX", "torch"])
def test_a_curve_called_score_is_not_the_score(writer, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    pytest.importorskip(writer)
    if writer == "torch":
        monkeypatch.setitem(sys.modules, "tensorboardX", None)
    logger = tensorboard_logger(tmp_path)
    steps = np.array([[1.0, 2.0], [3.0, 4.0]])
    history = {"score": np.array([3.0, 2.0]), "layers": np.ones((2, 3)), "step_loss": steps}
    logger.log(0, 0, {"rate": 0.5}, 0.25, history)
    scalars, _ = read_board(tmp_path / "00000-0")
    assert scalars["step_loss"] == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
    assert scalars["score"] == [(1, 3.0), (2, 2.0)]
    assert [value for _, value in scalars["sweep/score"]] == [0.25]
    assert len(scalars) == 3  # what is not a number an epoch is left out


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases_has_a_run_for_each_member_and_leaves_the_callers_alone(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    own, init, ended = wandb.init(mode="offline", dir=tmp_path), wandb.init, {}

    @functools.wraps(init)
    def noted(**options):
        member = init(**options)
        log, finish, curve = member.log, member.finish, {}

        def log_too(values, step):
            curve[step] = values["valid_loss"]
            log(values, step=step)

        def finish_too():  # later nothing of it can be read
            where, config = (member.project, member.group), dict(member.config)
            ended[member.name] = where, config, member.summary["score"], curve
            finish()

        member.log, member.finish = log_too, finish_too
        return member

    monkeypatch.setattr(wandb, "init", noted)
    results = run(wandb_logger("digits", group="rates", mode="offline", dir=tmp_path))
    assert sorted(ended) == ["0-0", "0-1", "1-0", "1-1"]
    for name, (where, config, score, curve) in ended.items():
        trial, seed = map(int, name.split("-"))
        assert where == ("digits", "rates")
        assert (config["sweep/trial"], config["sweep/seed"]) == (trial, seed)
        assert [config[name] for name in ("loss", "seed", "trial", "score")] == ["squared", 7.0, 8.0, 9.0]
        assert config["rate"] == pytest.approx(results.columns["rate"][trial])
        assert score == pytest.approx(results.scores[trial, seed])
        expected = dict(enumerate(results.history["valid_loss"][trial, seed].tolist(), 1))
        assert curve == pytest.approx(expected)
    own.log({"mine": 1.0})  # it has not been finished
    assert own.summary["mine"] == 1.0
    own.finish()


def test_weights_and_biases_counts_epochs_from_one(monkeypatch):
    """What its library is told, also where it is not there."""
    told = []
    told_run = types.SimpleNamespace(
        log=lambda values, step: told.append((values, step)), summary={}, finish=lambda: told.append("end")
    )
    library = types.SimpleNamespace(init=lambda **options: told.append(options) or told_run)
    monkeypatch.setitem(sys.modules, "wandb", library)
    wandb_logger("digits").log(3, 1, {"rate": 0.5}, 0.25, {"loss": np.array([3.0, 2.0])})
    options, *steps, end = told
    assert (options["name"], options["config"]) == ("3-1", {"rate": 0.5, "trial": 3, "seed": 1})
    assert steps == [({"loss": 3.0}, 1), ({"loss": 2.0}, 2)]
    assert (told_run.summary, end) == ({"score": 0.25}, "end")


def test_an_option_that_weights_and_biases_does_not_take_is_said_at_once():
    pytest.importorskip("wandb")
    with pytest.raises(TypeError, match=r"wandb_logger\(\) has no argument 'mod': did you mean 'mode'\?"):
        wandb_logger("digits", mod="offline")


@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_a_run_for_each_member(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path}/runs.db" if importlib.util.find_spec("alembic") else tmp_path.as_uri()
    history = {"score": np.array([3.0, 2.0]), "step_loss": np.array([[1.0, 2.0], [3.0, 4.0]])}
    for _ in range(2):  # the experiment is there the second time
        mlflow_logger("digits", uri).log(3, 1, {"rate": 0.5, "seed": 7}, 0.25, history)
    client = mlflow.MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    assert [run.info.run_name for run in runs] == ["3-1", "3-1"]
    assert runs[0].info.status == "FINISHED"
    assert runs[0].data.params == {"rate": "0.5", "seed": "7", "trial": "3", "sweep/seed": "1"}
    assert runs[0].data.metrics == {"score": 2.0, "sweep/score": 0.25, "step_loss": 4.0}
    curve = client.get_metric_history(runs[0].info.run_id, "step_loss")
    assert sorted((point.step, point.value) for point in curve) == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
