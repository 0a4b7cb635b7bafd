#!/usr/bin/env bash
# Guess: `jnp.pad(x, 1, constant_values=c)` can be differentiated with respect to c, as any function of two arguments.
# What happens: with respect to x and c together it can. With respect to c alone (x a constant, as data are) `jax.grad`
#     raises a TypeError about a `NoneType` given to `reduce_sum`: the rule that transposes `lax.pad` subtracts the
#     cotangent of x also where there is none. `jax.jvp` is right.
# Versions: jax 0.10.2 and 0.12.0.1.
# Whom it matters to: everyone whose padding value is a parameter or a hyperparameter: images filled with a learnt color.
#     A way around it: pad with zeros and put the number in by `jnp.where` of a padded mask.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp

x = jnp.ones(3)


def padded_sum(x, c):
    return jnp.sum(jnp.pad(x, 1, constant_values=c))


by_x, by_c = jax.grad(padded_sum, argnums=(0, 1))(x, 0.5)
assert by_c == 2
assert jax.jvp(lambda c: padded_sum(x, c), (0.5,), (1.0,))[1] == 2
try:
    jax.grad(padded_sum, argnums=1)(x, 0.5)
except TypeError as error:
    assert "NoneType" in str(error)
    print("by both:", by_c, "- by the constant alone:", str(error).splitlines()[0])
else:
    raise SystemExit("there is a gradient now")
PYTHON
