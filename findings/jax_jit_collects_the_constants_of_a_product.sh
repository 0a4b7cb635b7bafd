#!/usr/bin/env bash
# Guess: `jax.jit` changes a product of floats by rounding at most: (0.5·a)·(0.25·b) is what it is without.
# What happens: the compiler collects the constants, (a·b)·0.125, and a·b may overflow or vanish although neither factor
#     nor the result does: inf where the eager result is 1.5e38, 0 where it is 1e-26. It happens across functions too: a
#     scale of one and a mean of the other meet in one program.
# Versions: jax 0.10.2 on CPU; 0.12.0.1 gives the eager result for these.
# Whom it matters to: whoever scales numbers before a product so that it stays in range (norms, losses of large
#     targets, loss scaling). A scale without a constant factor of its own (a / 2 instead of 0.5 * a is no cure, since a
#     quotient by a power of two becomes a product; a / (2 * m), m traced, is) is safe.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp


def large(a, b):
    return (0.5 * a) * (0.25 * b)


def small(a, b):
    return (1e8 * a) * (1e8 * b)


for function, a, b, expected in ((large, 2.0**127, 7.0, 1.4887354e38), (small, 1e-30, 1e-12, 1e-26)):
    a, b = jnp.float32(a), jnp.float32(b)
    eager, compiled = function(a, b), jax.jit(function)(a, b)
    print(function.__name__, "- eager:", eager, "- compiled:", compiled)
    assert abs(eager / expected - 1) < 1e-6
    assert compiled == (jnp.inf if function is large else 0), "the constants stay where they are now"
PYTHON
