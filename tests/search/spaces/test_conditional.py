"""Conditional hyperparameters: active with the values they name, and drawn like any other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search import choice, integers, random_search, static_choice, uniform
from jaxopt_notes.search.spaces.conditional import conditional
from jaxopt_notes.search.spaces.space import dimensions, fill
from jaxopt_notes.search.surrogates.encoding import is_active


@pytest.mark.full
def test_every_strategy_can_draw_them(key):
    plain = {"kind": static_choice(["a", "b"]), "m": uniform(0.0, 2.0)}
    space = plain | {"m": conditional(plain["m"], "kind", "a")}
    configs, want = (random_search(9).ask(random_search(9).init(key, s), key, 9)[0] for s in (space, plain))
    jax.tree.map(np.testing.assert_array_equal, configs, want)
    np.testing.assert_array_equal(space["m"].grid(3), plain["m"].grid(3))
    assert fill(space, {"kind": 1, "m": 0.5}) == {"kind": "b", "m": 0.5}


def test_activity_follows_values_of_every_kind_and_chains():
    axes = dimensions(
        {
            "a": static_choice(["x", "y"]),
            "b": conditional(integers(1, 4), "a", "y"),
            "c": conditional(uniform(0.0, 1.0), "b", 2, 3),
            "d": choice([0.1, 0.9]),
            "e": conditional(uniform(0.0, 1.0), "d", 0.9),
        }
    )
    first = [[0.2, 0.5], [0.8, 0.1], [0.8, 0.5], [0.8, 0.9]]
    points = jnp.array([[*ab, 0.5, d, 0.5] for ab, d in zip(first, [0.2, 0.8, 0.2, 0.2], strict=True)])
    assert is_active(axes, "b", points).tolist() == [False, True, True, True]
    assert is_active(axes, "c", points).tolist() == [False, False, True, True]
    assert is_active(axes, "e", points).tolist() == [False, True, False, False]


def test_errors_name_everything():
    with pytest.raises(TypeError, match=r"conditional\(distribution\) is StaticChoice"):
        conditional(static_choice([1, 2]), "a", 1)
    with pytest.raises(TypeError, match=r"conditional\(distribution\) is 0.5"):
        conditional(0.5, "a", 1)
    with pytest.raises(ValueError, match=r"conditional\(values\) is empty"):
        conditional(uniform(0.0, 1.0), "a")
