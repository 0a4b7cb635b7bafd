#!/usr/bin/env bash
# Guess: x / y of floating-point numbers is rounded correctly, compiled or not: 41 / 41 is 1, and floor(k * 41 / 41) is k.
# What happens: where y is a constant or one number for many x, XLA computes x · (1/y), and so in float32 41 / 41 is
#     0.99999994, in float64 49 / 49 is 0.9999999999999999; of the numbers below 200, 23 have multiples in float32 whose
#     quotient's floor is one too small. Quotients of one number by one argument are right, so tests may miss it.
# Versions: jax 0.10.2, CPU.
# Whom it matters to: whoever counts by the floor of a quotient: learning rates that fall every 49 steps fell one step
#     late. Way around: a remainder (`jnp.mod` is exact) and the rounded quotient of what is left, or integers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
import numpy as np

k = np.arange(1, 50)
for dtype, number in ((np.float32, 41), (np.float64, 49)):
    with jax.enable_x64(dtype == np.float64):
        x, y = jnp.asarray(k * number, dtype), jnp.asarray(number, dtype)
        one = jax.jit(lambda x, y: x / y)(x[0], y)
        many = np.asarray(jax.jit(lambda x, y: x / y)(x, y))
        constant = np.asarray(jax.jit(lambda x: x / dtype(number))(x))
        print(dtype.__name__, f"{number} / {number} alone:", one, "- as one of many:", many[0])
        assert one == 1
        assert many[0] < 1
        assert constant[0] < 1
        assert (np.floor(many) != k).any()
PYTHON
