"""What members start from: made by a program of its own where others go on from what comes out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.population.chunk_program import Rows
from jaxopt_notes.population.execution import Population, Staged, run_population
from jaxopt_notes.population.machine import machine_for
from jaxopt_notes.population.program_cache import Programs

SCALE = (jnp.asarray(3.0),)
CONFIGS = np.array([1.0, 2.0, 4.0], np.float32)


def start(config, key, scale):
    narrow = config.astype(jnp.int4)  # jax 0.10 does not take it from one program into the next
    return {"w": config * scale, "code": narrow}, jax.random.fold_in(key, 1)


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
