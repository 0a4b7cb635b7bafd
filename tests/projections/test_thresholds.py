"""Proximal operators of the elastic net, the squares and the group lasso, beside their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes import projections as p


@pytest.mark.notes("S1-71", "S4-31")
def test_shrinkage_and_elastic_net_are_proximal_operators(x64):
    """argmin t·h(x) + ½(x − v)² on a fine grid that contains 0."""
    grid = np.arange(-4000, 4001) / 1000
    v = np.tile([-2.31, -0.3, 0.04, 0.0, 1.3, 3.3], 2)
    t, ratio = np.repeat([0.4, 1.3], 6), np.repeat([0.25, 0.9], 6)
    costs = {
        "net": t * (ratio * np.abs(grid[:, None]) + (1 - ratio) * grid[:, None] ** 2 / 2),
        "squares": t * grid[:, None] ** 2 / 2,
    }
    found = jax.jit(jax.vmap(lambda v, t, r: (p.elastic_net_threshold(v, t, r), p.shrink(v, t))))(v, t, ratio)
    for got, cost in zip(found, costs.values(), strict=True):
        best = grid[(cost + (grid[:, None] - v) ** 2 / 2).argmin(axis=0)]
        np.testing.assert_allclose(got, best, atol=1e-3)


@pytest.mark.parametrize(("groups", "axes"), [("units", (0, 1)), ("inputs", (0, 2)), ("leaves", (0, 1, 2))])
def test_the_group_threshold_solves_its_problem(groups, axes, x64):
    """x + t√|g|·x/‖x‖ = v in a group that stays, and ‖v‖ ≤ t√|g| in one that is dropped (Yuan & Lin 2006)."""
    v = np.random.default_rng(0).normal(size=(2, 3, 4)) * np.array([0.2, 3.0, 1.0, 0.1])
    v[:, 1] *= 0.1
    t = 0.6
    x = np.asarray(jax.jit(lambda v: p.group_threshold(v, t, groups))(v))
    size = np.prod([v.shape[a] for a in axes])
    norm = lambda a: np.sqrt((a**2).sum(axis=axes, keepdims=True))  # noqa: E731
    dropped = norm(x) == 0
    np.testing.assert_array_less(norm(v)[dropped], t * np.sqrt(size))
    slope = x + t * np.sqrt(size) * x / np.where(dropped, 1, norm(x)) - v
    np.testing.assert_allclose(np.where(dropped, 0, slope), 0, atol=1e-12)
    assert groups == "leaves" or 0 < dropped.sum() < dropped.size


def test_groups_of_vectors_and_of_every_size():
    tree = {"a": [[3e25], [4e25]], "b": np.zeros((2, 2)), "c": [[3e-25], [4e-25]]}
    tree = {name: np.float32(leaf) for name, leaf in tree.items()}

    @jax.jit
    def run(tree):
        vectors = p.group_threshold(jnp.array([3.0, 0.5]), 1.0)
        whole = p.group_threshold(jnp.array([3.0, 4.0]), 2**0.5, "leaves")
        some, none = p.group_threshold(tree, 1e-25 / 2**0.5), p.group_threshold(tree, 0.0)
        slope = jax.grad(lambda tree: p.group_threshold(tree, 0.1)["b"].sum())(tree)["b"]
        return vectors, whole, some, none, slope

    vectors, whole, found, alone, slope = jax.tree.map(np.asarray, run(tree))
    assert vectors.tolist() == [2.0, 0.0]  # each unit by itself
    np.testing.assert_allclose(whole, [1.8, 2.4], rtol=1e-6)
    np.testing.assert_allclose(found["a"], [[3e25], [4e25]], rtol=1e-6)
    np.testing.assert_allclose(found["c"], [[2.4e-25], [3.2e-25]], rtol=1e-6)
    assert all(np.array_equal(alone[name], tree[name]) for name in tree)  # nothing is moved by 0
    assert np.isfinite(slope).all()
