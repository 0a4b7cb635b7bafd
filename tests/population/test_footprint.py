"""What a member works on at a time, by hand, and the groups that follow from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.population.footprint import footprint
from jaxopt_notes.population.layout import default_batch
from jaxopt_notes.population.population_map import population_map
from jaxopt_notes.population.program_cache import Programs

KEYS = jax.random.split(jax.random.key(0), 32)


def bytes_of(function, *args):
    return footprint(jax.make_jaxpr(function)(*args))


def test_what_the_innermost_loop_carries_and_its_largest_value_count():
    def step(x, _):
        return jnp.sum(x[:, None] * jnp.ones((1, 50)), 1), None  # carries 400 bytes, computes 20,000

    inner = lambda x: lax.scan(step, x, None, length=3)[0]  # noqa: E731
    assert bytes_of(inner, jnp.zeros(100)) == 400 + 20_000

    # An outer loop counts by what it carries, not by what it computes once in a while.
    def outer(x):
        def epoch(carry, _):
            table = jnp.zeros((1000, 1000)) + carry[0][0]
            return (inner(carry[0]), carry[1] + table[0, 0]), None

        return lax.scan(epoch, (x, x), None, length=2)[0]

    assert bytes_of(outer, jnp.zeros(100)) == 400 + 20_000
    assert bytes_of(jax.jit(outer), jnp.zeros(100)) == 400 + 20_000
    # ... and by that alone where it is more: a recurrent network's cell inside a training step.
    wide = lambda x: lax.scan(lambda c, _: (c + inner(c[:10])[0], None), x, None, length=2)[0]  # noqa: E731
    assert bytes_of(wide, jnp.zeros(100_000)) == 400_000


def test_without_a_loop_the_largest_value_counts():
    assert bytes_of(lambda x: jax.nn.relu(x) @ jnp.ones((10, 7)), jnp.zeros((5, 10))) == 4 * 70
    assert bytes_of(lambda x: x, 1.0) == 0


def test_groups_are_as_large_as_members_are_small():
    def group(width, **sizes):
        def train(config, key):
            return lax.fori_loop(0, 2, lambda i, x: x * config, jnp.ones(width))[0]

        programs = Programs()
        found = [
            population_map(
                train,
                np.ones(32, np.float32),
                KEYS,
                workers=2,
                return_report=True,
                programs=programs,
                **sizes,
            )[1]
            for _ in range(2)
        ]
        assert found[0].batch_size == found[1].batch_size
        assert found[1].compile_seconds == 0
        return found[0].batch_size

    assert [group(width) for width in (10, 40_000, 100_000, 1_000_000)] == [8, 4, 1, 1]
    assert group(1_000_000, batch_size=8) == 8


@pytest.mark.parametrize(("footprint", "members", "batch"), [
    (0, 8, 8), (400, 127, 8), (400, 128, 16), (400, 10_000, 64), (6400, 10_000, 16), (30_000, 10_000, 8),
    (370_000, 10_000, 4), (10**7, 10_000, 1),
])  # fmt: skip
def test_many_members_that_work_on_little_are_vectorized_together(footprint, members, batch):
    assert default_batch(footprint, members) == batch
