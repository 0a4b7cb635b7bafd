"""Batches: each sample once an epoch, unequal batches by their size, a training loop made of them."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.data import batches, epoch_batches, shuffled_indices, take
from jaxopt_notes.losses import half_mean_squared_error, mean_squared_error, weighted_mean
from tests.compiled import compiled, grad

epoch_batches = compiled(epoch_batches)
shuffled_indices = compiled(shuffled_indices)
half_mean_squared_error = compiled(half_mean_squared_error)
mean_squared_error = compiled(mean_squared_error)
weighted_mean = compiled(weighted_mean)

RNG = np.random.default_rng(0)


@pytest.mark.notes("S3-24")
@pytest.mark.parametrize(("n", "size", "steps"), [(12, 4, 3), (13, 4, 4), (3, 8, 1), (1, 1, 1)])
def test_every_sample_counts_once(key, n, size, steps):
    indices, weights = epoch_batches(key, n, size)
    assert indices.shape == weights.shape == (steps, size)
    assert sorted(np.asarray(indices)[np.asarray(weights) == 1].tolist()) == list(range(n))
    assert weights.sum() == n
    flat = np.asarray(indices).reshape(-1)
    np.testing.assert_array_equal(flat, np.resize(flat[:n], flat.size))  # filled up from the beginning


@pytest.mark.notes("S3-24")
def test_epochs_differ_and_repeat_with_their_key(key):
    one, two = (epoch_batches(jax.random.fold_in(key, epoch), 20, 5).indices for epoch in range(2))
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(one, epoch_batches(jax.random.fold_in(key, 0), 20, 5).indices)


@pytest.mark.notes("S3-24")
def test_every_sample_comes_to_every_place_alike():
    keys = jax.random.split(jax.random.key(2), 2000)
    first = jax.vmap(lambda k: epoch_batches(k, 10, 3).indices[0, 0])(keys)
    assert np.all(np.abs(np.bincount(first, minlength=10) / 2000 - 0.1) < 5 * np.sqrt(0.09 / 2000))


def test_drop_last_leaves_whole_batches(key):
    indices, weights = epoch_batches(key, 13, 4, drop_last=True)
    assert indices.shape == (3, 4)
    assert weights.all()
    assert len(set(np.asarray(indices).reshape(-1).tolist())) == 12
    with pytest.raises(ValueError, match=r"epoch_batches\(batch_size\) is 14, expected at most n = 13"):
        epoch_batches(key, 13, 14, drop_last=True)


@pytest.mark.parametrize(
    ("n", "size", "error"), [(0, 4, ValueError), (4, 0, ValueError), (4.0, 2, TypeError)]
)
def test_wrong_sizes_are_named(key, n, size, error):
    with pytest.raises(error, match=r"epoch_batches\(.*\) is .* whole number of at least 1"):
        epoch_batches(key, n, size)


def test_in_jit_vmap_and_scan(key):
    keys = jax.random.split(key, 3)
    alone = np.stack([epoch_batches(k, 10, 4).indices for k in keys])
    np.testing.assert_array_equal(jax.vmap(lambda k: epoch_batches(k, 10, 4).indices)(keys), alone)
    _, scanned = jax.jit(lambda ks: lax.scan(lambda c, k: (c, epoch_batches(k, 10, 4).indices), 0, ks))(keys)
    np.testing.assert_array_equal(scanned, alone)


def test_take_from_every_array():
    x, y = take(({"a": np.arange(6).reshape(3, 2)}, jnp.array([7, 8, 9])), jnp.array([[2, 0]]))
    assert x["a"].tolist() == [[[4, 5], [0, 1]]]
    assert y.tolist() == [[9, 7]]


def linear_data(n):
    x = RNG.normal(size=(n, 3))
    return jnp.asarray(x), jnp.asarray(x @ np.array([1.0, -2.0, 0.5]) + 0.1 * RNG.normal(size=n))


@pytest.mark.notes("S0-02")
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("n", "size"), [(24, 6), (23, 6)])
def test_the_mean_of_batch_losses_weighted_by_size_is_the_loss_of_the_set(key, n, size):
    (x, y), w = linear_data(n), jnp.array([0.3, 0.2, -1.0])
    batches = epoch_batches(key, n, size)

    def batch_loss(batch):
        xb, yb = take((x, y), batch.indices)
        return weighted_mean(mean_squared_error(xb @ w, yb), batch.weights)

    losses, sizes = lax.map(batch_loss, batches), batches.weights.sum(axis=1)
    full = np.mean((np.asarray(x) @ np.asarray(w) - np.asarray(y)) ** 2)
    np.testing.assert_allclose(weighted_mean(losses, sizes), full, rtol=1e-12)
    equal = n % size == 0
    assert np.isclose(losses.mean(), full, rtol=1e-12) == equal  # unweighted, a ragged batch counts too much


def train(key, data, batch_size, epochs, rate=0.1):
    """The notes' loop: for each epoch a partition, for each batch a step against its gradient."""
    n = len(data[1])

    def step(w, batch):
        x, y = take(data, batch.indices)
        risk = lambda w: weighted_mean(half_mean_squared_error(x @ w, y), batch.weights)  # noqa: E731
        return w - rate * grad(risk)(w), None

    def epoch(w, key):
        return lax.scan(step, w, epoch_batches(key, n, batch_size))

    return lax.scan(epoch, jnp.zeros(3), jax.random.split(key, epochs))[0]


