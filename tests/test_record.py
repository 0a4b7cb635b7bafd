"""Records are pytrees: what JAX and Python do with them, and what the factories' checks refuse."""

import copy
import dataclasses
import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import Adam, adam
from jaxopt_notes.record import (
    Number,
    as_leaf,
    check_choice,
    check_count,
    check_number,
    check_seed,
    concrete,
    record,
    replace,
    static,
)
from jaxopt_notes.schedules import cosine, warmup_cosine


@record
class Line:
    slope: Number
    offset: Number = 0.0
    power: int = static(1)

    def __call__(self, x):
        return self.slope * x**self.power + self.offset


@record
class Pair:
    first: Line
    second: object
    name: str = static("pair")


def double(x):
    return 2.0 * x


# A record is a pytree of its numbers


def test_numbers_are_leaves_and_structure_is_not():
    pair = Pair(Line(1.0, 2.0, power=3), {"rate": 4.0, "none": None}, name="p")
    leaves, treedef = jax.tree.flatten(pair)
    assert leaves == [1.0, 2.0, 4.0]
    again = jax.tree.unflatten(treedef, [5.0, 6.0, 7.0])
    assert isinstance(again, Pair)
    assert isinstance(again.first, Line)
    assert (again.first.slope, again.first.offset, again.first.power) == (5.0, 6.0, 3)
    assert (again.second, again.name) == ({"rate": 7.0, "none": None}, "p")


def test_structure_is_compared_with_equality():
    assert jax.tree.structure(Line(1.0, power=2)) == jax.tree.structure(Line(7.0, power=2))
    assert jax.tree.structure(Line(1.0, power=2)) != jax.tree.structure(Line(1.0, power=3))
    with pytest.raises(ValueError, match="different pytree metadata"):
        jax.tree.map(lambda a, b: a, Line(1.0, power=2), Line(1.0, power=3))


def test_key_paths_read_as_attributes():
    pair = Pair(Line(1.0), [Line(2.0)])
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(pair)]
    assert names == [".first.slope", ".first.offset", ".second[0].slope", ".second[0].offset"]
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(adam())]
    assert names == [".learning_rate", ".b1", ".b2", ".eps", ".eps_root"]


@pytest.mark.parametrize("leaf", [None, object(), (1, 2), "text", 2.0, jax.ShapeDtypeStruct((), jnp.float32)])
def test_rebuilding_never_validates(leaf):
    """JAX puts None, objects and tuples where numbers were; 2.0 lies outside the interval of b1."""
    optimizer = jax.tree.map(lambda _: leaf, adam())
    assert isinstance(optimizer, Adam)
    assert optimizer.b1 is leaf


def test_a_record_of_axes_is_a_record():
    line = Line(jnp.arange(3.0), 1.0)
    out = jax.vmap(lambda line, x: line(x), in_axes=(Line(0, None), None))(line, jnp.float32(2.0))
    np.testing.assert_array_equal(out, [1.0, 3.0, 5.0])


def test_pickle_and_copy():
    pair = Pair(Line(jnp.arange(3.0), np.float64(2.0), power=3), as_leaf(double), name="p")
    for again in (pickle.loads(pickle.dumps(pair)), copy.deepcopy(pair)):
        assert jax.tree.structure(again) == jax.tree.structure(pair)
        np.testing.assert_array_equal(again.first.slope, [0.0, 1.0, 2.0])
        assert (again.first.offset, again.first.power, again.name) == (2.0, 3, "p")
        assert again.second(4.0) == 8.0


def test_replace_changes_one_field_of_a_copy():
    line = Line(1.0, 2.0, power=3)
    other = replace(line, offset=5.0)
    assert (other.slope, other.offset, other.power) == (1.0, 5.0, 3)
    assert line.offset == 2.0
    with pytest.raises(TypeError, match="intercept"):
        replace(line, intercept=0.0)


