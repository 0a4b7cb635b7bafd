"""Pruning by magnitude, counts and the report."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes import count_small, magnitude_mask, prune, sparsity_report

PARAMS = {
    "a": {"kernel": jnp.array([[4.0, -0.1], [0.2, -3.0]]), "bias": jnp.array([0.0, 0.01])},
    "b": {"kernel": jnp.array([[0.05], [0.0]]), "steps": jnp.array(3), "none": None},
}


def test_the_smallest_weights_go_and_the_rest_stays():
    """Of six weights 0.5 drops three, wherever they are, or half of each kernel; biases stay."""
    keep, each, all_, counts = jax.jit(
        lambda params: (
            magnitude_mask(params, 0.5),
            magnitude_mask(params, 0.5, scope="leaf"),
            magnitude_mask(params, 1.0),
            jax.vmap(lambda f: magnitude_mask(params, f)["a"]["kernel"].sum())(
                jnp.array([0.0, 0.34, 0.6, 0.9])
            ),
        )
    )(PARAMS)
    assert keep["a"]["kernel"].tolist() == [[True, False], [True, True]]
    assert keep["b"]["kernel"].tolist() == [[False], [False]]
    assert each["a"]["kernel"].tolist() == [[True, False], [False, True]]
    assert each["b"]["kernel"].tolist() == [[True], [False]]
    assert not any(leaf.any() for leaf in jax.tree.leaves(all_))
    assert counts.tolist() == [4, 4, 2, 1]
    left = prune(PARAMS, keep)
    np.testing.assert_array_equal(left["a"]["kernel"], [[4.0, 0.0], [np.float32(0.2), -3.0]])
    np.testing.assert_array_equal(left["a"]["bias"], PARAMS["a"]["bias"])
    assert keep["b"]["steps"] is None
    assert left["b"]["steps"] == 3
    assert magnitude_mask(jnp.ones((2, 2)), 0.5).tolist() == [[True, True], [False, False]]  # ties


@pytest.mark.notes("S2-73")
def test_small_weights_are_counted():
    counts = jax.jit(jax.vmap(lambda t: count_small(PARAMS, t)))(jnp.array([0.0, 0.06, 0.2, 10.0]))
    assert counts.tolist() == [1, 2, 4, 6]
    assert count_small(PARAMS, 0.06, mask=None) == 4


@pytest.mark.notes("S4-30")
def test_the_report():
    report = sparsity_report(PARAMS)
    assert list(report) == ["a/kernel", "b/kernel", "total"]
    assert report["b/kernel"] == {
        "size": 2, "zeros": 1, "sparsity": 0.5, "units": 1, "dense_bytes": 8, "sparse_bytes": 8,
    }  # fmt: skip
    assert report["total"]["size"], report["total"]["zeros"] == (6, 1)
    assert sparsity_report({})["total"]["sparsity"] == 0