@pytest.mark.notes("S0-01", "S3-22")
@pytest.mark.usefixtures("x64")
def test_a_training_loop(key):
    """One batch of full size is gradient descent; small batches reach the least-squares solution."""
    data = linear_data(30)
    x, y = map(np.asarray, data)
    w = np.zeros(3)
    for _ in range(5):
        w = w - 0.1 * x.T @ (x @ w - y) / 30
    full = jax.jit(train, static_argnames=("batch_size", "epochs"))
    np.testing.assert_allclose(full(key, data, batch_size=30, epochs=5), w, rtol=1e-12)
    np.testing.assert_allclose(full(key, data, batch_size=64, epochs=5), w, rtol=1e-12)  # filled up

    solution = np.linalg.lstsq(x, y, rcond=None)[0]
    trained = np.asarray(full(key, data, batch_size=8, epochs=60))
    best = np.mean((x @ solution - y) ** 2)
    assert np.mean((x @ trained - y) ** 2) < 1.2 * best < 0.01 * np.mean(y**2)


@pytest.mark.notes("S3-24")
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 31, 32, 33, 896, 1000, 65_536, 65_537])
def test_an_order_is_a_permutation_whatever_is_traced(n):
    keys = jax.random.split(jax.random.key(3), 2)
    order = lambda key: shuffled_indices(key, n)  # noqa: E731
    orders, alone = map(np.asarray, jax.jit(lambda keys: (jax.vmap(order)(keys), order(keys[1])))(keys))
    assert orders.dtype == np.int32
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(n), (2, 1)))
    np.testing.assert_array_equal(orders[1], alone)


@pytest.mark.parametrize("n", [5, 1000])
def test_an_unstable_sort_of_words_is_the_stable_sort_by_their_bits(key, n):
    """The position is a part of the word, so no two are equal: an order by hand, ties kept, is the same."""
    width = (n - 1).bit_length()
    rounds = {5: 1, 1000: 2}[n]
    order = np.arange(n)
    for bits in np.asarray(jax.random.bits(key, (rounds, n), jnp.uint32)):
        order = order[np.argsort(bits >> width, kind="stable")]
    np.testing.assert_array_equal(shuffled_indices(key, n), order)
    sorting = jax.jit(lambda key: batches.shuffled_indices(key, n)).lower(key).as_text()
    assert "stablehlo.sort" in sorting
    assert "is_stable = false" in sorting


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-1, ValueError), (2.5, TypeError)])
def test_an_order_of_nothing_is_refused(key, n, error):
    with pytest.raises(error, match=r"shuffled_indices\(n\)"):
        shuffled_indices(key, n)


def test_all_orders_are_equally_frequent():
    """χ² of 60,000 orders of five samples, 119 degrees of freedom: below 194 but once in 10,000 times."""
    orders = jax.vmap(lambda key: shuffled_indices(key, 5))(jax.random.split(jax.random.key(0), 60_000))
    counts = collections.Counter(map(tuple, np.asarray(orders).tolist()))
    assert len(counts) == 120
    assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 194


@pytest.mark.full
def test_no_place_and_no_pair_is_preferred_in_long_orders():
    """Two sorts make an order of 896: where a sample goes, and which of two neighbours comes first."""
    n, runs = 896, 4_000
    orders = jax.vmap(lambda key: shuffled_indices(key, n))(jax.random.split(jax.random.key(1), runs))
    places = np.argsort(np.asarray(orders), axis=1)
    counts = np.apply_along_axis(np.bincount, 0, places // 56, minlength=16)  # [16 stretches, samples]
    chi = np.sum((counts - runs / 16) ** 2 / (runs / 16), axis=0)  # 15 degrees of freedom each
    assert abs(chi.mean() - 15) < 5 * np.sqrt(2 * 15 / n)
    first = (places[:, :-1] < places[:, 1:]).mean(axis=0)
    assert abs(first.mean() - 0.5) < 5 * 0.5 / np.sqrt(runs * n / 3)
    assert np.abs(first - 0.5).max() < 5 * 0.5 / np.sqrt(runs)


def test_orders_of_many_millions_are_those_of_jax():
    """Beside a position of 24 bits too few are left to sort by."""
    text = lambda draw: str(jax.make_jaxpr(draw)(jax.random.key(0)))  # noqa: E731
    drawn = shuffled_indices.__wrapped__
    ours = text(lambda key: drawn(key, 2**24))
    assert ours == text(lambda key: jax.random.permutation(key, jnp.arange(2**24, dtype=jnp.int32)))
    assert "num_keys=1" in ours
    assert ours != text(lambda key: drawn(key, 2**23))
