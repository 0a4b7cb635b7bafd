"""Data of other things than arrays are refused with what makes arrays of them."""

import datetime

import jax
import numpy as np
import pytest

from jaxopt_notes.data import balanced_batches, class_weights, kfold_indices, split
from jaxopt_notes.data.arrays import check_arrays, check_data

X, Y = np.ones((4, 2)), np.array([0, 1, 0, 1])
pandas = pytest.importorskip("pandas")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X.tolist(), Y), r"has a list as x, expected an array of numbers: np\.asarray\(x, np\.float32\)\."),
        ((X, Y.tolist()), r"has a list as y, expected an array of numbers: np\.asarray\(y\)\."),
        ((X, Y, [1.0] * 4), r"has a list as weights, .* np\.asarray\(weights, np\.float32\)\."),
        (({"a": X, "b": X.tolist()}, Y), r"has a dict as x, expected"),
        ((pandas.DataFrame(X), Y), r"has a DataFrame as x, .* np\.asarray\(x, np\.float32\)\."),
        ((X, pandas.Series(Y)), r"has a Series as y, .*: np\.asarray\(y\)\."),
        (
            (pandas.DataFrame({"a": ["s"] * 4}), Y),
            r"has a DataFrame as x, .* once texts and dates are numbers",
        ),
        ((X, np.array(["a"] * 4)), r"has an array of dtype <U1 as y, .* numbers names"),
        ((X, np.array([datetime.date.today()] * 4)), r"has an array of dtype object as y"),
    ],
)
def test_what_is_no_array_is_named_with_what_makes_one(data, message):
    with pytest.raises(TypeError, match=r"fit\(train_data\) " + message):
        check_data("fit(train_data)", data)


def test_arrays_and_shapes_and_tracers_pass():
    check_data("fit", (X, Y.astype(np.uint8), np.ones(4, np.float16)))
    check_arrays("x is", jax.eval_shape(lambda: {"a": X, "key": jax.random.key(0)}))
    jax.eval_shape(lambda x: check_arrays("x is", x), X)


def test_labels_that_are_names_are_to_be_numbered():
    names = np.array(["a", "b", "a", "b"])
    with pytest.raises(
        TypeError, match=r"dtype <U1, expected integers: .*np\.unique\(y, return_inverse=True\)"
    ):
        kfold_indices(jax.random.key(0), 4, 2, names)
    with pytest.raises(TypeError, match="dtype object"):
        class_weights(pandas.Series(names, dtype="category"), 2)
    with pytest.raises(TypeError, match=r"split\(data\) has an array of dtype <U1 as y"):
        split(jax.random.key(0), (X, names))
    for call in (lambda y: class_weights(y, 2), lambda y: balanced_batches(jax.random.key(0), y, 2, 2)):
        with pytest.raises(
            ValueError, match=r"labels of shape \(4, 2\), expected \(4,\): one-hot rows become"
        ):
            call(np.eye(2)[Y])
