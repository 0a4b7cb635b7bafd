import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.training.early_stopping import patience
from jaxopt_notes.training.fit import fit
from jaxopt_notes.training.trainer import Trainer
from tests.training.linear import Linear, regression, squared

TRAIN, VALID = regression(10), regression(6, seed=1)


def make(rate=0.1, **kwargs):
    return Trainer(Linear(), sgd(rate), squared, metric=squared, batch_size=4, **kwargs)


@pytest.mark.notes("S0-01")
@pytest.mark.parametrize("epochs_per_call", [1, 3, 10])
def test_fit_is_advance(key, epochs_per_call):
    trainer = make()
    result = fit(trainer, key, TRAIN, VALID, epochs=7, epochs_per_call=epochs_per_call)
    state, history = trainer.advance(trainer.init(key, TRAIN), TRAIN, VALID, 7)
    jax.tree.map(np.testing.assert_array_equal, result.history, jax.tree.map(np.asarray, history))
    jax.tree.map(np.testing.assert_array_equal, result.params, state.best_params)
    assert result.best_epoch == state.best_epoch == np.argmin(history["valid_loss"]) + 1
    assert result.history["loss"][-1] < result.history["loss"][0]


def test_the_result_predicts_with_the_best_parameters(key):
    result = fit(make(), key, TRAIN, VALID, epochs=5)
    x, y = VALID
    expected = x @ np.asarray(result.params["w"]) + np.asarray(result.params["b"])
    np.testing.assert_allclose(result.predict(x), expected, rtol=1e-5)
    scores = result.evaluate(VALID)
    np.testing.assert_allclose(scores["loss"], np.mean((expected - y) ** 2), rtol=1e-5)
    np.testing.assert_allclose(scores["squared"], result.best_score, rtol=1e-5)


@pytest.mark.notes("S4-03")
@pytest.mark.parametrize("epochs_per_call", [1, 4])
def test_a_stopped_run_ends_with_the_history_it_ran(key, epochs_per_call):
    trainer = make(2.0, early_stopping=patience(2))  # diverges
    result = fit(trainer, key, TRAIN, VALID, epochs=50, epochs_per_call=epochs_per_call)
    assert result.state.stopped
    assert len(result.history["valid_loss"]) == int(result.state.epoch) < 10
    assert result.best_epoch <= int(result.state.epoch) - 2


def test_callbacks_see_the_run_and_may_end_it(key):
    seen = []

    def callback(state, history):
        seen.append((int(state.epoch), len(history["loss"])))
        return len(seen) == 3

    result = fit(make(), key, TRAIN, epochs=10, callback=callback)
    assert seen == [(1, 1), (2, 2), (3, 3)]
    assert int(result.state.epoch) == 3


def test_an_interrupted_fit_returns_what_is_finished_and_goes_on(key):
    def interrupt(state, history):
        if state.epoch == 2:
            raise KeyboardInterrupt

    trainer = make()
    cut = fit(trainer, key, TRAIN, VALID, epochs=5, callback=interrupt)
    assert len(cut.history["loss"]) == int(cut.state.epoch) == 2
    rest = fit(trainer, key, TRAIN, VALID, epochs=3, state=cut.state)
    whole = fit(trainer, key, TRAIN, VALID, epochs=5)
    np.testing.assert_array_equal(np.append(cut.history["loss"], rest.history["loss"]), whole.history["loss"])
    jax.tree.map(np.testing.assert_array_equal, rest.state.params, whole.state.params)


def test_no_epochs_leave_the_initial_parameters(key):
    result = fit(make(), key, TRAIN, VALID, epochs=0)
    assert result.best_epoch == 0
    assert {name: curve.shape for name, curve in result.history.items()} == dict.fromkeys(
        ["loss", "skipped", "valid_loss", "valid_squared"], (0,)
    )
    jax.tree.map(np.testing.assert_array_equal, result.params, {"w": jnp.zeros(3), "b": jnp.zeros(())})


