"""Everything registered × everything a record promises: it is data, whatever it is a record of."""

import dataclasses
import functools
import inspect
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.properties.registry import FUNCTIONS, Subject, cases

H = 1e-5


class Study:
    """A subject in float64, evaluated by programs that its tests share: each is compiled once."""

    def __init__(self, subject: Subject):
        self.subject = subject
        self.traces = 0
        self.record = subject.build()
        self.value = jax.jit(self._value)
        self.batch = jax.jit(jax.vmap(subject.evaluate))

    def _value(self, record):
        """The numbers, and the gradient of a weighted sum of them."""
        self.traces += 1

        def weighted(record):
            numbers = self.subject.evaluate(record)
            return jnp.vdot(weights(numbers), numbers), numbers

        gradient, numbers = jax.grad(weighted, has_aux=True)(record)
        return numbers, gradient

    @functools.cached_property
    def at(self):
        """The record where derivatives can be measured: 0, infinity and tiny numbers are moved away."""

        def moved(leaf):
            leaf = np.asarray(leaf, np.float64)
            return jnp.asarray(np.where(np.isfinite(leaf), np.where(abs(leaf) < 1e-3, 1e-3, leaf), 1.0))

        return jax.tree.map(moved, self.record)

    @functools.cached_property
    def varied(self):
        """Every number in turn a little smaller and a little larger: names, and the records."""
        leaves, treedef = jax.tree.flatten(self.at)
        names = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(self.at)]
        changed = [
            [*leaves[:i], leaves[i] * factor, *leaves[i + 1 :]]
            for i in range(len(leaves))
            for factor in (1 - H, 1 + H)
        ]
        return names, [treedef.unflatten(row) for row in changed]

    @functools.cached_property
    def values(self):
        """The numbers of each varied record, evaluated one by one in a loop."""
        return [np.asarray(self.value(record)[0]) for record in self.varied[1]]


def weights(numbers):
    return jnp.cos(jnp.arange(1.0, numbers.size + 1))


@pytest.fixture(scope="module", params=cases(), ids=str)
def study(request):
    with jax.enable_x64(True):
        return Study(request.param)


def test_it_is_a_pytree_and_pickles(study):
    record = study.record
    leaves, treedef = jax.tree.flatten(record)
    for again in (treedef.unflatten(leaves), pickle.loads(pickle.dumps(record))):
        assert jax.tree.structure(again) == treedef
        assert jax.tree.leaves(again) == leaves
    for value in (None, object(), (1, 2)):  # JAX puts these where numbers were
        jax.tree.map(lambda _, value=value: value, record)


# Seeds are exact, and a condition is a truth: neither has a slope.
NO_REAL_NUMBERS = (".seed", ".condition")


@pytest.mark.parametrize("subject", cases(), ids=str)
def test_numbers_written_as_integers_are_leaves_that_a_gradient_reaches(subject):
    """`jax.grad` refuses a record with an integer leaf; people write `decay_steps=200`."""

    def whole(value):
        return math.ceil(value) if isinstance(value, float) and math.isfinite(value) else value

    if subject.family in FUNCTIONS:
        return  # their numbers are arguments: no factory has seen them
    call = inspect.signature(subject.factory).bind(*subject.arguments.args, **subject.arguments.kwargs)
    call.apply_defaults()
    for name, value in call.arguments.items():
        if isinstance(value, float | tuple | list):
            call.arguments[name] = jax.tree.map(whole, value, is_leaf=dataclasses.is_dataclass)
            try:
                subject.factory(*call.args, **call.kwargs)
            except (ValueError, TypeError, UserWarning):  # a half, say, is needed here
                call.arguments[name] = value
    record = subject.factory(*call.args, **call.kwargs)
    for path, leaf in jax.tree.leaves_with_path(record):
        name = jax.tree_util.keystr(path)
        assert jnp.issubdtype(jnp.result_type(leaf), jnp.inexact) or name.endswith(NO_REAL_NUMBERS), name


def test_it_prints_like_its_call(study):
    record = study.record
    if not dataclasses.is_dataclass(record):
        return  # a plain function
    text = repr(record)
    assert text.startswith(f"{type(record).__name__}(")
    assert all(f"{field.name}=" in text for field in dataclasses.fields(record))
    assert not set("<\n") & set(text), "an address, or more than a line"
    shown = []
    jax.eval_shape(lambda record: shown.append(repr(record)), record)
    assert all(f"{field.name}=" in shown[0] for field in dataclasses.fields(record))


@pytest.mark.full
def test_jit_changes_nothing_and_changed_numbers_do_not_retrace(study, x64):
    with jax.disable_jit():
        expected = study.subject.evaluate(study.at)
    np.testing.assert_allclose(study.value(study.at)[0], expected, rtol=1e-9, atol=1e-12)
    for record in study.varied[1]:
        study.value(record)
    assert study.traces == 1


@pytest.mark.full
def test_vmap_over_every_number_is_the_loop(study, x64):
    _, records = study.varied
    if records:
        batch = study.batch(jax.tree.map(lambda *leaves: jnp.stack(leaves), *records))
        np.testing.assert_allclose(batch, study.values, rtol=1e-9, atol=1e-12)
    treedef = jax.tree.structure(study.at)
    for i in range(treedef.num_leaves):  # one of them a batch, the others shared
        axes = treedef.unflatten([0 if j == i else None for j in range(treedef.num_leaves)])
        mixed = jax.tree.map(lambda x, axis: x if axis is None else jnp.stack([x, x]), study.at, axes)
        out = jax.eval_shape(jax.vmap(study.subject.evaluate, in_axes=(axes,)), mixed)
        assert out.shape[0] == 2


# The number of a distribution that is drawn from by rejection: draws follow it on average only.
ON_AVERAGE = (".alpha",)


@pytest.mark.full
def test_the_gradient_reaches_every_number(study, x64):
    """It is what central differences say, in float64."""
    numbers, gradient = study.value(study.at)
    names, _ = study.varied
    slopes = []
    for i, (name, leaf, found) in enumerate(
        zip(names, jax.tree.leaves(study.at), jax.tree.leaves(gradient), strict=True)
    ):
        below, above = (np.vdot(weights(numbers), study.values[2 * i + side]) for side in (0, 1))
        expected = (above - below) / (2 * H)  # along the leaf itself: it was varied by a factor
        if not (study.subject.family == "augmentations" and name.endswith(ON_AVERAGE)):
            np.testing.assert_allclose(np.vdot(found, leaf), expected, rtol=1e-4, atol=1e-8, err_msg=name)
        slopes.append(abs(expected))
    if names and study.subject.family in ("optimizers", "transforms", "wrappers", "schedules", "penalties"):
        assert max(slopes) > 1e-6


@pytest.mark.full
def test_the_gradient_is_finite_at_its_own_numbers(study, x64):
    """Where some are 0 or infinite, which is how a part is switched off."""
    record = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), study.record)
    for name, leaf in jax.tree.leaves_with_path(study.value(record)[1]):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(name)
