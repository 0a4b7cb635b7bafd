"""SOAP: the formula against NumPy, invariance under rotation, and its limit, Adam."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers import adamw, soap
from tests.jaxprs import equations
from tests.optimizers.runs import RATES, assert_follows, falling_rate, follow, random_grads, random_params

SHAPE = (4, 3)


def descending(a):
    return np.linalg.eigh(a)[1][:, ::-1]


def reference(theta, grads, rates, b1=0.95, b2=0.95, b3=0.95, every=10, decay=0.0, eps=1e-8):
    """Algorithms 3 and 4 of the paper, with the basis I at first."""
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    rows, columns = theta.shape
    left, right, u, w = np.zeros((rows, rows)), np.zeros((columns, columns)), np.eye(rows), np.eye(columns)
    for t, (g, eta) in enumerate(zip(grads, np.broadcast_to(rates, len(grads)), strict=True), 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * (u.T @ g @ w) ** 2
        step = (u.T @ m @ w) / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        theta = theta - eta * (u @ step @ w.T + decay * theta)
        left, right = b3 * left + (1 - b3) * g @ g.T, b3 * right + (1 - b3) * g.T @ g
        if t == 1:
            u, w = descending(left), descending(right)
        elif (t - 1) % every == 0:
            u, w = np.linalg.qr(left @ u)[0], np.linalg.qr(right @ w)[0]
        yield theta


def adam_path(rates, decay=0.0, b1=0.95, b2=0.95):
    def path(theta, grads):
        m = v = np.zeros_like(theta)
        for t, (g, eta) in enumerate(zip(grads, np.broadcast_to(rates, len(grads)), strict=True), 1):
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            theta = theta - eta * (m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + 1e-8) + decay * theta)
            yield theta

    return path


def test_a_population_looks_for_bases_only_when_one_is_due():
    """A `lax.switch` would have become a selection, with every decomposition in every step."""
    state = jax.vmap(soap(0.1).init)(jnp.ones((2, *SHAPE)))
    step = jax.make_jaxpr(jax.vmap(soap(0.1).update))(jnp.ones((2, *SHAPE)), state, jnp.ones((2, *SHAPE)))
    names = [equation.primitive.name for equation in equations(step.jaxpr, outside=["while"])]
    assert names.count("while") == 4  # two sides, to make and to follow
    assert "dot_general" in names
    assert not {"eigh", "householder_product", "geqrf"} & set(names)


@pytest.mark.parametrize(("rate", "rates"), [(0.1, 0.1), (falling_rate, RATES)])
@pytest.mark.parametrize(
    "arguments", [{}, {"every": 1, "b3": 0.8}, {"every": 3, "decay": 0.2, "b1": 0.8, "b2": 0.9, "b3": 0.9}]
)
def test_golden(rate, rates, arguments, x64):
    names = {"every": "precondition_frequency", "decay": "weight_decay", "b3": "shampoo_beta"}
    given = {names.get(name, name): value for name, value in arguments.items()}
    bias = {name: value for name, value in arguments.items() if name in ("b1", "b2")}
    assert_follows(
        soap(rate, **given),
        lambda p, g: reference(p, g, rates, **arguments),
        rtol=1e-8,
        bias=adam_path(rates, **bias),
    )


def test_with_no_side_to_turn_it_is_adamw(x64):
    params, grads = random_params(), random_grads()
    found, states = follow(soap(0.1, 0.9, 0.999, weight_decay=0.2, max_precondition_dim=0), params, grads)
    expected, _ = follow(adamw(0.1, weight_decay=0.2), params, grads)
    for name, path in expected.items():
        np.testing.assert_allclose(found[name], path, rtol=1e-12)
    assert {leaf.size for leaf in jax.tree.leaves(states[3:])} == {0}


def test_after_the_first_step_it_turns_with_the_matrix(x64):
    """From a common state, both sides of all gradients rotated: so are the steps. Adam's are not."""
    rng = np.random.default_rng(0)
    p, q = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in SHAPE)
    grads = rng.normal(size=(30, *SHAPE))
    optimizer, zeros = soap(0.1, b2=0.0, precondition_frequency=1), jnp.zeros(SHAPE)
    found, _ = follow(optimizer, zeros, grads)
    turned, _ = follow(optimizer, zeros, np.einsum("ij,tjk,kl->til", p, grads, q))
    moves, turned_moves = np.diff(found, axis=0), np.diff(turned, axis=0)
    np.testing.assert_allclose(turned_moves, np.einsum("ij,tjk,kl->til", p, moves, q), atol=1e-7)


def test_a_long_side_is_left_as_it_is(x64):
    state = soap(max_precondition_dim=3).init(jnp.ones(SHAPE))
    assert (state.left.shape, state.right.shape) == ((0, 0), (3, 3))


def test_a_population_is_its_members_one_by_one(x64):
    """Members may differ in everything that is a number, the frequency too."""
    params, grads = random_params()["kernel"], random_grads()["kernel"]
    rates, frequencies = jnp.array([0.1, 0.03, 0.01]), jnp.array([1.0, 2.0, 5.0])
    members = jax.vmap(lambda rate, every: soap(rate, precondition_frequency=every))(rates, frequencies)
    found, _ = jax.vmap(lambda optimizer: follow(optimizer, params, grads))(members)
    for i in range(3):
        alone, _ = follow(soap(rates[i], precondition_frequency=frequencies[i]), params, grads)
        np.testing.assert_allclose(found[i], alone, rtol=1e-8, atol=1e-12)


def test_gradients_that_repeat_do_not_make_noise_large():
    """In the eigenbasis of one gradient it is diagonal but for rounding, which Adam would blow up."""
    g = jnp.asarray(np.random.default_rng(0).normal(size=SHAPE), jnp.float32)
    path, _ = follow(soap(0.1), jnp.zeros(SHAPE), jnp.stack([g] * 3))
    exact, _ = follow(soap(0.1), jnp.zeros(SHAPE), jnp.stack([g * (1 + 1e-7)] * 3))
    np.testing.assert_allclose(path, exact, atol=1e-4)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"soap\(b1\) is 1, .*: the usual value is 0.95"):
        soap(b1=1.0)
    with pytest.raises(ValueError, match="soap needs the parameters"):
        soap().update(jnp.ones((2, 2)), soap().init(jnp.ones((2, 2))))