def test_progress_shows_the_last_scores(key, capsys):
    pytest.importorskip("tqdm")
    fit(make(), key, TRAIN, VALID, epochs=2, progress=True)
    assert "valid_loss=" in capsys.readouterr().err
    fit(make(), key, TRAIN, VALID, epochs=2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("streamed", [False, True])
def test_a_run_in_a_folder_goes_on_bit_for_bit(key, streamed, tmp_path, monkeypatch):
    """Ended by a callback in the middle; then finished, looked at again, and continued for longer."""
    arrays, trainer = regression(), Trainer(Linear(noise=0.1), sgd(0.05), squared, metric=None, batch_size=5)
    data = [tuple(part[i : i + 5] for part in arrays) for i in (0, 5)] if streamed else arrays
    options = {"progress": False} | ({"steps_per_call": 1} if streamed else {})

    def run(epochs, **more):
        return fit(trainer, key, data, arrays, epochs, **options, **more)

    whole, longer = run(4), run(6)
    calls = iter([False, False, True])  # of a stream the third call is in the middle of an epoch
    fit(trainer, key, data, arrays, 4, callback=lambda *_: next(calls), folder=tmp_path, **options)
    for expected, epochs in ((whole, 4), (whole, 4), (longer, 6)):
        found = run(epochs, folder=tmp_path)
        for name, curve in expected.history.items():
            np.testing.assert_array_equal(found.history[name], curve)
        for name, leaf in expected.params.items():
            np.testing.assert_array_equal(found.params[name], leaf)
    monkeypatch.setattr(type(trainer), "advance", lambda *_: pytest.fail("it has finished"))
    run(6, folder=tmp_path)
    with pytest.raises(ValueError, match="holds another run; what differs: key was"):
        fit(trainer, jax.random.key(99), data, arrays, 6, folder=tmp_path, **options)
    with pytest.raises(ValueError, match="epochs was 6 and is 5"):
        run(5, folder=tmp_path)
    with pytest.raises(ValueError, match=r"fit\(folder\) has the state"):
        run(6, folder=tmp_path, state=whole.state)


def test_validation_data_are_checked_by_name(key):
    x, y = VALID
    for part, error, message in (
        (x, TypeError, r"fit\(valid_data\) is a ndarray, expected a pair"),
        ((x.tolist(), y), TypeError, r"fit\(valid_data\) has a list as x, expected an array"),
        ((x[:0], y[:0]), ValueError, r"fit\(valid_data\) has leading axes of lengths \[0\]"),
        ((x, y[1:]), ValueError, r"fit\(valid_data\) has leading axes of lengths \["),
        ((x, y, -np.ones(len(x))), ValueError, r"fit\(valid_data\) has the weight -1\.0"),
    ):
        with pytest.raises(error, match=message):
            fit(make(), key, TRAIN, part, epochs=1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"trainer": 3}, r"fit\(trainer\) is 3, expected a Trainer"),
        ({"optimizer": jn.sgd}, r"<function sgd .*> is not a gradient transform"),
        (
            {"early_stopping": jn.patience},
            r"Trainer\(early_stopping\) is <function patience .*, expected",
        ),
        ({"metric": "accuracy"}, r"Trainer\(metric\) is 'accuracy', expected a function"),
        ({"callback": lambda state: 0}, r"fit\(callback\) is <lambda>\(state\), expected a function that is"),
        ({"state": 3}, r"fit\(state\) is 3, expected that of an earlier fit: result\.state"),
        ({"folder": 3}, r"fit\(folder\) is 3, expected a path"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_is_compiled(changed, message):
    own = {name: changed[name] for name in ("optimizer", "early_stopping", "metric") if name in changed}
    parts = {"model": jn.dense(1), "optimizer": jn.sgd(0.1), "loss": jn.mean_squared_error, "metric": None}
    others = {name: value for name, value in changed.items() if name not in own}
    x = jnp.ones((4, 1))
    arguments = {"trainer": Trainer(**parts | own), "key": jax.random.key(0), "train_data": (x, x)} | others
    with pytest.raises(TypeError, match=message):
        fit(**arguments)
