"""Fractional max pooling: the steps of its windows, all draws of them, and the maxima in them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers import fractional_bounds, fractional_max_pool, max_pool
from tests.compiled import apply, compiled


@pytest.mark.notes("S1-76")
@pytest.mark.parametrize("sequence", ["pseudorandom", "random"])
@pytest.mark.parametrize(("pixels", "windows"), [(25, 17), (7, 5), (9, 9), (8, 4), (100, 99)])
def test_steps_are_one_or_two_and_sum_to_the_image(sequence, pixels, windows, key):
    keys = jax.random.split(key, 50)
    draw = jax.jit(jax.vmap(lambda key: fractional_bounds(key, pixels, windows, sequence)))
    bounds = np.asarray(draw(keys))
    steps = np.diff(bounds)
    assert (bounds[:, 0] == 0).all()
    assert (bounds[:, -1] == pixels).all()
    assert ((steps == 1) | (steps == 2)).all()
    assert len(np.unique(steps, axis=0)) > 1 or pixels in (windows, 2 * windows)


@pytest.mark.notes("S1-76")
def test_pseudorandom_bounds_are_graham_s(key):
    """⌈α(i + u)⌉ for a real u: each draw is one of these sequences, and every one of them is drawn."""
    pixels, windows = 7, 5
    i, u = np.arange(windows + 1), np.linspace(0, 1, 141)[1:-1, None] + 1e-4
    real = np.ceil(pixels / windows * (i + u)).astype(int)
    there = {tuple(row - row[0]) for row in real}
    draw = jax.jit(jax.vmap(lambda key: fractional_bounds(key, pixels, windows)))
    assert {tuple(row) for row in np.asarray(draw(jax.random.split(key, 200))).tolist()} == there


@pytest.mark.notes("S1-76")
def test_a_ratio_of_two_is_max_pooling(key):
    x = jax.random.normal(key, (2, 8, 6, 3))
    want = apply(max_pool(2), {}, (), x)[0]
    for sequence in ("pseudorandom", "random"):
        y, _ = apply(fractional_max_pool(2, sequence=sequence), {}, (), x, key=key, train=True)
        np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("overlapping", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_maxima_are_those_of_the_windows(overlapping, train, key):
    x = np.random.default_rng(0).normal(size=(2, 9, 7, 3)).astype(np.float32)
    layer = fractional_max_pool((1.5, 1.3), overlapping=overlapping)
    own = (lambda axis: jax.random.fold_in(key, axis)) if train else lambda axis: None
    rows, columns = (
        np.asarray(compiled(fractional_bounds)(own(axis), pixels, windows))
        for axis, pixels, windows in ((1, 9, 6), (2, 7, 5))
    )
    more = int(overlapping)
    want = [
        [x[:, rows[i] : rows[i + 1] + more, columns[j] : columns[j + 1] + more].max((1, 2)) for j in range(5)]
        for i in range(6)
    ]
    y, _ = apply(layer, {}, (), x, key=key, train=train)
    np.testing.assert_array_equal(y, np.moveaxis(np.asarray(want), 2, 0))


def test_axes_are_drawn_apart(key):
    """A diagonal image: with one draw for both axes its output would be symmetric, always."""
    x = np.float32(np.arange(11)[:, None] * np.arange(11) + np.eye(11))
    layer = fractional_max_pool(1.4)

    def symmetric(key):
        y = apply(layer, {}, (), x[None, ..., None], key=key, train=True)[0][0, ..., 0]
        return jnp.array_equal(y, y.T)

    assert not np.all(jax.jit(jax.vmap(symmetric))(jax.random.split(key, 10)))


def test_errors():
    with pytest.raises(ValueError, match=r"fractional_max_pool\(ratio\) is 0\.5"):
        fractional_max_pool(0.5)
    with pytest.raises(ValueError, match="give apply a key"):
        apply(fractional_max_pool(), {}, (), jnp.ones((1, 4, 4, 1)), train=True)
    with pytest.raises(ValueError, match=r"\(5\.0, 5\.0\), expected at most the 4 pixels"):
        apply(fractional_max_pool(5), {}, (), jnp.ones((1, 4, 4, 1)))
