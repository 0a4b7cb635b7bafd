"""Splits and folds: partitions, their sizes and proportions, and the chance of each sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data import kfold_indices, split

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


@pytest.mark.notes("S0-08")
@pytest.mark.parametrize(("n", "k"), [(20, 5), (23, 5), (7, 7), (5, 2)])
def test_every_sample_validates_exactly_once(key, n, k):
    folds = jax.jit(kfold_indices, static_argnums=(1, 2))(key, n, k)
    validated = np.asarray(folds.validation)[np.asarray(folds.validation_weights) == 1]
    assert sorted(validated.tolist()) == list(range(n))
    for train, tw, validation, vw in zip(*map(np.asarray, folds), strict=True):
        trains, validates = train[tw == 1].tolist(), validation[vw == 1].tolist()
        assert sorted(trains + validates) == list(range(n))
        assert abs(len(validates) - n / k) < 1
        assert set(train) == set(trains)  # filled up with samples of its own
        assert set(validation) == set(validates)


def test_folds_depend_on_the_key_and_need_no_filling_where_k_divides_n(key):
    one, two = kfold_indices(key, 20, 5), kfold_indices(jax.random.key(1), 20, 5)
    assert one.train_weights.all()
    assert one.validation_weights.all()
    assert not np.array_equal(one.validation, two.validation)


def test_stratified_folds_keep_the_proportions(key):
    """To the next whole number: a class is a run of every fifth place."""
    folds = kfold_indices(key, 100, 5, labels=jnp.asarray(LABELS))
    for validation in np.asarray(folds.validation):
        assert np.all(np.abs(np.bincount(LABELS[validation], minlength=4) - np.bincount(LABELS) / 5) < 1)


def test_any_fold_can_have_the_sample_that_a_class_has_over(key):
    """Four samples of the first class in three folds: over many keys each fold has two of them at times."""
    labels = np.repeat([0, 1], [4, 8])
    folds = jax.vmap(lambda key: kfold_indices(key, 12, 3, jnp.asarray(labels)))(jax.random.split(key, 40))
    counts = (labels[np.asarray(folds.validation)] == 0).sum(-1)  # [keys, folds]
    assert (counts.sum(1) == 4).all()
    np.testing.assert_allclose((counts == 2).mean(0), 1 / 3, atol=0.3)
    assert (counts == 2).any(0).all()


def test_a_wrong_number_of_folds_is_named(key):
    with pytest.raises(ValueError, match=r"kfold_indices\(k\) is 6, expected at most n = 5"):
        kfold_indices(key, 5, 6)
    with pytest.raises(ValueError, match=r"kfold_indices\(k\) is 1, .* at least 2"):
        kfold_indices(key, 5, 1)
