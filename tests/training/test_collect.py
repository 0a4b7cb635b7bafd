"""What a collector sees of each step, what the history has of it, and that nothing costs nothing."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data.batches import epoch_batches
from jaxopt_notes.layers import mlp
from jaxopt_notes.losses.squared_error import mean_squared_error
from jaxopt_notes.optimizers import adam, chain, sgd, static_loss_scale
from jaxopt_notes.penalties import activity_penalty
from jaxopt_notes.training import Trainer, fit, patience
from jaxopt_notes.training.trainer import _advance
from tests.training.linear import Linear, regression, squared


def look(step):
    return {
        "slope": step.grads["w"],
        "bias_moves": step.updates["b"],
        "bias_before": step.params["b"],
        "examples": jnp.sum(step.weights),
        "batch/loss": step.loss,
    }


def test_means_over_the_steps_of_an_epoch(key):
    """Against the loop in NumPy, for a batch of trainers whose rates differ; the loss scale is not seen."""
    x, y = regression(10)

    @jax.jit
    def run(rates):
        def one(rate):
            optimizer = static_loss_scale(chain(sgd(rate)), 8.0)
            trainer = Trainer(Linear(), optimizer, squared, metric=None, batch_size=4, collect=look)
            return trainer.advance(trainer.init(key, (x, y)), (x, y), epochs=2)[1]

        orders = [jax.random.split(jax.random.fold_in(jax.random.split(key)[1], i))[0] for i in range(2)]
        return jax.vmap(one)(rates), [epoch_batches(order, 10, 4).indices for order in orders]

    history, orders = jax.tree.map(np.asarray, run(np.array([0.05, 0.01], np.float32)))
    assert history["slope"].shape == (2, 2, 3)
    for member, rate in enumerate([0.05, 0.01]):
        w, b = np.zeros(3), 0.0
        for epoch in range(2):
            rows = orders[epoch].ravel()[:10]
            seen = []
            for part in (rows[:4], rows[4:8], rows[8:]):
                residual = x[part] @ w + b - y[part]
                gw, gb = 2 * x[part].T @ residual / len(part), 2 * residual.mean()
                seen.append((gw, -rate * gb, b, len(part), np.mean(residual**2)))
                w, b = w - rate * gw, b - rate * gb
            names = ["slope", "bias_moves", "bias_before", "examples", "batch/loss"]
            found = [history[name][member, epoch] for name in names]
            for value, expected in zip(found, zip(*seen, strict=True), strict=True):
                np.testing.assert_allclose(value, np.mean(expected, axis=0), rtol=1e-4)


@pytest.mark.parametrize("examples", [8, 10])
def test_weights_have_one_dtype_whether_a_batch_is_filled_up_or_not(examples, key, x64):
    seen = set()

    def look(step):
        seen.add(str(step.weights.dtype))
        return {"loss_of_batch": step.loss}

    data = regression(examples)
    trainer = Trainer(Linear(), sgd(0.1), squared, metric=None, batch_size=4, collect=look)
    jax.eval_shape(lambda: trainer.advance(trainer.init(key, data), data)[1])
    assert seen == {"float32"}


def test_steps_that_were_not_taken_do_not_count_and_streams_have_the_same(key):
    """A batch with NaN is skipped; batches from outside are collected alike; `fit` joins the epochs."""
    x, y = regression(12)
    y[4:8] = np.nan
    batches = [(x[i : i + 4], y[i : i + 4]) for i in (0, 4, 8)]
    trainer = Trainer(
        Linear(0.5),
        sgd(0.0),
        squared,
        metric=None,
        collect=look,
        early_stopping=patience(monitor="batch/loss"),
    )
    with pytest.warns(UserWarning, match="fit: the loss is not finite in any epoch: are there NaN"):
        history = fit(trainer, key, batches, epochs=2, progress=True).history
    taken = [0, 1, 2, 3, 8, 9, 10, 11]
    residual = x[taken] @ np.full(3, 0.5) + 0.5 - y[taken]
    assert history["skipped"].tolist() == [1, 1]
    assert history["slope"].shape == (2, 3)
    np.testing.assert_allclose(history["batch/loss"], np.mean(residual**2), rtol=1e-5)
    np.testing.assert_allclose(history["slope"][1], 2 * x[taken].T @ residual / 8, rtol=1e-4)


def compiled(collect, **parts):
    """The optimized program of an epoch, without the names of files and lines it came from."""
    data = (np.ones((8, 5), np.float32), np.zeros((8, 2), np.float32))
    trainer = Trainer(
        mlp([3, 2], "tanh"), loss=mean_squared_error, metric=None, batch_size=4, collect=collect,
        **{"optimizer": sgd(0.1)} | parts,
    )  # fmt: skip
    state = jax.eval_shape(lambda key: trainer.init(key, data), jax.random.key(0))
    text = _advance.lower(trainer, state, data, None, 1).compile().as_text()
    text = re.sub(r"\n(FileNames|FunctionNames|FileLocations|StackFrames)\n(.+\n)*", "\n", text)
    return re.sub(r", metadata=\{[^}]*\}", "", text)


def activations(step):
    return {path: jnp.mean(output) for path, output in step.activations.items()}


def test_what_is_not_looked_at_is_not_computed_and_no_layer_runs_twice():
    without, nothing, everything = compiled(None), compiled(lambda step: {}), compiled(activations)
    assert without == nothing
    assert without.count(" dot(") == everything.count(" dot(") > 0
    assert len(everything) > len(without)


def norms(step):
    return {"updates": jnp.sum(step.updates["layers_0"]["kernel"] ** 2)}


@pytest.mark.full
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="counts loops of XLA's CPU backend")
def test_updates_are_stored_once_for_the_collector():
    """Beside both moments and the parameters one array of the kernel's size, and no step on the way to it."""
    stored = r"= f32\[5,3\]\S* (fusion|copy)\("
    without, with_norms = (len(re.findall(stored, compiled(c, optimizer=adam(0.1)))) for c in (None, norms))
    assert with_norms == without + 1


@pytest.mark.full
def test_a_penalty_that_runs_the_model_does_not_make_it_run_twice():
    penalty = activity_penalty(0.1, "layers_1")
    found = [compiled(collect, penalty=penalty).count(" dot(") for collect in (None, activations)]
    assert found[0] == found[1]


def test_errors_say_what_is_wrong(key):
    def trainer(collect):
        return Trainer(Linear(), sgd(0.1), squared, metric=None, collect=collect)

    with pytest.raises(TypeError, match=r"Trainer\(collect\) returned .* expected a dict"):
        trainer(lambda step: step.loss).init(key, regression())
    with pytest.raises(ValueError, match=r"Trainer\(collect\) names 'loss', which the history has"):
        trainer(lambda step: {"loss": step.loss}).init(key, regression())
    with pytest.raises(TypeError, match=r"Trainer\(collect\) is 3, expected a function"):
        trainer(3).init(key, regression())
