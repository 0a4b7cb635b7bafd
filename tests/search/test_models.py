"""The models that a sweep has trained: their predictions have the scores that it reports."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.ensembles import average, greedy_selection
from jaxopt_notes.layers import dense, layer_norm, serial
from jaxopt_notes.losses import mean_squared_error
from jaxopt_notes.optimizers import sgd
from jaxopt_notes.search import choice, grid_search, random_search, static_choice, sweep
from jaxopt_notes.training import Trainer

X = jnp.linspace(-2, 2, 20)[:, None]
DATA = ((X[::2], jnp.sin(2 * X[::2])), (X[1::2], jnp.sin(2 * X[1::2])))
SPACE = {"rate": choice([0.02, 0.2]), "width": static_choice([3, 5])}


def build(h):
    # What the layer normalization divides by depends on the rate: a member's own is needed to predict, too.
    model = serial(dense(h["width"]), layer_norm(eps=10 * h["rate"]), jnp.tanh, dense(1))
    return Trainer(model, sgd(h["rate"]), mean_squared_error, metric=None, batch_size=5)


def run(**options):
    return sweep(
        build, SPACE, DATA, grid_search(2), seeds=2, epochs=8, key=jax.random.key(0), keep_params="all",
        progress=False, **options,
    )  # fmt: skip


@pytest.mark.notes("S1-68", "S2-85")
def test_every_member_predicts_as_well_as_its_score_says(tmp_path):
    """Of all structures and seeds; from a finished folder too; and what is chosen among them is better."""
    results = run(folder=tmp_path)
    outputs = results.predict_all(DATA[1][0])
    assert outputs.shape == (4, 2, 10, 1)
    errors = np.mean((outputs - np.asarray(DATA[1][1])) ** 2, axis=(2, 3))
    np.testing.assert_allclose(errors, results.scores, rtol=1e-4)
    again = run(folder=tmp_path)
    np.testing.assert_array_equal(again.predict_all(DATA[1][0]), outputs)

    library = outputs.reshape(8, 10, 1)
    chosen = greedy_selection(library, DATA[1][1], mean_squared_error, 10, of="outputs")
    together = np.mean((average(library, chosen.weights, of="outputs") - np.asarray(DATA[1][1])) ** 2)
    np.testing.assert_allclose(together, chosen.losses.min(), rtol=1e-4)
    assert together <= results.scores.min() * (1 + 1e-5)


def test_without_models_it_says_what_to_do():
    results = sweep(build, SPACE, DATA, random_search(1), epochs=1, key=jax.random.key(0), progress=False)
    with pytest.raises(ValueError, match=r"0 trials of 1 have theirs: sweep\(…, keep_params=.all.\)"):
        results.predict_all(X)
