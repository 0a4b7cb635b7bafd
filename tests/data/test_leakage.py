"""Leakage: planted duplicates are found, and what they are worth to a model that learnt nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.data import assert_disjoint, leakage_report, split

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)


@pytest.mark.notes("S0-07")
def test_planted_duplicates_are_found():
    train, validation, test = X[:40].copy(), X[40:50].copy(), X[50:].copy()
    train[7], test[3], test[4] = [0.0, 1.0, np.nan], [-0.0, 1.0, np.nan], train[20]
    validation[0] = test[9]
    report = leakage_report(train=(train, None), validation=(validation, None), test=(test, None))
    assert {names: rows.tolist() for names, rows in report.shared.items()} == {
        ("train", "validation"): [],
        ("train", "test"): [[7, 3], [20, 4]],
        ("validation", "test"): [[0, 9]],
    }
    assert not report.clean
    assert "2 of 10 rows of test are in train (3 as 7, 4 as 20)" in str(report)
    with pytest.raises(
        AssertionError, match=r"1 of 10 rows of part 1 are in part 0 \(9 as 0\).*grouped_split"
    ):
        assert_disjoint(validation, test)
    assert_disjoint(train, validation)
    assert str(leakage_report(a=X[:5], b=X[5:])) == "a, b share no row"


def test_inputs_may_be_trees_of_any_dtype():
    x = {
        "image": jnp.asarray(X.reshape(60, 3, 1), jnp.bfloat16),
        "age": jnp.arange(60),
        "ill": np.arange(60) % 2 == 0,
    }
    assert_disjoint(*split(jax.random.key(0), (x, np.arange(60)), stratify=False))
    half = jax.tree.map(lambda a: a[:2], x)
    assert leakage_report(a=x, b=half).shared["a", "b"].tolist() == [[0, 0], [1, 1]]
    with pytest.raises(ValueError, match=r"leakage_report\(b\) has inputs .*, expected .*, those of a"):
        leakage_report(a=X, b=X.astype(np.float64))
    with pytest.raises(ValueError, match="given 1 parts"):
        leakage_report(a=X)


@pytest.mark.notes("S0-07")
def test_labels_without_meaning_are_known_only_where_they_leaked():
    """The nearest neighbour on shuffled labels: all of the leaked rows right, of the others a quarter."""
    labels = RNG.integers(4, size=1060)
    x = RNG.normal(size=(1060, 5))
    train, honest, leaked = slice(0, 560), slice(560, 1060), slice(0, 300)

    def accuracy(rows):
        apart = np.linalg.norm(x[rows][:, None] - x[train][None], axis=-1)
        return np.mean(labels[train][apart.argmin(axis=1)] == labels[rows])

    assert leakage_report(train=x[train], test=x[honest]).clean
    assert abs(accuracy(honest) - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 500)
    assert len(leakage_report(train=x[train], test=x[leaked]).shared["train", "test"]) == 300
    assert accuracy(leaked) == 1
