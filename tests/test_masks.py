"""Masks and labels, in every form in which they may be given, and wherever one is taken."""

import collections
import pickle
from functools import wraps

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jaxopt_notes as jn
from jaxopt_notes.masks import Marks, as_mask, matrices, read_mask, weights_only, where_path
from jaxopt_notes.optimizers import OPTIMIZERS, TRANSFORMS, WRAPPERS, partition

PARAMS = {"dense": {"kernel": np.ones((2, 2)), "bias": np.ones(2)}, "scale": np.ones(2), "none": None}
MARKS = {"dense": {"kernel": True, "bias": True}, "scale": False, "none": None}
Pair = collections.namedtuple("Pair", ["dense", "scale", "none"])

FORMS = {
    "like the parameters": MARKS,
    "prefix": {"dense": True, "scale": False, "none": None},
    "no bool": {"dense": {"kernel": 1, "bias": np.bool_(True)}, "scale": jnp.array(False), "none": True},
    "another container": Pair({"bias": True, "kernel": True}, False, None),
    "function": lambda tree: MARKS,
    "function to a prefix": lambda tree: {"scale": False, "dense": True, "none": False},
    "paths": where_path(lambda name, leaf: name.startswith("dense")),
    "partial": Partial(lambda inside, tree: {"dense": inside, "scale": not inside, "none": None}, True),
}


@pytest.mark.parametrize("mask", FORMS.values(), ids=FORMS)
def test_every_form_of_a_mask_says_the_same(mask):
    assert read_mask(as_mask(mask), PARAMS) == MARKS
    assert read_mask(Marks(as_mask(mask), "others"), PARAMS) == {
        "dense": {"kernel": False, "bias": False}, "scale": True, "none": None,
    }  # fmt: skip


def test_one_mark_is_for_all_leaves():
    assert read_mask(as_mask(True), [1.0, {"a": 2.0}]) == [True, {"a": True}]
    assert read_mask(None, [1.0, {"a": 2.0}]) == [True, {"a": True}]
    assert read_mask(as_mask(False), 1.0) is False


def test_a_mask_can_be_given_by_name():
    assert as_mask("weights_only") is weights_only
    assert as_mask("matrices") is matrices
    with pytest.raises(ValueError, match=r"mask is 'weights', expected one of 'weights_only', 'matrices'"):
        jn.adamw(mask="weights")


MISMATCHES = {
    "a missing key": ({"dense": {"kernel": True}, "scale": True, "none": None}, "at 'dense'.*'bias'"),
    "another key": (
        {"dense": {"kernel": True, "b": True}, "scale": True, "none": None},
        "has 'b', 'kernel' at",
    ),
    "too deep": ({"dense": True, "scale": {"x": True}, "none": None}, "'x' at 'scale', where .* a leaf"),
    "too many": ([True, False], "mask has '0', '1', expected 'dense', 'none', 'scale'"),
    "None": ({"dense": {"kernel": True, "bias": None}, "scale": True, "none": None}, "None at 'dense/bias'"),
    "no answer": (lambda params: None, "mask is None at"),
}


@pytest.mark.parametrize(("mask", "words"), MISMATCHES.values(), ids=MISMATCHES)
def test_a_mask_that_does_not_fit_is_refused_with_the_path(mask, words):
    with pytest.raises(ValueError, match=words):
        jn.masked(jn.sgd(0.1), mask).init(PARAMS)


@pytest.mark.parametrize("bad", ["yes", 0.5, np.ones(2, bool)], ids=str)
def test_a_mark_that_is_no_bool_is_refused_with_the_path(bad):
    with pytest.raises(TypeError, match="at 'dense', expected True or False"):
        jn.adamw(mask={"dense": bad, "scale": True})
    with pytest.raises(TypeError, match="at 'dense', expected True or False"):
        jn.masked(jn.sgd(0.1), lambda params: {"dense": bad, "scale": True, "none": None}).init(PARAMS)


def test_marks_that_depend_on_traced_values_are_refused_by_name():
    optimizer = jn.masked(jn.sgd(0.1), lambda tree: jax.tree.map(lambda x: jnp.all(x > 0), tree))
    with pytest.raises(TypeError, match="'w', expected True or False, known now"):
        jax.eval_shape(optimizer.init, {"w": jnp.ones(2)})


