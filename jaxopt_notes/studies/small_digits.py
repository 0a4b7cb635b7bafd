"""Few digits: what the studies of overfitting train on, in place of 1,000 of MNIST's."""

import itertools

import jax

from jaxopt_notes.data import digits


def images() -> tuple[jax.Array, jax.Array]:
    """All 1,797 images [n, 8, 8, 1], values in [0, 1], and labels.

    Give them to a program as arguments: closed over, they would be constants in it.
    """
    x, y = digits()
    return (x / 16).reshape(-1, 8, 8, 1), y


def deal(key: jax.Array, data: tuple, train: int, valid: int = 400) -> tuple[tuple, tuple, tuple]:
    """Some for training, some for validation, the rest for tests: three pairs (x, y).

    Arguments:
        key: says which are which.
        data: as of `images`.
        train, valid: how many; static.
    """
    x, y = data
    order = jax.random.permutation(key, len(y))
    cuts = (0, train, train + valid, len(y))
    parts = [(x[order[a:b]], y[order[a:b]]) for a, b in itertools.pairwise(cuts)]
    return parts[0], parts[1], parts[2]
