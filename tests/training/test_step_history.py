"""The history of windows of steps: against the loop in NumPy, in a run and in a sweep."""

import jax
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.data.batches import epoch_batches
from jaxopt_notes.optimizers import sgd
from jaxopt_notes.plots import plot_curves
from jaxopt_notes.training import Trainer, fit
from tests.training.linear import Linear, regression, squared


def trainer(every, **others):
    return Trainer(Linear(), sgd(0.05), squared, metric=None, batch_size=4, history_every=every, **others)


def test_windows_are_means_over_their_examples(key):
    """Batches of 4, 4, 4 and 2 examples, two steps a window: the second one has 6 examples."""
    x, y = regression(14)

    @jax.jit
    def run():
        watched = trainer(2, collect=lambda step: {"slope": step.grads["w"]})
        orders = [jax.random.split(jax.random.fold_in(jax.random.split(key)[1], i))[0] for i in range(2)]
        _state, history = watched.advance(watched.init(key, (x, y)), (x, y), epochs=2)
        return history, [epoch_batches(order, 14, 4).indices for order in orders]

    history, orders = jax.tree.map(np.asarray, run())
    w, b = np.zeros(3), 0.0
    for epoch in range(2):
        rows = orders[epoch].ravel()[:14]
        losses, slopes = [], []
        for part in (rows[:4], rows[4:8], rows[8:12], rows[12:]):
            residual = x[part] @ w + b - y[part]
            losses.append(residual**2)
            slopes.append(2 * x[part].T @ residual / len(part))
            w, b = w - 0.05 * slopes[-1], b - 0.05 * 2 * residual.mean()
        expected = [np.mean(np.concatenate(losses[:2])), np.mean(np.concatenate(losses[2:]))]
        np.testing.assert_allclose(history["step_loss"][epoch], expected, rtol=1e-4)
        means = [np.mean(slopes[:2], axis=0), np.mean(slopes[2:], axis=0)]
        np.testing.assert_allclose(history["step_slope"][epoch], means, rtol=1e-4)
        np.testing.assert_allclose(history["loss"][epoch], np.mean(np.concatenate(losses)), rtol=1e-4)


def test_what_has_no_known_steps_is_refused(key):
    x, y = regression(10)
    with pytest.raises(
        ValueError, match=r"Trainer\(history_every\) is 2, and batches that come from outside"
    ):
        fit(trainer(2), key, [(x, y)], epochs=1, progress=False)
    with pytest.raises(ValueError, match=r"Trainer\(history_every\) is 0, .*None keeps no history of steps"):
        trainer(0).init(key, (x, y))


def test_steps_are_drawn_inside_their_epochs():
    history = {"loss": np.array([3.0, 1.0]), "step_loss": np.array([[4.0, 2.0], [1.5, 0.5]])}
    (axis,) = plot_curves(history).axes
    (line,) = [line for line in axis.lines if line.get_label() == "step_loss"]
    assert line.get_xdata().tolist() == [0.5, 1.0, 1.5, 2.0]
    assert line.get_ydata().tolist() == [4.0, 2.0, 1.5, 0.5]


@pytest.mark.full
def test_in_a_sweep_and_in_a_folder(tmp_path, key):
    x, y = regression(10)

    def build(h):
        return jn.replace(trainer(1), optimizer=sgd(h["rate"]))

    def run(**options):
        return jn.sweep(build, {"rate": jn.choice([0.01, 0.1])}, ((x, y), (x, y)), jn.grid_search(), seeds=2,
                        epochs=3, key=key, progress=False, **options)  # fmt: skip

    results = run(folder=tmp_path, logger=jn.csv_logger(tmp_path / "log.csv"))
    steps = results.history["step_loss"]
    assert steps.shape == (2, 2, 3, 3)
    weights = np.array([4, 4, 2]) / 10
    np.testing.assert_allclose(steps @ weights, results.history["loss"], rtol=1e-5)
    np.testing.assert_array_equal(run(folder=tmp_path).history["step_loss"], steps)
    assert "step_loss" not in (tmp_path / "log.csv").read_text()
