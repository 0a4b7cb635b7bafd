"""Arrays without explicit axes pass as they are, and with them they are gathered and cut again."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxopt_notes.numerics import precise_vdot
from jaxopt_notes.sharding import is_cut, placed_like, rows_of, whole


def test_an_array_on_one_device_is_given_back_itself():
    x = jnp.ones((4, 2))
    assert not is_cut(x)
    assert whole(x) is x
    assert placed_like(x, x) is x


def test_a_cut_array_is_gathered_and_cut_again():
    mesh = jax.make_mesh((1, 1), ("data", "model"), axis_types=(AxisType.Explicit,) * 2)
    x = jax.device_put(np.arange(8.0).reshape(4, 2), NamedSharding(mesh, PartitionSpec("data", "model")))

    @jax.jit
    def all_of_it(x):
        back = placed_like(whole(x).reshape(-1).reshape(4, 2), x)
        row = placed_like(jnp.zeros(2), x, (1,))
        return whole(x), back, row, rows_of(x, jnp.array([2, 0])), precise_vdot(x, x)

    assert is_cut(x)
    gathered, back, zeros, rows, square = all_of_it(x)
    assert [tuple(part.sharding.spec) for part in (back, zeros)] == [("data", "model"), ("model",)]
    assert not any(map(is_cut, (gathered, rows, square)))
    np.testing.assert_array_equal(rows, [[4, 5], [0, 1]])
    assert float(square) == 140
