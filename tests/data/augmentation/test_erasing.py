"""Erased rectangles: area, shape and place, and everything around them as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data import cutout, random_erasing


def rectangles(erased):
    """First and last erased row and column of each image, each rectangle being full."""
    rows, columns = erased.any(axis=2), erased.any(axis=1)
    top, left = rows.argmax(axis=1), columns.argmax(axis=1)
    height, width = rows.sum(axis=1), columns.sum(axis=1)
    assert (erased.sum(axis=(1, 2)) == height * width).all()
    return top, left, height, width


@pytest.mark.notes("S3-39", "S1-78")
def test_random_erasing():
    n, h, w = 800, 20, 30
    x = jnp.asarray(np.random.default_rng(0).uniform(1, 2, size=(n, h, w, 2)), jnp.float32)
    made = jax.jit(
        lambda key: (
            random_erasing(0.5, (0.05, 0.3), (0.5, 2.0))(key, x)[0],
            random_erasing(1.0, value=5.0, noise=0.5)(key, x)[0],
            random_erasing(1.0, area=1.0, ratio=9.0)(key, x)[0],
        )
    )(jax.random.key(0))
    y, written, whole = map(np.asarray, made)
    erased = (y == 0).all(axis=-1)
    np.testing.assert_array_equal(y, np.where(erased[..., None], 0, x))  # both channels, the rest untouched
    changed = erased.any(axis=(1, 2))
    assert abs(changed.mean() - 0.5) < 5 * np.sqrt(0.25 / n)
    top, left, height, width = rectangles(erased[changed])
    area, ratio = height * width / (h * w), height / width
    assert 0.04 < area.min() < 0.07
    assert 0.27 < area.max() < 0.33
    assert abs(np.mean(area) - 0.175) < 0.025
    assert 0.4 < ratio.min() < 0.6
    assert 1.7 < ratio.max() < 2.4
    assert abs(np.mean(ratio) - 1.25) < 0.1  # uniform from ½ to 2
    for place, free in ((top, h - height), (left, w - width)):
        assert (place <= free).all()
        assert abs(np.mean(place[free > 3] / free[free > 3]) - 0.5) < 0.05
    fresh = written[written != x]
    assert abs(fresh.mean() - 5) < 0.05
    assert abs(fresh.std() - 0.5) < 0.05
    # A rectangle that never fits erases nothing.
    np.testing.assert_array_equal(whole, x)


@pytest.mark.notes("S1-78")
@pytest.mark.parametrize("size", [4, 5])
def test_cutout_is_a_square_around_any_pixel(size):
    n, h, w = 2000, 7, 9
    x = np.ones((n, h, w, 1), np.float32)
    y = np.asarray(jax.jit(cutout(size, 3.0))(jax.random.key(0), x)[0])[..., 0]
    assert set(np.unique(y)) == {1.0, 3.0}
    top, left, height, width = rectangles(y == 3)
    places = set()
    for i in range(h):  # a second implementation: every middle, cut off at the edges
        for j in range(w):
            first = max(i - size // 2, 0), max(j - size // 2, 0)
            last = min(i - size // 2 + size, h), min(j - size // 2 + size, w)
            places.add((*first, last[0] - first[0], last[1] - first[1]))
    assert set(zip(top, left, height, width, strict=True)) == places