class TestCallableTrees:
    """Equinox modules are trees that can be called: read where they are like the parameters."""

    @pytest.fixture
    def trees(self):
        eqx = pytest.importorskip("equinox")
        model = eqx.nn.MLP(3, 2, 4, 1, key=jax.random.key(0))
        params = eqx.filter(model, eqx.is_inexact_array)
        return params, jax.tree.map(lambda x: x.ndim > 1, params)

    def test_marks_of_numbers(self, trees):
        params, mask = trees
        assert read_mask(as_mask(jax.tree.map(int, mask)), params) == mask

    @pytest.mark.parametrize("jit", [False, True])
    def test_masks(self, trees, jit):
        params, mask = trees
        grads = jax.tree.map(jnp.zeros_like, params)
        optimizer = jn.adamw(0.5, weight_decay=0.5, mask=mask)
        update = jax.jit(optimizer.update) if jit else optimizer.update
        updates, _ = update(grads, optimizer.init(params), params)
        for u, p, keep in zip(*map(jax.tree.leaves, (updates, params, mask)), strict=True):
            np.testing.assert_allclose(u, -0.25 * p if keep else 0 * p, rtol=1e-6, atol=1e-7)

    def test_labels(self, trees):
        params, mask = trees
        labels = jax.tree.map(lambda keep: "w" if keep else "b", mask)
        optimizer = partition({"w": jn.sgd(0.5), "b": jn.sgd(2.0)}, labels)
        updates, _ = jax.jit(optimizer.update)(params, optimizer.init(params), params)
        for u, p, keep in zip(*map(jax.tree.leaves, (updates, params, mask)), strict=True):
            np.testing.assert_allclose(u, (-0.5 if keep else -2.0) * p, rtol=1e-6)

    def test_a_module_that_is_a_rule_is_called(self):
        eqx = pytest.importorskip("equinox")

        class Rank(eqx.Module):
            at_least: int
            strict: bool

            def __call__(self, params):
                return jax.tree.map(lambda x: jnp.ndim(x) >= self.at_least + self.strict, params)

        params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
        for rule in (Rank(1, True), Rank(2, False)):
            assert read_mask(as_mask(rule), params) == {"kernel": True, "bias": False}

    def test_frozen_dicts_are_dicts(self):
        flax_core = pytest.importorskip("flax.core")
        mask = {"dense": {"kernel": True, "bias": True}, "scale": False, "none": None}
        assert read_mask(as_mask(flax_core.freeze(mask)), PARAMS) == MARKS
        frozen = flax_core.freeze(PARAMS)
        assert read_mask(as_mask(mask), frozen) == flax_core.freeze(MARKS)
        labels = flax_core.freeze({"dense": "d", "scale": "s", "none": "s"})
        optimizer = partition({"d": jn.sgd(1.0), "s": jn.sgd(0.0)}, labels)
        updates, _ = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)
        assert [float(jnp.sum(u)) for u in jax.tree.leaves(updates)] == [-2.0, -4.0, 0.0]


def test_labels_name_the_path_where_they_do_not_fit():
    optimizer = partition({"a": jn.sgd(0.1)}, {"dense": {"kernel": "a"}, "scale": "a", "none": "a"})
    with pytest.raises(ValueError, match=r"partition\(labels\) has 'kernel' at 'dense', expected 'bias'"):
        optimizer.init(PARAMS)
    with pytest.raises(ValueError, match=r"partition\(labels\) is 'b' at 'dense/bias', expected one of 'a'"):
        partition({"a": jn.sgd(0.1)}, {"dense": "b", "scale": "a", "none": None}).init(PARAMS)


def test_the_owner_of_a_tree_may_change_it_afterwards():
    tree = {"w": True}
    mask = as_mask(tree)
    tree["w"] = False
    assert read_mask(mask, {"w": 1.0}) == {"w": True}
    assert pickle.loads(pickle.dumps(mask)) == mask == as_mask({"w": True})


TAKES_A_MASK = {
    name: factory
    for name, factory in (OPTIMIZERS | TRANSFORMS).items()
    if hasattr(factory(), "mask")
}  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("name", TAKES_A_MASK)
def test_every_mask_argument_takes_every_form(name):
    params = {"a": {"kernel": jnp.ones((2, 2)), "bias": jnp.full(2, 2.0)}, "b": jnp.ones((2, 2))}
    numbers = {"weight_decay": 0.5} if hasattr(TAKES_A_MASK[name](), "weight_decay") else {}
    extra = {"value": 1.0, "value_fn": lambda tree: sum(jnp.sum(x) for x in jax.tree.leaves(tree))}

    def updates(mask):
        optimizer = TAKES_A_MASK[name](**numbers, mask=mask)
        return optimizer.update(params, optimizer.init(params), params, **extra)[0]

    expected = updates(lambda tree: {"a": {"kernel": True, "bias": True}, "b": False})
    for mask in ({"a": True, "b": False}, lambda tree: {"a": True, "b": False}):
        jax.tree.map(np.testing.assert_array_equal, updates(mask), expected)
    with pytest.raises(ValueError, match=r"mask has 'kernel' at 'a'"):
        updates({"a": {"kernel": True}, "b": False})


@pytest.mark.full
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_injected_hyperparameters_change_nothing(name):
    """With the defaults of every factory, for a dict and for a bare array."""
    optax = pytest.importorskip("optax")
    from jaxopt_notes.interop import to_optax

    factory = OPTIMIZERS[name]
    counts = [key for key, kind in factory.__annotations__.items() if kind in (int, "int")]
    injected = factory
    if name in ("sophia", "polyak_sgd"):  # optax hands extra arguments on to its own kind only
        injected = wraps(factory)(lambda *args, **kwargs: to_optax(factory(*args, **kwargs)))
    kernel = jnp.array([[1.5, -2.0], [0.7, 2.5]])
    for params in (kernel, {"kernel": kernel, "bias": kernel[0]}):
        extra = {"value": 1.0, "value_fn": lambda tree: sum(jnp.sum(x**2) for x in jax.tree.leaves(tree))}
        found, expected = (
            optimizer.update(params, optimizer.init(params), params, **extra)[0]
            for optimizer in (optax.inject_hyperparams(injected, static_args=counts)(), factory())
        )
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, expected)


