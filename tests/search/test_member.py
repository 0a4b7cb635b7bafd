"""What the program of a sweep holds: the data once, whatever the number of members."""

import jax
import jax.numpy as jnp
import pytest

import jaxopt_notes as jn
from jaxopt_notes.search.member import Runs
from tests.jaxprs import equations
from tests.test_control_flow import largest

ROWS, FEATURES = 4096, 64  # the data are 1 MB, a member's state is 10 kB


def arguments(members):
    """Shapes of the arguments of a group's program."""
    shape = jax.ShapeDtypeStruct
    train, valid = ((shape((n, FEATURES), jnp.float32), shape((n,), jnp.int32)) for n in (ROWS, 64))
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), members))
    return {"rate": shape((members,), jnp.float32)}, keys, shape((), jnp.int32), train, valid


SPACE = {"rate": jn.log_uniform(1e-3, 1e-1)}


def group(build, keep=True):
    """The function of a group of members, as a sweep trains it from the beginning."""
    runs = Runs(build, SPACE, {}, ("valid_loss",), 4)
    begin, go_on = runs.begin(keep), runs.go_on(keep)

    def train(config, key, *shared):
        return go_on(*begin(config, key, *shared), *shared)

    return jax.vmap(train, in_axes=(0, 0, None, None, None))


def trainer(optimizer, **options):
    model = jn.mlp([8, 4])
    return jn.Trainer(model, optimizer, jn.softmax_cross_entropy, **options)


def kernels_of_run(keep):
    """How many values like the first kernel of 8 members the loop over epochs carries, and selects."""
    train = group(lambda h: trainer(jn.sgd(h["rate"]), skip_nonfinite=False), keep)
    program = list(equations(jax.make_jaxpr(train)(*arguments(8)).jaxpr))
    loop = next(equation for equation in program if equation.primitive.name == "while")
    selected = (equation.outvars[0] for equation in program if equation.primitive.name == "select_n")
    return [[value.aval.shape for value in some].count((8, FEATURES, 8)) for some in (loop.outvars, selected)]


def test_a_run_whose_networks_nobody_keeps_holds_one():
    """Kept, it holds the best as well, selected once an epoch. Divergence selects no array."""
    assert kernels_of_run(keep=False) == [1, 0]
    assert kernels_of_run(keep=True) == [2, 1]


@pytest.mark.full
def test_temporaries_do_not_grow_with_members_times_data():
    """Of eight members against two: less than one copy of the data, where there were six copies."""
    train = group(lambda h: trainer(jn.adam(h["rate"]), early_stopping=jn.patience(2)))
    needed = {
        members: jax.jit(train).lower(*arguments(members)).compile().memory_analysis().temp_size_in_bytes
        for members in (2, 8)
    }
    assert needed[8] - needed[2] < 4 * ROWS * FEATURES, needed


OPTIMIZERS = {
    "early stopping": lambda rate: jn.adam(rate),
    "sam": lambda rate: jn.sam(jn.sgd(rate), 0.05),
    "accumulation": lambda rate: jn.accumulate_gradients(jn.sgd(rate), 4),
    "lookahead": lambda rate: jn.lookahead(jn.sgd(rate)),
    "line search": lambda rate: jn.line_search(jn.sgd(rate)),
    "sophia": lambda rate: jn.sophia(rate),
    "plateau": lambda rate: jn.chain(jn.sgd(rate), jn.reduce_on_plateau()),
}


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(of, id=name, marks=pytest.mark.full if name in ("accumulation", "lookahead") else ())
        for name, of in OPTIMIZERS.items()
    ],
)
def test_no_value_of_a_sweep_is_a_copy_of_the_data_for_each_member(optimizer):
    train = group(lambda h: trainer(optimizer(h["rate"]), early_stopping=jn.patience(h["rate"] * 100)))
    assert largest(jax.make_jaxpr(train)(*arguments(3)).jaxpr) < ROWS * FEATURES


@pytest.mark.parametrize("optimizer", [jn.lbfgs(), jn.line_search(jn.sgd(0.1)), jn.sophia(0.1)], ids=type)
def test_optimizers_that_evaluate_the_objective_share_its_data(optimizer):
    """A population with a training function of its own, on the whole data: they are read, never copied."""
    x = jnp.ones((ROWS, FEATURES))

    def objective(w):
        return jnp.mean((x[:16] @ w) ** 2)

    def step(w, state):
        remembers = hasattr(state, "value")
        value_and_grad = jn.optimizers.value_and_grad_from_state(objective)
        value, grad = value_and_grad(w, state=state) if remembers else jax.value_and_grad(objective)(w)
        return optimizer.update(grad, state, w, value=value, grad=grad, value_fn=objective)

    w = jnp.ones((3, FEATURES))
    state = jax.eval_shape(jax.vmap(optimizer.init), w)
    assert largest(jax.make_jaxpr(jax.vmap(step))(w, state).jaxpr) < x.size
