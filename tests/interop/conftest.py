"""What the tests with other libraries share."""

import jax
import pytest


@pytest.fixture
def relaxed():
    """JAX's default promotion of dtypes and ranks, on which other libraries rely."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture
def optax(x64):
    return pytest.importorskip("optax")


@pytest.fixture
def torch(x64):
    return pytest.importorskip("torch")
