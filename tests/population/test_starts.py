"""What members start from: made by a program of its own where others go on from what comes out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.layers.dense import dense
from jaxopt_notes.losses.squared_error import mean_squared_error
from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.population.chunk_program import Rows
from jaxopt_notes.population.execution import Population, Staged, run_population
from jaxopt_notes.population.machine import machine_for
from jaxopt_notes.population.program_cache import Programs
from jaxopt_notes.training.early_stopping.patience import patience
from jaxopt_notes.training.trainer import Trainer


class Counting:
    """The identity, which counts how often `vmap` looks at it."""

    def __init__(self):
        self.count = 0
        self._identity = jax.custom_batching.custom_vmap(lambda x: x)
        self._identity.def_vmap(self._mapped)

    def __call__(self, x):
        return self._identity(x)

    def _mapped(self, axis_size, mapped, x):
        self.count += 1
        return x, mapped[0]


@pytest.fixture
def traces_of_members():
    return Counting()


SCALE = (jnp.asarray(3).astype(jnp.int4),)  # jax 0.10 does not take it from one program into the next
CONFIGS = np.array([1.0, 2.0, 4.0], np.float32)


def start(config, key, scale):
    return {"w": config * scale.astype(jnp.float32), "code": config.astype(jnp.int4)}, jax.random.fold_in(
        key, 1
    )


def train(member, key, scale):
    return {**member, "w": member["w"] + 1}, key, jax.random.uniform(key)


@pytest.mark.parametrize(("goes_on", "programs_of_the_start"), [(True, 2), (False, 1)])
def test_a_start_is_a_program_of_its_own_where_runs_go_on(key, goes_on, programs_of_the_start):
    programs, keys = Programs(), jax.random.split(key, 3)
    machine = machine_for("test", programs=programs, chunk_size=2, batch_size=2, workers=1)
    staged = Staged(start, train)
    fresh = Population(staged, Rows.of(CONFIGS, keys), SCALE, goes_on=goes_on)
    (member, later, drawn), _ = run_population(fresh, machine)
    assert len(programs) == programs_of_the_start
    np.testing.assert_array_equal(member["w"], 3 * CONFIGS + 1)
    np.testing.assert_array_equal(member["code"].astype(np.int32), CONFIGS.astype(np.int32))
    expected = [jax.random.uniform(jax.random.fold_in(k, 1)) for k in keys]
    np.testing.assert_array_equal(drawn, expected)
    (again, _, _), _ = run_population(Population(train, Rows.of(member, later), SCALE), machine)
    assert len(programs) == 2  # the one that has served already, or a second
    np.testing.assert_array_equal(again["w"], 3 * CONFIGS + 2)


def test_what_follows_a_start_is_vectorized_once(key, traces_of_members):
    def then(w, total, key):
        return jax.lax.fori_loop(0, 3, lambda i, c: (traces_of_members(c[0]), c[1] + c[0]), (w, total))

    members = jax.vmap(Staged(lambda config, key: (config, jnp.zeros(()), key), then))
    shapes = jax.eval_shape(members, CONFIGS, jax.random.split(key, 3))
    assert [x.shape for x in shapes] == [(3,), (3,)]
    assert traces_of_members.count == 1


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_step_of_a_population_is_vectorized_once(epochs, key, traces_of_members):
    def augmentation(key, x, y):
        return traces_of_members(x), y

    x, y = jnp.ones((8, 2)), jnp.ones((8, 1))
    trainer = Trainer(
        dense(1), adam(0.1), mean_squared_error, augmentation=augmentation, metric=None, batch_size=4,
        early_stopping=patience(2, monitor="loss"),
    )  # fmt: skip

    def run(state, key):
        return trainer.advance(state, (x, y), epochs=epochs)

    members = jax.vmap(Staged(lambda config, key: (trainer.init(key, (x, y)), key), run))
    jax.eval_shape(members, CONFIGS, jax.random.split(key, 3))
    assert traces_of_members.count == 1