def test_a_bare_array_outside_the_mask_stays():
    """`None` in its place would say that the parameters are not known."""
    params = jnp.ones(3)
    for optimizer in (jn.masked(jn.adamw(0.1)), jn.muon(0.1, companion=jn.masked(jn.adamw(0.1)))):
        updates, state = jax.jit(optimizer.update)(params, optimizer.init(params), params)
        np.testing.assert_array_equal(updates, 0)
        assert jax.tree.structure(state) == jax.tree.structure(optimizer.init(params))
    groups = partition({"a": jn.adamw(0.1), "b": jn.chain(jn.add_l2(0.5, mask=None), jn.sgd(1.0))}, "b")
    updates, _ = groups.update(params, groups.init(params), params)
    np.testing.assert_array_equal(updates, -1.5 * params)
    averaged = jn.masked(jn.ema_params(jn.adamw(0.1)), False)
    np.testing.assert_array_equal(averaged.evaluation_params(params, averaged.init(params)), params)


@pytest.mark.parametrize("name", WRAPPERS)
def test_every_wrapper_may_have_nothing_to_do(name):
    """Masked out is a bare array, for each wrapper around an optimizer that needs its parameters."""
    params = jnp.ones(3)
    optimizer = jn.masked(WRAPPERS[name](jn.adamw(0.1)), False)
    extra = {"value_fn": jnp.sum, "value": 1.0, "grad": params}
    updates, _ = optimizer.update(params, optimizer.init(params), params, **extra)
    np.testing.assert_array_equal(updates, 0)


@pytest.mark.parametrize("name", ["sam", "lbfgs", "line_search", "newton", "sophia", "polyak_sgd"])
def test_functions_of_the_parameters_are_given_all_of_them(name):
    """The leaves outside the mask are constants of the loss that an optimizer inside it calls."""
    params = {"a": jnp.array([1.0, 2.0]), "b": jnp.array(3.0)}
    loss = lambda tree: jnp.sum((tree["a"] * tree["b"]) ** 2)  # noqa: E731
    alone = lambda tree: jnp.sum((tree["a"] * 3.0) ** 2)  # noqa: E731
    make = {"sam": lambda: jn.sam(jn.sgd(0.01)), "line_search": lambda: jn.line_search(jn.sgd(0.01))}
    inner = make.get(name, getattr(jn, name))()

    def step(optimizer, params, loss):
        value, grads = jax.value_and_grad(loss)(params)
        extra = {"value": value, "grad": grads, "value_fn": loss}
        return optimizer.update(grads, optimizer.init(params), params, **extra)[0]

    found = step(jn.masked(inner, {"a": True, "b": False}), params, loss)
    expected = step(inner, {"a": params["a"]}, alone)
    np.testing.assert_allclose(found["a"], expected["a"], rtol=1e-5)
    assert found["b"] == 0


def test_map_params_of_optax_finds_the_parameters_in_a_masked_state():
    optax = pytest.importorskip("optax")
    params = {"w": jnp.ones(2), "b": jnp.ones(3)}
    mask, labels = {"w": True, "b": False}, {"w": "a", "b": "b"}
    for optimizer, kept in (
        (jn.masked(jn.adam(0.1), mask), 1),
        (jn.adamw(0.1, mask=mask), 2),
        (jn.muon(mask=mask), 2),
        (partition({"a": jn.adam(0.1), "b": jn.sgd(0.1)}, labels), 1),
    ):
        state = optimizer.init(params)
        found = optax.tree.map_params(optimizer, lambda x: x + 1, state)
        changed = [a is not b for a, b in zip(*map(jax.tree.leaves, (found, state)), strict=True)]
        assert sum(changed) >= kept
        counts = [x for x in jax.tree.leaves(found) if x.dtype == jnp.int32]
        assert not any(np.any(count) for count in counts)
        assert jax.tree.structure(found) == jax.tree.structure(state)


def test_marks_are_equal_where_their_source_and_their_label_are():
    """They are structure of records: two labels of one tree must not share a program."""
    labels = {"w": "a", "b": "b"}
    a, b = (Marks.of(label, labels, ("a", "b")) for label in ("a", "b"))
    assert a == Marks.of("a", dict(labels), ("a", "b"))
    assert hash(a) == hash(Marks.of("a", dict(labels), ("a", "b")))
    assert a != b
    assert as_mask({"w": True, "b": False}) == as_mask({"b": False, "w": True})
    assert as_mask({"w": True, "b": False}) != as_mask({"w": True, "c": False})
    assert as_mask([True, False]) != as_mask((True, False))
