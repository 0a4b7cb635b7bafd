"""What strategies compute in NumPy inside transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search.strategies.on_host import on_host


def test_doubles_cross_whole_in_threads_that_know_nothing_of_them():
    """`jax.enable_x64` holds in the caller's thread alone, and XLA calls back from others too."""

    def call(numbers, counts, flag):
        assert (numbers.dtype, counts.dtype, flag.dtype) == (np.float64, np.int64, bool)
        return numbers / 3, np.int64(2**40) + counts, np.asarray(numbers.sum(), np.float32)

    @jax.jit
    @jax.vmap
    def f(x):
        busy = x @ x.T  # products of this size run in XLA's threads, and so does what follows them
        shapes = (
            jax.ShapeDtypeStruct(x.shape, jnp.float64), jax.ShapeDtypeStruct((), jnp.int64),
            jax.ShapeDtypeStruct((), jnp.float32),
        )  # fmt: skip
        return on_host(call, shapes, x, jnp.asarray(7), jnp.asarray(True)), busy.sum()

    with jax.enable_x64(True):
        x = np.random.default_rng(0).normal(size=(5, 300, 300))
        (thirds, counts, sums), _ = f(x)
        np.testing.assert_array_equal(thirds, x / 3)
        np.testing.assert_array_equal(counts, 2**40 + 7)
        np.testing.assert_allclose(sums, x.sum((1, 2)), rtol=1e-5, atol=1e-3)


def test_what_runs_on_the_host_has_one_blas_thread_and_the_rest_as_many_as_before():
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def threads(*_):
        return np.array([pool["num_threads"] for pool in threadpoolctl.threadpool_info()
                         if pool["user_api"] == "blas"])  # fmt: skip

    with threadpoolctl.threadpool_limits(2, user_api="blas"):  # as on a machine with two cores
        assert set(on_host(threads, None)) == {1}
        traced = jax.jit(
            lambda x: on_host(lambda x: x * np.float32(threads().max()), jax.ShapeDtypeStruct((), x.dtype), x)
        )
        assert traced(jnp.float32(3)) == 3
        assert set(threads()) == {2}