def test_a_record_is_frozen_and_equal_to_itself_only():
    line = Line(jnp.ones(2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        line.slope = 2.0
    assert line == line
    assert line != Line(jnp.ones(2))
    assert len({line, line, Line(1.0)}) == 2


def test_fields_without_default_are_required():
    with pytest.raises(TypeError, match="slope"):
        Line()
    assert (Line(1.0).offset, Line(1.0).power) == (0.0, 1)


# What JAX does with them


def test_vmap_of_a_factory_is_a_batch_of_records():
    rates = jnp.array([0.1, 0.2, 0.4])
    batch = jax.vmap(adam)(rates)
    assert isinstance(batch, Adam)
    assert [leaf.shape for leaf in jax.tree.leaves(batch)] == [(3,)] * 5

    def step(optimizer, g):
        return optimizer.update(g, optimizer.init(g))[0]

    g = jnp.array([3.0, -0.5])
    expected = np.stack([step(adam(float(rate)), g) for rate in rates])
    np.testing.assert_allclose(jax.vmap(step, in_axes=(0, None))(batch, g), expected, rtol=1e-6)


def test_one_trace_for_all_numbers_and_one_for_each_structure():
    traces = []

    @jax.jit
    def call(line, x):
        traces.append(line.power)
        return line(x)

    x = jnp.float32(3.0)
    assert [float(call(Line(slope, 1.0), x)) for slope in (1.0, 2.0, 3.0)] == [4.0, 7.0, 10.0]
    assert float(call(replace(Line(5.0), offset=2.0), x)) == 17.0
    assert traces == [1]
    assert float(call(Line(1.0, 1.0, power=2), x)) == 10.0
    assert traces == [1, 2]


def test_a_record_closed_over_is_a_constant():
    """Hence records are passed as arguments: the number of a closed-over one is compiled in."""
    x = jnp.float32(1.0)
    passed = jax.make_jaxpr(lambda line, x: line(x))(Line(0.123), x)
    closed = jax.make_jaxpr(lambda x: Line(0.123)(x))(x)
    assert "0.123" not in str(passed)
    assert "0.123" in str(closed)


def test_grad_reaches_every_number(x64):
    """Three Adam steps; every hyperparameter's derivative against central differences."""
    target = jnp.array([1.0, -2.0])

    def loss(optimizer):
        params = jnp.array([0.3, 0.4])
        state = optimizer.init(params)
        for _ in range(3):
            updates, state = optimizer.update(params - target, state, params)
            params = params + updates
        return jnp.sum((params - target) ** 2)

    optimizer = jax.tree.map(jnp.float64, adam(0.1, b1=0.8, b2=0.9, eps=1e-2, eps_root=1e-2))
    gradient = jax.grad(loss)(optimizer)
    assert isinstance(gradient, Adam)
    for field in dataclasses.fields(Adam):
        if getattr(optimizer, field.name) is None:  # state_dtype, no number
            continue
        value, h = getattr(optimizer, field.name), 1e-6
        plus, minus = (loss(replace(optimizer, **{field.name: value + sign * h})) for sign in (1, -1))
        expected = (plus - minus) / (2 * h)
        assert abs(expected) > 1e-4
        np.testing.assert_allclose(getattr(gradient, field.name), expected, rtol=1e-6, err_msg=field.name)


def test_nothing_derived_is_stored():
    """A replaced record acts as a fresh one: its bias correction follows the new decay."""

    def run(optimizer):
        g = jnp.array([1.0, -3.0])
        state = optimizer.init(g)
        for _ in range(3):
            updates, state = optimizer.update(g, state)
            g = g + updates
        return g

    changed = run(replace(adam(0.1), b1=0.5, learning_rate=0.3))
    np.testing.assert_array_equal(changed, run(adam(0.3, b1=0.5)))
    assert np.max(np.abs(changed - run(adam(0.1)))) > 0.1


# Functions as leaves


def test_a_bare_function_is_no_leaf():
    with pytest.raises(TypeError, match="class 'function'"):
        jax.jit(lambda pair: pair.second(1.0))(Pair(Line(1.0), double))


def test_as_leaf_makes_a_function_a_node_without_leaves():
    pair = Pair(Line(1.0), as_leaf(double))
    assert jax.tree.leaves(pair) == [1.0, 0.0]
    traces = []

    @jax.jit
    def call(pair):
        traces.append(1)
        return pair.second(pair.first.slope)

    assert float(call(pair)) == 2.0
    assert float(call(Pair(Line(3.0), as_leaf(double)))) == 6.0
    assert len(traces) == 1


def test_partials_with_equal_arguments_are_one_program():
    call, traces = jax.jit(lambda f, x: (traces.append(f), f(x))[1]), []
    for digits in (1, 1, 1.0, 2, 1):
        partial = functools.partial(scaled, digits, sign=-1)
        assert float(call(as_leaf(partial), 3.0)) == -3.0 * digits
    assert len(traces) == 3
    assert repr(traces[0]).endswith("Partial(partial(scaled, 1, sign=-1))")  # Python 3.13 adds its module
    unhashable = as_leaf(functools.partial(scaled, np.ones(())))
    assert float(call(unhashable, 3.0)) == 3.0


def scaled(a, x, sign=1):
    return sign * a * x


@pytest.mark.parametrize("value", [1.0, None, Line(1.0), jax.tree_util.Partial(double), [double], np.ones(2)])
def test_as_leaf_leaves_alone_what_is_fit(value):
    assert as_leaf(value) is value


# How they print


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1e-3, "0.001"),
        (3, "3"),
        (None, "None"),
        ("text", "'text'"),
        (np.float64(0.5), "0.5"),
        (np.bool_(True), "True"),
        (np.str_("text"), "'text'"),
        (np.int64(1234567), "1234567"),
        (np.float32(0.1), "0.1"),
        (np.ones((2, 3)), "float64[2, 3]"),
        (double, "double"),
        (as_leaf(double), "double"),
        ((1, as_leaf(double)), "(1, double)"),
        ((1,), "(1,)"),
        ([1.0, np.ones(2)], "[1.0, float64[2]]"),
        ({"a": np.float32(0.25)}, "{'a': 0.25}"),
        (Line(1.0), "Line(slope=1.0, offset=0.0, power=1)"),
    ],
)
def test_repr(value, shown):
    assert repr(Pair(Line(2.0), value)) == (
        f"Pair(first=Line(slope=2.0, offset=0.0, power=1), second={shown}, name='pair')"
    )


