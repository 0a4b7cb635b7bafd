"""Every optimizer, transform and wrapper × every invariant of a training step.

A whole run in float64 (gradients with respect to hyperparameters, `vmap`, retracing) is in
`test_record_invariants.py`, for these as for everything else that is registered.
"""

import inspect

import chex
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.optimizers import apply_updates
from jaxopt_notes.schedules import constant, inverse_time
from tests.properties.registry import (
    GRADIENT_TRANSFORMS,
    OF_ALL_LEAVES,
    RANDOM,
    ROUNDING_PARAMETERS,
    cases,
    params,
    plain,
    step,
    subjects,
    types,
    update,
)

TREES = {
    "float32": params(jnp.float32),
    "float16": params(jnp.float16),
    "bfloat16": params(jnp.bfloat16),
    "numpy": jax.tree.map(np.asarray, params(jnp.float32)),
    "python": {"kernel": 1.5, "bias": -2.0},
    "mixed": {
        "a": params(jnp.float16)["bias"],
        "b": params(jnp.bfloat16)["kernel"],
        "c": params(jnp.float32)["kernel"],
        "d": 1.5,
    },
}


@pytest.fixture(scope="module", params=cases(*GRADIENT_TRANSFORMS), ids=str)
def subject(request):
    return request.param


def gradients(tree):
    """Of the same types, every entry different."""
    return jax.tree.map(lambda p: (2 * p + jnp.asarray(p).astype(p.dtype) ** 2).astype(p.dtype), tree)


