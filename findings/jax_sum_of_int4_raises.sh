#!/usr/bin/env bash
# Guess: `jnp.sum` of an int4 array is an int32, as that of int8 is, so that it has room for the total.
# What happens: `jnp.sum` and `jnp.prod` raise `ValueError: Invalid integer data type 'V'.`, which says nothing of int4:
#     the rule of promotion asks NumPy's `iinfo`, which does not know the dtypes of ml_dtypes. With `dtype=jnp.int32` the
#     sum is right; `mean` is a float32 and right; `x @ x` stays int4 and wraps (3·49 = 147 is 3).
# Versions: jax 0.10.2 and 0.12.0.1.
# Whom it matters to: those who look at quantized weights, and generic code that sums all leaves of a tree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import jax.numpy as jnp

assert jnp.sum(jnp.full(3, 100, jnp.int8)) == 300
x = jnp.full(3, 7, jnp.int4)
said = {}
for name in ("sum", "prod"):
    try:
        said[name] = str(getattr(jnp, name)(x))
    except ValueError as error:
        said[name] = str(error)
print(said, "with a dtype:", jnp.sum(x, dtype=jnp.int32), "mean:", jnp.mean(x), "product:", x @ x)
assert jnp.sum(x, dtype=jnp.int32) == 21 and jnp.mean(x) == 7
assert (x @ x).dtype == jnp.int4 and int((x @ x).astype(jnp.int32)) == 3
assert all("Invalid integer data type" in text for text in said.values()), "they are summed now"
PYTHON