def test_repr_of_jax_values(key):
    def second(value):
        return repr(Pair(0.0, value)).removeprefix("Pair(first=0.0, second=").removesuffix(", name='pair')")

    assert second(jnp.float32(0.1)) == "0.1"
    assert second(jnp.bfloat16(0.5)) == "0.5"
    assert second(jnp.int32(1234567)) == "1234567"
    assert second(jnp.ones((2, 3), jnp.bfloat16)) == "bfloat16[2, 3]"
    assert second(key) == "key<fry>[]"
    assert second(jax.random.split(key, 2)) == "key<fry>[2]"
    shown = []
    jax.jit(lambda x: shown.append(second(x)))(jnp.ones(3))
    assert shown == ["traced float32[3]"]


def test_repr_of_a_donated_record():
    """What was given away can still be printed, in a traceback for one."""
    line = Line(jnp.float32(1.0), jnp.ones(2))
    jax.tree.map(lambda x: x.delete(), line)
    assert repr(line) == "Line(slope=float32[], offset=float32[2], power=1)"


def test_repr_is_the_constructor_call():
    again = eval(repr(Line(0.25, 3, power=2)))
    assert (again.slope, again.offset, again.power) == (0.25, 3, 2)


# What the factories check


@pytest.mark.parametrize("interval", ["(0, 1)", "[0, 1)", "(0, 1]", "[0, 1]"])
def test_intervals_are_open_and_closed_as_written(interval):
    for end, bracket in ((0.0, interval[0]), (1.0, interval[-1])):
        if bracket in "[]":
            assert check_number("f(x)", end, interval) == end
        else:
            with pytest.raises(ValueError, match=r"f\(x\)"):
                check_number("f(x)", end, interval)
    assert check_number("f(x)", 0.5, interval) == 0.5
    for bad in (-0.1, 1.1, np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="expected a number in"):
            check_number("f(x)", bad, interval)


def test_infinity_is_a_number_where_the_interval_says_so():
    assert check_number("clip(max_norm)", np.inf, "(0, inf]") == np.inf
    with pytest.raises(ValueError, match="inf"):
        check_number("clip(max_norm)", np.inf, "(0, inf)")


@pytest.mark.parametrize(
    "value",
    [0.5, np.float16(0.5), np.array([0.1, 0.9]), jnp.bfloat16(0.5), jnp.array([0.1, 0.9]), jnp.ones((0,))],
)
def test_a_number_in_the_interval_is_returned_as_it_is(value):
    assert check_number("f(x)", value, "[0, 1]") is value


def test_the_message_names_argument_value_interval_and_remedy():
    with pytest.raises(ValueError, match=r"^f\(x\) is 1\.5, expected a number in \[0, 1\): try 0\.9\.$"):
        check_number("f(x)", np.array([0.5, 1.5, 7.0]), "[0, 1)", "try 0.9")
    with pytest.raises(ValueError, match=r"^f\(x\) is -2, expected a number in \[0, 1\)\.$"):
        check_number("f(x)", jnp.bfloat16(-2), "[0, 1)")


