"""Loggers of sweeps with TensorBoard and Weights & Biases themselves, where they are installed."""

import jax
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.interop import tensorboard_logger, wandb_logger

X = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]


def build(h):
    return jn.Trainer(jn.dense(1), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None, batch_size=4)


def run(logger):
    return jn.sweep(build, {"rate": jn.choice([0.01, 0.5])}, ((X, 2 * X), (X, 2 * X)), jn.grid_search(),
                    seeds=2, epochs=3, key=jax.random.key(0), progress=False, logger=logger)  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # of libraries that others bring along
def test_tensorboard_reads_every_curve_and_score(tmp_path):
    pytest.importorskip("tensorboard")
    pytest.importorskip("torch")  # it has the writer
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    results = run(tensorboard_logger(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000-0", "00000-1", "00001-0", "00001-1"]
    for trial in range(2):
        for seed in range(2):
            events = EventAccumulator(str(tmp_path / f"{trial:05d}-{seed}"))
            events.Reload()
            curve = events.Scalars("valid_loss")
            assert [event.step for event in curve] == [1, 2, 3]
            found = [event.value for event in curve]
            np.testing.assert_allclose(found, results.history["valid_loss"][trial, seed], rtol=1e-6)
            (score,) = events.Scalars("score")
            np.testing.assert_allclose(score.value, results.scores[trial, seed], rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases_has_a_run_for_each_member_and_leaves_the_callers_alone(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    own, init, ended = wandb.init(mode="offline", dir=tmp_path), wandb.init, {}

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
        assert (*where, config["trial"], config["seed"]) == ("digits", "rates", trial, seed)
        assert config["rate"] == pytest.approx(results.columns["rate"][trial])
        assert score == pytest.approx(results.scores[trial, seed])
        expected = dict(enumerate(results.history["valid_loss"][trial, seed].tolist(), 1))
        assert curve == pytest.approx(expected)
    own.log({"mine": 1.0})  # it has not been finished
    assert own.summary["mine"] == 1.0
    own.finish()
