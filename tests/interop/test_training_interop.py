"""The Trainer takes optimizers and layers that are not of this library."""

import jax
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.training.trainer import Trainer
from tests.training.linear import Linear, regression, squared


@pytest.mark.full
def test_an_optax_optimizer_trains_as_ours_does(key):
    optax = pytest.importorskip("optax")
    data = regression(10)

    def final(optimizer):
        trainer = Trainer(Linear(), optimizer, squared, metric=None, batch_size=4)
        return trainer.advance(trainer.init(key, data), data, data, 5)[0]

    with jax.numpy_dtype_promotion("standard"):  # optax needs it
        ours, theirs = final(adam(0.1)), final(optax.adam(0.1))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours.params, theirs.params)
    assert int(theirs.learner.opt_state.skipped) == 0
