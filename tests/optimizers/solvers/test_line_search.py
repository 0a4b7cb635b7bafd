"""A line search around an optimizer: a parabola by hand, what it needs, and what it spares."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import (
    SOLVERS,
    adam,
    add_l2,
    apply_updates,
    chain,
    lbfgs,
    line_search,
    sgd,
    value_and_grad_from_state,
    zoom,
)
from jaxopt_notes.problems import rosenbrock
from tests.optimizers.solver_runs import solve

parabola = jax.tree_util.Partial(lambda x: jnp.sum(x**2))


def test_a_parabola_by_hand(x64):
    """From 3 along −6: at 1 the value is 9 again, the parabola through both with the slope is the loss."""
    points, states = solve(line_search(sgd(1.0)), parabola, jnp.array([3.0]), 1)
    np.testing.assert_allclose(points, [[3.0], [0.0]], atol=1e-12)
    assert (states.learning_rate, states.num_linesearch_steps) == (0.5, 2)
    np.testing.assert_allclose((states.value[0], states.grad[0, 0]), 0, atol=1e-12)


def test_the_state_spares_the_evaluation_of_the_loss(x64):
    """What the search found is what evaluating anew finds, and the run is the same."""
    start, optimizer, f = jnp.array([-1.2, 1.0]), lbfgs(), rosenbrock()
    expected, states = solve(optimizer, f, start, 20)
    values, grads = jax.vmap(jax.value_and_grad(f))(expected[1:])
    np.testing.assert_allclose(states.value, values, rtol=1e-12)
    np.testing.assert_allclose(states.grad, grads, rtol=1e-9, atol=1e-12)

    @jax.jit
    def step(x, state):
        value, grad = value_and_grad_from_state(f)(x, state=state)
        updates, state = optimizer.update(grad, state, x, value=value, grad=grad, value_fn=f)
        return apply_updates(x, updates), state

    x, state = start, optimizer.init(start)
    for point in expected[1:]:
        x, state = step(x, state)
        np.testing.assert_allclose(x, point, rtol=1e-9)


@pytest.mark.parametrize(("strategy", "guess"), [("one", 1.0), ("keep", None)])
def test_the_first_guess(strategy, guess, x64):
    """With one round the guess is the step, if it is good at all."""
    rule = zoom(1, curv_rtol=np.inf)
    optimizer = line_search(sgd(0.1), rule, initial_guess_strategy=strategy)
    state = optimizer.init(jnp.ones(2))._replace(learning_rate=jnp.array(0.25))
    x = jnp.ones(2)
    _, after = jax.jit(lambda s, x: optimizer.update(2 * x, s, x, value_fn=parabola))(state, x)
    assert after.learning_rate == (0.25 if guess is None else guess)


def test_the_slope_is_that_of_the_loss_not_of_what_was_done_to_the_gradient(x64):
    """`grad=` is the gradient at the parameters when the optimizer is given another one."""
    x = jnp.array([1.0, -2.0])
    optimizer = chain(add_l2(10.0, mask=None), line_search(sgd(1.0), zoom(approx_dec_rtol=None)))
    grad = jax.grad(rosenbrock())(x)
    updates, state = optimizer.update(grad, optimizer.init(x), x, grad=grad, value_fn=rosenbrock())
    after = jax.grad(rosenbrock())(x + updates)
    assert abs(after @ updates) <= 0.9 * abs(grad @ updates)
    assert state[1].decrease_error == 0


def test_arguments_that_the_loss_has_a_name_for_are_passed_on(x64):
    def loss(x, target, scale=1.0):
        return scale * jnp.sum((x - target) ** 2)

    x, target = jnp.zeros(2), jnp.array([1.0, 2.0])
    optimizer = line_search(sgd(0.5))
    updates, _ = optimizer.update(
        jax.grad(loss)(x, target), optimizer.init(x), x, value_fn=loss, target=target, epoch=3
    )
    np.testing.assert_allclose(updates, target)


@pytest.mark.full
def test_it_makes_adam_go_down_always(x64):
    _, states = solve(line_search(adam(0.3)), rosenbrock(), jnp.array([-1.2, 1.0]), 60)
    assert (np.diff(states.value) <= 1e-6 * states.value[:-1]).all()
    assert states.value[-1] < 1


def test_without_the_loss_it_says_so():
    x = jnp.ones(2)
    for name in ("line_search", "lbfgs", "bfgs", "newton", "newton_cg", "gauss_newton"):
        optimizer = SOLVERS[name](*([sgd(1.0)] if name == "line_search" else []))
        needed = "residual_fn" if name == "gauss_newton" else "value_fn"
        with pytest.raises(ValueError, match=f"needs {needed}, but it is None: call update"):
            jax.eval_shape(lambda x, optimizer=optimizer: optimizer.update(x, optimizer.init(x), x), x)
    with pytest.raises(ValueError, match="initial_guess_strategy"):
        line_search(sgd(1.0), initial_guess_strategy="double")
    with pytest.raises(TypeError, match="not a gradient transform"):
        line_search(0.1)