@pytest.mark.full
def test_a_step_is_traced_once_runs_in_place_and_is_what_it_is_without_jit(subject):
    """Changed numbers and all later states fit the one program; every buffer given is reused."""
    traces = []

    def counted(record, tree, state):
        traces.append(1)
        return step(subject, record, tree, state)

    record, tree = subject.build(), params(jnp.float32)
    state = record.init(tree)
    program = jax.jit(counted, donate_argnums=(1, 2), keep_unused=True)
    compiled = program.lower(record, tree, state).compile()
    donated = sum(leaf.nbytes for leaf in jax.tree.leaves((tree, state)))
    assert compiled.memory_analysis().alias_size_in_bytes == donated

    eager = tree, state
    jitted = jax.tree.map(jnp.copy, eager)
    for factor in (1.0, 0.9, 0.8):
        changed = jax.tree.map(lambda leaf, f=factor: type(leaf)(leaf * f), record)  # a count stays one
        eager = step(subject, changed, *eager)
        program.trace(changed, *jitted)
        jitted = compiled(changed, *jitted)
    assert len(traces) == 1
    assert types(jitted) == types(eager) == types((tree, state))
    for a, b in zip(*map(jax.tree.leaves, plain((jitted, eager))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def assert_types_are_stable(record, subject, tree):
    """Through a loop with a branch in it, which JAX refuses where a step changes them."""

    def loop(record, tree, state):
        def body(carry, flag):
            return lax.cond(flag, lambda c: step(subject, record, *c), lambda c: c, carry), None

        return lax.scan(body, (tree, state), jnp.array([True, False]))[0]

    state = jax.eval_shape(record.init, tree)
    assert types(jax.eval_shape(loop, record, tree, state)) == types((tree, state))


def test_types_are_stable_in_loops_and_branches(subject):
    """Dtypes, weak types, tree structure of parameters and state: the ones that came in go out."""
    assert_types_are_stable(subject.build(), subject, TREES["mixed"])


@pytest.mark.full
def test_types_are_stable_in_trees_of_one_dtype(subject):
    for kind in TREES:
        assert_types_are_stable(subject.build(), subject, TREES[kind])
    with jax.enable_x64(True):
        assert_types_are_stable(subject.build(), subject, params(jnp.float64))


NARROW = [name for name in dir(ml_dtypes) if name.startswith(("float", "bfloat"))]


@pytest.mark.full
def test_leaves_of_every_narrow_dtype(subject):
    """float8, float6 and float4, trained and frozen; whole numbers of few bits too."""
    record = subject.build()
    moved = {name: jax.ShapeDtypeStruct((2, 2), jnp.dtype(name)) for name in NARROW}
    counts = {name: jax.ShapeDtypeStruct((2, 2), jnp.dtype(name)) for name in ("int2", "int4", "uint4")}
    tree = {"kernel": jax.ShapeDtypeStruct((2, 2), jnp.float32), "moved": moved, "still": [moved, counts]}

    def once(record, tree):
        state = record.init(tree)
        grads = {**tree, "still": jax.tree.map(lambda _: None, tree["still"])}
        extra = {"value": 1.0, "grad": grads, "value_fn": lambda t: jnp.sum(t["kernel"])}
        extra["residual_fn"] = lambda t: t["kernel"]
        updates, after = record.update(grads, state, tree, **extra)
        return apply_updates(tree, updates), state, after

    params, state, after = jax.eval_shape(once, record, tree)
    assert types(params) == types(tree)
    assert types(after) == types(state)


@pytest.mark.full
def test_python_and_numpy_leaves_need_no_jit(subject):
    record, tree = subject.build(), {"kernel": 1.5, "bias": np.array([-2.0, 0.5], np.float32)}
    grads = {"kernel": 0.5, "bias": np.array([1.5, 0.0], np.float32)}
    updates, state = update(subject, record, grads, record.init(tree), tree)
    assert types(updates) == types(tree)
    assert types(state) == types(record.init(tree))
    arrays = jax.tree.map(jnp.asarray, (grads, tree))
    expected, _ = update(subject, record, arrays[0], record.init(arrays[1]), arrays[1])
    np.testing.assert_allclose(updates["kernel"], expected["kernel"], rtol=1e-6)
    np.testing.assert_allclose(updates["bias"], expected["bias"], rtol=1e-6)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_is_single_precision_rounded_once(subject, kind):
    if subject.name in ROUNDING_PARAMETERS:
        return  # they round the parameters, not the updates
    record, tree = subject.build(), TREES[kind]
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (gradients(tree), tree))
    updates, state = update(subject, record, gradients(tree), record.init(tree), tree)
    expected, wide_state = update(subject, record, wide[0], record.init(wide[1]), wide[1])
    assert types(state)[0] == types(wide_state)[0]
    for a, b in zip(*map(jax.tree.leaves, plain((state, wide_state))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    for a, b in zip(jax.tree.leaves(updates), jax.tree.leaves(expected), strict=True):
        info = jnp.finfo(kind)
        np.testing.assert_allclose(
            a.astype(jnp.float32), b, rtol=float(info.eps), atol=float(info.smallest_subnormal)
        )


@pytest.mark.parametrize(
    "kind",
    ["float16", *(pytest.param(kind, marks=pytest.mark.full) for kind in ("bfloat16", "float32"))],
)
@pytest.mark.parametrize(
    "subject",
    [
        *cases("optimizers", "transforms", "wrappers"),
        *(pytest.param(solver, marks=pytest.mark.full) for solver in subjects("solvers")),
    ],
    ids=str,
)
def test_zero_gradients_are_no_danger_in_half_precision(subject, kind):
    """Neither to parameters, one of them 0 too, nor to the gradients of hyperparameters."""
    length = 1 if kind == "float16" and subject.family != "solvers" else 3  # one step compiles in a third
    tree = {"kernel": jnp.array([[0.0, 2.0]], kind)}
    grads = jax.tree.map(jnp.zeros_like, tree)

    def run(record):
        def body(carry, _):
            updates, state = update(subject, record, grads, carry[1], carry[0])
            return (apply_updates(carry[0], updates), state), None

        carry = tree, record.init(tree)
        after, state = body(carry, None)[0] if length == 1 else lax.scan(body, carry, length=length)[0]
        total = sum((jnp.sum(leaf.astype(jnp.float32)) for leaf in jax.tree.leaves(after)), 0.0)
        return total, (after, state)

    record = jax.tree.map(jnp.float32, subject.build())
    found = jax.jit(jax.grad(run, has_aux=True))(record)
    for path, leaf in jax.tree.leaves_with_path(found):
        assert jnp.isfinite(leaf).all(), jax.tree_util.keystr(path)
    if subject.family == "optimizers" and subject.name not in RANDOM:  # nothing but decay moves
        after = found[1][0]["kernel"].astype(jnp.float32)
        np.testing.assert_allclose(after, [[0.0, 2.0]], rtol=0.05, atol=1e-6)


@pytest.mark.full
def test_odd_trees(subject):
    """`None`, empty, integer and boolean leaves, and a gradient that is missing, change nothing."""
    record = subject.build()
    odd = {
        "none": None, "empty": jnp.zeros((0, 3)), "count": jnp.arange(3), "flag": jnp.array([True, False]),
        "frozen": jnp.ones((2, 2)),
    }  # fmt: skip
    tree = {"odd": odd, "nested": ((), [params(jnp.float32)], {})}
    plain = {"nested": tree["nested"]}
    for no_gradient in (jnp.zeros_like, lambda leaf: np.zeros(leaf.shape, jax.dtypes.float0)):
        whole = [no_gradient(odd["count"]), no_gradient(odd["flag"])]
        odd_grads = {"none": None, "empty": odd["empty"], "count": whole[0], "flag": whole[1], "frozen": None}
        grads = {"odd": odd_grads, "nested": gradients(tree["nested"])}
        state = record.init(tree)
        updates, state_after = update(subject, record, grads, state, tree)
        assert types(state_after) == types(state)
        after = apply_updates(tree, updates)
        assert types(after) == types(tree)
        jax.tree.map(np.testing.assert_array_equal, after["odd"], odd)
        if subject.name in OF_ALL_LEAVES:
            continue
        alone, _ = update(subject, record, {"nested": grads["nested"]}, record.init(plain), plain)
        jax.tree.map(np.testing.assert_array_equal, updates["nested"], alone["nested"])


@pytest.mark.full
@pytest.mark.parametrize("tree", [{}, (), [None, {"a": ()}]], ids=str)
def test_empty_trees(subject, tree):
    record = subject.build()
    updates, state = update(subject, record, tree, record.init(tree), tree)
    assert updates == tree
    assert types(state) == types(record.init(tree))


@pytest.mark.full
def test_complex_leaves_turn_with_the_plane(subject):
    """Real numbers turned by an angle are moved by what moves the real ones, turned by the same angle."""
    if subject.name in RANDOM:
        return  # draws do not turn
    record, turn = subject.build(), np.complex64(np.exp(0.7j))
    tree = params(jnp.float32)
    turned = jax.tree.map(lambda leaf: leaf.astype(jnp.complex64) * turn, tree)
    state, turned_state = record.init(tree), record.init(turned)
    for _ in range(2):
        updates, state = update(subject, record, gradients(tree), state, tree)
        grads = jax.tree.map(lambda g: g.astype(jnp.complex64) * turn, gradients(tree))
        turned_updates, turned_state = update(subject, record, grads, turned_state, turned)
        assert types(turned_updates) == types(turned)
        for a, b in zip(jax.tree.leaves(turned_updates), jax.tree.leaves(updates), strict=True):
            np.testing.assert_allclose(a, np.asarray(b) * turn, rtol=1e-5, atol=1e-6)
        tree, turned = apply_updates(tree, updates), apply_updates(turned, turned_updates)


@pytest.mark.full
def test_a_schedule_stands_wherever_a_rate_does(subject):
    """The schedule that is constant is the number; one that falls is the numbers, one after the other."""
    rates = [
        name for name in inspect.signature(subject.factory).parameters if takes_a_schedule(subject, name)
    ]
    assert rates or subject.family != "optimizers"
    for name in rates:
        number = getattr(subject.build(), name)
        falling = inverse_time(number, 0.5)
        numbers = [subject.build(**{name: float(falling(t))}) for t in range(3)]
        assert_same_steps(subject, [subject.build(**{name: falling})] * 3, numbers)
        assert_same_steps(subject, [subject.build(**{name: constant(number)})] * 3, [subject.build()] * 3)


def takes_a_schedule(subject, name):
    """A factory takes a schedule for a rate and refuses it for a number, by the argument's name."""
    if not isinstance(getattr(subject.build(), name, None), float):
        return False
    if name == "every_k":
        return False  # its schedule counts the steps taken, not the micro-batches: see test_accumulation
    try:
        subject.build(**{name: constant(0.1)})
    except TypeError as error:
        message = str(error)
    else:
        return True
    assert f"({name})" in message
    return False


def assert_same_steps(subject, first, second):
    runs = []
    for records in (first, second):
        tree = params(jnp.float32)
        state = records[0].init(tree)
        for record in records:
            tree, state = step(subject, record, tree, state)
        runs.append((tree, state))
    for a, b in zip(*map(jax.tree.leaves, runs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def heeds_acceptance(subject):
    """Whether it takes `accept=`: wrappers and solvers only where they say so."""
    return getattr(subject.build(), "gated", False) or subject.family not in ("wrappers", "solvers")


def test_a_step_that_is_not_accepted_changes_nothing(subject):
    """Whatever is in its gradients, and in the state of a run under way."""
    if not heeds_acceptance(subject):
        return
    record, tree = subject.build(), params(jnp.float32)

    @jax.jit
    def program(grads, state, accept):
        return update(subject, record, grads, state, tree, accept=accept)

    _, state = program(gradients(tree), record.init(tree), True)
    bad = jax.tree.map(lambda p: np.resize(np.float32([np.inf, np.nan, 1.0]), p.shape), tree)
    if subject.family == "wrappers":
        bad = gradients(tree)  # some of them count steps that are not finite
    updates, after = program(bad, state, False)
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(updates))
    chex.assert_trees_all_equal(plain(after), plain(state))


@pytest.mark.full
def test_a_step_that_is_accepted_is_a_step(subject):
    if not heeds_acceptance(subject):
        return
    record, tree = subject.build(), params(jnp.float32)

    @jax.jit
    def steps(tree, accept):
        _, state = update(subject, record, gradients(tree), record.init(tree), tree)
        steps = (update(subject, record, gradients(tree), state, tree, **a) for a in ({}, {"accept": accept}))
        return tuple(steps)

    expected, found = steps(tree, True)
    chex.assert_trees_all_close(plain(found), plain(expected), rtol=1e-6)


@pytest.mark.full
def test_without_parameters_it_works_the_same_or_says_that_it_needs_them(subject):
    record, tree = subject.build(), params(jnp.float32)
    state = record.init(tree)
    expected = update(subject, record, gradients(tree), state, tree)
    try:
        found = update(subject, record, gradients(tree), state)
    except ValueError as error:
        message = str(error)
    else:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), *plain((found, expected)))
        return
    assert "params" in message
