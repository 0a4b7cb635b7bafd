#!/usr/bin/env bash
# Guess: a convolution's gradient takes as long inside `lax.scan` as outside.
# What happens: XLA's CPU backend has a fast routine for one layout alone (b01f_01io->b01f), and brings convolutions into
#     it only in the entry computation. JAX's two gradients have other axes, so in the body of a loop they stay as they
#     are (f01b_i01o->01bf and b01f_01oi->b01f) and run in a naive loop: 10 to 25 times as long. The forward
#     convolution has the layout already, and is as fast inside as outside.
# Versions: jax 0.10.2, CPU; the same layouts in 0.12.0.1.
# Whom it matters to: who trains a CNN with all its steps in one `scan` or `fori_loop`, and measures the loss alone first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import re

import jax
import jax.numpy as jnp
from jax import lax

x, kernel = jnp.ones((16, 16, 16, 16)), jnp.ones((3, 3, 16, 16))


def convolved(x, kernel):
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def step(pair):
    slopes = jax.grad(lambda pair: jnp.sum(convolved(*pair) ** 2), 0)(pair)
    return jax.tree.map(lambda p, g: p - 1e-3 * g, pair, slopes)


def layouts(function):
    text = jax.jit(function).lower((x, kernel)).compile().as_text()
    return re.findall(r"convolution\(.*dim_labels=(\S+?),? ", text + " ")


fast = "b01f_01io->b01f"
outside = layouts(step)
inside = layouts(lambda pair: lax.scan(lambda pair, _: (step(pair), None), pair, length=5)[0])
print("outside:", outside)
print("inside: ", inside)
assert outside and set(outside) == {fast}
assert set(inside) != {fast}, "gradients inside a loop have the fast layout now"
PYTHON
