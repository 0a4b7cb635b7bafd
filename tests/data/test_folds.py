"""Folds: who trains and who validates, as indices and as weights, against scikit-learn and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.model_selection

from jaxopt_notes.data import (
    grouped_kfold_indices,
    kfold_indices,
    leave_one_out_indices,
    repeated_kfold_indices,
    time_series_indices,
)
from tests.compiled import compiled

LABELS = np.repeat(np.arange(4), [50, 30, 13, 7])  # sorted by class, as files often are


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
    one, two = (compiled(kfold_indices)(own, 20, 5) for own in (key, jax.random.key(1)))
    assert one.train_weights.all()
    assert one.validation_weights.all()
    assert not np.array_equal(one.validation, two.validation)


def test_stratified_folds_keep_the_proportions(key):
    """To the next whole number: a class is a run of every fifth place."""
    folds = compiled(kfold_indices)(key, 100, 5, labels=LABELS)
    for validation in np.asarray(folds.validation):
        assert np.all(np.abs(np.bincount(LABELS[validation], minlength=4) - np.bincount(LABELS) / 5) < 1)


def test_any_fold_can_have_the_sample_that_a_class_has_over(key):
    """Four samples of the first class in three folds: over many keys each fold has two of them at times."""
    labels = np.repeat([0, 1], [4, 8])
    draw = jax.jit(jax.vmap(lambda key: kfold_indices(key, 12, 3, jnp.asarray(labels))))
    folds = draw(jax.random.split(key, 40))
    counts = (labels[np.asarray(folds.validation)] == 0).sum(-1)  # [keys, folds]
    assert (counts.sum(1) == 4).all()
    np.testing.assert_allclose((counts == 2).mean(0), 1 / 3, atol=0.3)
    assert (counts == 2).any(0).all()


def test_a_wrong_number_of_folds_is_named(key):
    with pytest.raises(ValueError, match=r"kfold_indices\(k\) is 6, expected at most n = 5"):
        kfold_indices(key, 5, 6)
    with pytest.raises(ValueError, match=r"kfold_indices\(k\) is 1, .* at least 2"):
        kfold_indices(key, 5, 1)
    with pytest.raises(ValueError, match=r"grouped_kfold_indices\(k\) is 3, .* number of groups, 2"):
        grouped_kfold_indices(key, np.array([0, 0, 1]), 3)
    with pytest.raises(TypeError, match=r"groups\) is traced, .* outside jit"):
        jax.eval_shape(lambda groups: grouped_kfold_indices(key, groups, 2), jnp.array([0, 0, 1]))
    with pytest.raises(ValueError, match=r"leaves nothing of n = 5 to train"):
        time_series_indices(5, 2, size=2, gap=1)


@pytest.mark.notes("S0-08")
def test_weights_say_the_same_as_indices_and_leave_one_out_is_press(key):
    """Ridge regression by weights of all samples in every fold: Allen's closed form, and unequal folds."""
    rng = np.random.default_rng(0)
    n, strength = 11, 0.7
    x, y = rng.normal(size=(n, 3)), rng.normal(size=n)
    train, validation = jax.jit(lambda: leave_one_out_indices(n).weights(n))()
    np.testing.assert_array_equal(train, 1 - np.eye(n))
    errors = []
    for w, v in zip(np.asarray(train, np.float64), np.asarray(validation, np.float64), strict=True):
        ridge = np.linalg.solve((x.T * w) @ x + strength * np.eye(3), (x.T * w) @ y)
        errors.append(np.sum(v * (y - x @ ridge) ** 2))
    hat = x @ np.linalg.solve(x.T @ x + strength * np.eye(3), x.T)
    press = np.mean(((y - hat @ y) / (1 - np.diag(hat))) ** 2)
    np.testing.assert_allclose(np.mean(errors), press, rtol=1e-10)
    # Unequal folds: filled rows count nothing.
    folds = kfold_indices(key, n, 3)
    train, validation = folds.weights(n)
    np.testing.assert_array_equal(train + validation, np.ones((3, n)))
    np.testing.assert_array_equal(validation.sum(axis=0), np.ones(n))
    assert sorted(validation.sum(axis=1).tolist()) == [3, 4, 4]


@pytest.mark.notes("S0-08")
def test_repeated_folds_are_dealt_anew(key):
    labels = jnp.asarray(np.repeat([0, 1], 6))
    folds, (_, validation), second = jax.jit(
        lambda: (
            folds := repeated_kfold_indices(key, 12, 3, 4, labels), folds.weights(12),
            kfold_indices(jax.random.fold_in(key, 1), 12, 3, labels).validation,
        )
    )()  # fmt: skip
    deals = np.asarray(validation).reshape(4, 3, 12)
    np.testing.assert_array_equal(deals.sum(axis=1), np.ones((4, 12)))
    assert len({deal.tobytes() for deal in deals}) == 4
    np.testing.assert_array_equal(deals[..., :6].sum(axis=-1), 2 * np.ones((4, 3)))  # stratified
    np.testing.assert_array_equal(folds.validation[3:6], second)


@pytest.mark.notes("S0-08")
def test_groups_stay_together_in_folds_as_balanced_as_those_of_scikit_learn(key):
    rng = np.random.default_rng(1)
    groups = rng.choice(12, size=90, p=rng.dirichlet(np.ones(12)))
    labels = (rng.uniform(size=90) < np.linspace(0.1, 0.9, 12)[groups]).astype(int)

    def parts(folds):
        return [np.flatnonzero(row) for row in np.asarray(folds.weights(90)[1])]

    def theirs(splitter):
        return [test for _, test in splitter.split(labels, labels, groups)]

    def unbalance(parts):
        return max(map(len, parts)) - min(map(len, parts))

    def disproportion(parts):
        shares = np.array([np.bincount(labels[part], minlength=2) / np.bincount(labels) for part in parts])
        return np.std(shares, axis=0).mean()

    ours = parts(grouped_kfold_indices(key, groups, 4))
    assert sorted(np.concatenate(ours).tolist()) == list(range(90))
    assert sum(len(set(groups[part])) for part in ours) == len(set(groups))
    assert unbalance(ours) == unbalance(theirs(sklearn.model_selection.GroupKFold(4)))
    stratified = parts(grouped_kfold_indices(key, groups, 4, labels=labels))
    assert sum(len(set(groups[part])) for part in stratified) == len(set(groups))
    reference = disproportion(theirs(sklearn.model_selection.StratifiedGroupKFold(4)))
    assert disproportion(stratified) <= 1.1 * reference
    assert disproportion(stratified) < disproportion(ours)


@pytest.mark.parametrize(("n", "k", "size", "gap"), [(12, 3, None, 0), (13, 3, 2, 1), (7, 2, None, 2)])
def test_folds_in_the_order_of_time_are_those_of_scikit_learn(n, k, size, gap):
    folds = compiled(time_series_indices)(n, k, size=size, gap=gap)
    train, train_weights, validation, _ = map(np.asarray, folds)
    splitter = sklearn.model_selection.TimeSeriesSplit(k, test_size=size, gap=gap)
    for i, (before, after) in enumerate(splitter.split(np.zeros(n))):
        np.testing.assert_array_equal(train[i][train_weights[i] == 1], before)
        np.testing.assert_array_equal(validation[i], after)