@pytest.mark.parametrize("value", ["0.1", None, 1j, double, {"a": 1.0}, [1, [2, 3]], jax.random.key(0)])
def test_what_is_no_number_is_a_type_error(value):
    with pytest.raises(TypeError, match=r"(?s)^f\(x\) is .*expected a number in \(-inf, inf\): a remedy\.$"):
        check_number("f(x)", value, remedy="a remedy")


def test_tracers_and_placeholders_pass_unchecked():
    checked = jax.jit(lambda x: check_number("f(x)", x, "[0, 1]"))(5.0)
    assert float(checked) == 5.0
    np.testing.assert_array_equal(jax.vmap(adam)(jnp.array([-1.0, 1.0])).learning_rate, [-1.0, 1.0])
    placeholder = object()
    assert check_number("f(x)", placeholder, "[0, 1]") is placeholder


def test_concrete():
    assert concrete(jnp.bfloat16(0.5)) == np.float32(0.5)
    assert concrete(True) == np.array(True)
    assert concrete("0.5") is None
    assert concrete(jax.ShapeDtypeStruct((), jnp.float32)) is None
    seen = []
    jax.jit(lambda x: seen.append(concrete(x)))(1.0)
    assert seen == [None]


def test_check_count():
    assert check_count("f(n)", 3) == 3
    assert type(check_count("f(n)", np.int64(3), low=3)) is int
    with pytest.raises(ValueError, match=r"^f\(n\) is 0, expected a whole number of at least 1: use 1\.$"):
        check_count("f(n)", 0, low=1, remedy="use 1")
    for bad in (2.0, True, "2", None, jnp.int32(2)):
        with pytest.raises(TypeError, match=r"^f\(n\) is .*, expected a whole number of at least 0\.$"):
            check_count("f(n)", bad)
    with pytest.raises(TypeError, match="expected a whole number"):
        jax.jit(lambda n: check_count("f(n)", n))(2)


def test_check_choice():
    assert check_choice("f(mode)", "same", ("same", "valid")) == "same"
    with pytest.raises(ValueError, match=r"^f\(mode\) is 'full', expected one of 'same', 'valid'\.$"):
        check_choice("f(mode)", "full", ("same", "valid"))


def test_records_of_two_classes_are_two_structures():
    """`jax.tree_util.register_dataclass` fails this in jax 0.10, and jit then mixes up their programs."""

    @record
    class Sum:
        x: Number
        axis: int = static(0)

        def apply(self, x):
            return x + self.x

    @record
    class Product:
        x: Number
        axis: int = static(0)

        def apply(self, x):
            return x * self.x

    assert jax.tree.structure(Sum(1.0)) != jax.tree.structure(Product(1.0))
    assert jax.tree.structure(Sum(1.0)) == jax.tree.structure(Sum(2.0))
    assert jax.tree.structure(Sum(1.0)) != jax.tree.structure(Sum(1.0, axis=1))
    apply = jax.jit(lambda thing, x: thing.apply(x))
    assert [float(apply(thing(3.0), 2.0)) for thing in (Sum, Product)] == [5.0, 6.0]


def test_numbers_written_as_integers_are_real_and_seeds_are_not():
    for value in (3, np.int32(3), True, np.arange(2), jnp.arange(2), [1, 2.5], (1, 2)):
        for leaf in jax.tree.leaves(check_number("x", value)):
            assert jnp.issubdtype(jnp.result_type(leaf), jnp.floating), value
    assert check_number("x", 3) == 3
    kept = jnp.float32(2.0)
    assert check_number("x", kept) is kept
    assert check_number("x", 2**53 + 1.0) == 2**53
    assert check_seed("x", 2**31 - 1) == 2**31 - 1
    assert isinstance(check_seed("x", 3), int)
    with pytest.raises(ValueError, match=r"x is -1, expected a number in \[0, inf\)"):
        check_seed("x", -1)
    with pytest.raises(TypeError, match="x is 'a'"):
        check_seed("x", "a")


def test_the_gradient_reaches_a_horizon_written_as_an_integer():
    """As README writes them."""
    slope = jax.grad(lambda optimizer: optimizer.learning_rate(50))(adam(cosine(0.01, decay_steps=200)))
    by_hand = 0.01 * np.pi / 2 * np.sin(np.pi / 4) * 50 / 200**2
    np.testing.assert_allclose(slope.learning_rate.decay_steps, by_hand, rtol=1e-5)
    both = jax.grad(lambda schedule: schedule(5))(warmup_cosine(0.0, 0.01, 20, 200))
    np.testing.assert_allclose(both.steps, -0.01 * 5 / 20**2, rtol=1e-5)
