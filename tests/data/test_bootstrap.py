"""Bootstrap samples as draws, as weights, and what is out of the bag."""

import jax
import numpy as np
import pytest

from jaxopt_notes.data import bootstrap


@pytest.mark.notes("S2-88", "X-16")
def test_weights_count_the_draws_and_a_share_is_never_drawn():
    n, members = 1000, 50
    sample = jax.jit(lambda key: bootstrap(key, n, members))(jax.random.key(0))
    for draws, weights, outside in zip(*map(np.asarray, sample), strict=True):
        np.testing.assert_array_equal(weights, np.bincount(draws, minlength=n))
        np.testing.assert_array_equal(outside == 1, weights == 0)
    share = np.mean(np.asarray(sample.out_of_bag))
    assert abs(share - (1 - 1 / n) ** n) < 0.004  # .36770
    weights = np.asarray(sample.weights)
    np.testing.assert_allclose(weights.var(), 1 - 1 / n, atol=0.03)  # binomial
    assert len({row.tobytes() for row in weights}) == members
    np.testing.assert_array_equal(
        bootstrap(jax.random.fold_in(jax.random.key(0), 3), n).indices, sample.indices[3]
    )
