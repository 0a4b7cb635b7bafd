#!/usr/bin/env bash
# Guess: the pytree structures of objects of two different dataclasses are different, so that `==` of structures, and
#     everything that rests on it, tells them apart.
# What happens: for classes registered by `jax.tree_util.register_dataclass` the structures compare equal when the fields
#     and the static values agree, whatever the classes are (their hashes differ). `lax.cond` accepts branches that return
#     different classes and returns the first one's with the second one's numbers; a check of `jax.tree.structure(a) ==
#     jax.tree.structure(b)` passes. `jax.tree.map(f, a, b)` does raise. Classes registered by
#     `register_pytree_with_keys` compare unequal, and `lax.cond` refuses them.
# Versions: jax 0.10.2, jaxlib 0.10.2.
# Whom it matters to: everyone who makes records, states or layers of dataclasses and relies on JAX to notice that two of
#     them were mixed up.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import dataclasses

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Celsius:
    degrees: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Fahrenheit:
    degrees: jax.Array


class Kelvin:
    def __init__(self, degrees):
        self.degrees = degrees


jax.tree_util.register_pytree_with_keys(
    Kelvin,
    lambda k: (((jax.tree_util.GetAttrKey("degrees"), k.degrees),), ()),
    lambda aux, children: Kelvin(*children),
)

celsius, fahrenheit, kelvin = (kind(jnp.float32(20)) for kind in (Celsius, Fahrenheit, Kelvin))
one, other = jax.tree.structure(celsius), jax.tree.structure(fahrenheit)
assert one == other and hash(one) != hash(other)
assert one != jax.tree.structure(kelvin)

chosen = jax.lax.cond(False, lambda: Celsius(jnp.float32(20)), lambda: Fahrenheit(jnp.float32(68)))
assert type(chosen) is Celsius and float(chosen.degrees) == 68.0, chosen

for refused in (
    lambda: jax.lax.cond(False, lambda: celsius, lambda: kelvin),
    lambda: jax.tree.map(jnp.add, celsius, fahrenheit),
):
    try:
        refused()
    except (TypeError, ValueError):
        continue
    raise AssertionError("it was accepted")
print("as described: 68 degrees Fahrenheit became 68 degrees Celsius")
PYTHON
