"""A bounded while loop: values of `lax.while_loop`, derivatives of the loop unrolled by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.solvers.bounded_loop import bounded_loop


def root(a, max_steps=30):
    """√a by Heron's method, to 1e-14: the number of steps depends on a."""

    def body(carry):
        x, _, count = carry
        return (x + a / x) / 2, x, count + 1

    def unfinished(carry):
        x, last, count = carry
        return (abs(x - last) > 1e-14 * a) & (count < max_steps)

    return bounded_loop(unfinished, body, (a, 2 * a, jnp.zeros((), jnp.int32)), max_steps)


@pytest.mark.full
def test_derivatives_in_both_modes_and_twice(x64):
    a = jnp.array(7.0)
    first, second = 0.5 / np.sqrt(7), -0.25 / np.sqrt(7) ** 3
    np.testing.assert_allclose(root(a)[0], np.sqrt(7), rtol=1e-14)
    np.testing.assert_allclose(jax.grad(lambda a: root(a)[0])(a), first, rtol=1e-12)
    np.testing.assert_allclose(jax.jvp(lambda a: root(a)[0], (a,), (jnp.ones(()),))[1], first, rtol=1e-12)
    np.testing.assert_allclose(jax.hessian(lambda a: root(a)[0])(a), second, rtol=1e-10)


def test_a_batch_is_its_members(x64):
    a = jnp.array([1.0, 3.0, 1e4])
    x, _, count = jax.vmap(root)(a)
    np.testing.assert_allclose(x, np.sqrt(a), rtol=1e-14)
    assert len(set(count.tolist())) == 3
    assert count.tolist() == [int(root(one)[2]) for one in a]
    slopes = jax.vmap(jax.grad(lambda a: root(a)[0]))(a)
    np.testing.assert_allclose(slopes, 0.5 / np.sqrt(a), rtol=1e-12)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_whole_numbers_of_a_batch_may_be_closed_over(transform):
    def total(scale, rows):
        def body(carry):
            i, x = carry
            return i + 1, x + scale * rows[i].astype(float)

        return bounded_loop(lambda c: c[0] < 3, body, (jnp.zeros((), jnp.int32), jnp.zeros(())), 3)[1]

    rows = jnp.array([[1, 2, 3], [4, 5, 6]])
    values, slopes = transform(jax.vmap(jax.value_and_grad(total), (None, 0)))(2.0, rows)
    np.testing.assert_allclose(values, [12, 30])
    np.testing.assert_allclose(slopes, [6, 15])
