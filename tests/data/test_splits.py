"""Splits: partitions, their sizes and proportions, and the chance of each sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data import grouped_split, split, time_ordered_split
from tests.compiled import compiled

split = compiled(split)
time_ordered_split = compiled(time_ordered_split)

LABELS = np.repeat(np.arange(4), [50, 30, 13, 7])  # sorted by class, as files often are


def labelled(labels=LABELS):
    """Samples that are their own number."""
    return jnp.arange(len(labels)), jnp.asarray(labels)


@pytest.mark.notes("S0-05")
@pytest.mark.parametrize("stratify", [True, False])
def test_the_parts_are_disjoint_and_together_everything(key, stratify):
    parts = split(key, labelled(), stratify=stratify)
    assert [len(x) for x, _ in parts] == [70, 15, 15]
    assert sorted(np.concatenate([x for x, _ in parts]).tolist()) == list(range(100))
    for x, y in parts:
        np.testing.assert_array_equal(y, LABELS[np.asarray(x)])  # labels go with their samples


@pytest.mark.full
@pytest.mark.notes("S0-05")
@pytest.mark.parametrize("stratify", [True, False])
def test_a_split_is_a_function_of_its_key(key, stratify):
    def train(key):
        return split(key, labelled(), stratify=stratify).train[0]

    np.testing.assert_array_equal(train(key), train(key))
    np.testing.assert_array_equal(jax.jit(train)(key), train(key))
    other = train(jax.random.key(1))
    assert set(other.tolist()) != set(train(key).tolist())
    keys = jax.random.split(key, 3)
    np.testing.assert_array_equal(jax.vmap(train)(keys), [train(k) for k in keys])


@pytest.mark.notes("S0-05")
def test_every_part_keeps_the_proportions_of_the_classes():
    counts = np.bincount(LABELS)
    for seed in range(10):
        parts = split(jax.random.key(seed), labelled(), (0.6, 0.25, 0.15))
        for (_, y), fraction in zip(parts, (0.6, 0.25, 0.15), strict=True):
            assert np.all(np.abs(np.bincount(y, minlength=4) - fraction * counts) <= 2)


@pytest.mark.full
def test_every_sample_comes_to_every_part_with_its_probability():
    """Also where each class has a single sample, and sorting leaves nothing to chance but the offset."""
    for labels in (LABELS, np.arange(100)):
        keys = jax.random.split(jax.random.key(3), 1000)
        tests = jax.vmap(lambda k, y=labels: split(k, labelled(y)).test[0])(keys)
        often = np.bincount(np.asarray(tests).reshape(-1), minlength=100) / 1000
        assert np.all(np.abs(often - 0.15) < 5 * np.sqrt(0.15 * 0.85 / 1000))


def test_the_parts_are_shuffled(key):
    train = split(key, labelled()).train
    assert len(set(train[1][:20].tolist())) > 1


@pytest.mark.parametrize(
    ("n", "fractions", "sizes"),
    [
        (10, (0.7, 0.15, 0.15), (7, 2, 1)),
        (7, (1 / 3, 1 / 3, 1 / 3), (3, 2, 2)),
        (5, (0.8, 0.2, 0.0), (4, 1, 0)),
        (1797, (0.7, 0.15, 0.15), (1258, 270, 269)),
    ],
)
def test_sizes_add_up(key, n, fractions, sizes):
    parts = split(key, labelled(np.zeros(n, np.int32)), fractions)
    assert tuple(len(x) for x, _ in parts) == sizes


def test_inputs_may_be_a_tree_and_targets_real(key):
    data = ({"a": jnp.arange(10), "b": jnp.arange(10.0)[:, None]}, jnp.linspace(0, 1, 10))
    train = split(key, data, (0.5, 0.5, 0.0), stratify=False).train
    np.testing.assert_array_equal(train[0]["a"], train[0]["b"][:, 0])
    assert train[1].shape == (5,)


def test_what_cannot_be_split_is_named(key):
    x, y = labelled()
    with pytest.raises(ValueError, match=r"split\(fractions\) is \(0.7, 0.2, 0.2\), .* sum is 1"):
        split(key, (x, y), (0.7, 0.2, 0.2))
    with pytest.raises(ValueError, match=r"split\(fractions\) is \(1.2, -0.1, -0.1\)"):
        split(key, (x, y), (1.2, -0.1, -0.1))
    with pytest.raises(ValueError, match=r"shapes \(100,\), \(99,\), expected one common leading axis"):
        split(key, (x, y[:-1]))
    with pytest.raises(ValueError, match=r"labels of shape \(100, 4\), expected \(100,\): .*argmax"):
        split(key, (x, jax.nn.one_hot(y, 4)))
    with pytest.raises(TypeError, match=r"dtype float32, expected integers: .*stratify=False"):
        split(key, (x, y.astype(jnp.float32)))


@pytest.mark.notes("S0-07")
def test_groups_are_in_one_part_and_sizes_near_their_fractions():
    rng = np.random.default_rng(0)
    groups = rng.integers(20, size=200)
    labels = (groups % 3 == 0).astype(np.int32)  # a class has whole groups only
    largest = np.bincount(groups).max()
    seen = set()
    for seed in range(3):
        for stratify in (seed == 2,):
            data = np.arange(200), labels
            parts = grouped_split(jax.random.key(seed), data, groups, (0.6, 0.2, 0.2), stratify=stratify)
            rows = [np.asarray(x) for x, _ in parts]
            assert sorted(np.concatenate(rows).tolist()) == list(range(200))
            assert sum(len(set(groups[row])) for row in rows) == 20
            sizes = np.array([len(row) for row in rows])
            assert np.abs(sizes - [120, 40, 40]).max() <= largest * (2 if stratify else 1)
            if stratify:
                shares = np.array([np.mean(y) for _, y in parts])
                assert np.abs(shares - labels.mean()).max() < 0.17
            assert not np.array_equal(rows[0], np.sort(rows[0]))
        seen.add(tuple(sorted(set(groups[rows[2]]))))
    assert len(seen) > 1
    with pytest.raises(ValueError, match=r"grouped_split\(groups\) has shape \(199,\), expected \(200,\)"):
        grouped_split(jax.random.key(0), data, groups[1:])


def test_time_goes_forward():
    t = np.arange(20)
    for gap in (0, 2):
        parts = time_ordered_split(({"t": t}, t), (0.5, 0.25, 0.25), gap=gap)
        found = [part[0]["t"].tolist() for part in parts]
        assert found == [list(range(10 - gap)), list(range(10, 15 - gap)), list(range(15, 20))]
    with pytest.raises(ValueError, match=r"time_ordered_split\(fractions\) is \(0.5, 0.5, 0.5\)"):
        time_ordered_split((t, t), (0.5, 0.5, 0.5))
