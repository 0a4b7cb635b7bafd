#!/usr/bin/env bash
# Guess: layer normalization standardizes each sample: of 9999 and 10001 it makes -1 and 1, in float32 as in torch and Keras.
# What happens: Flax's LayerNorm takes E[x²] - E[x]² for the variance, in float32 (`use_fast_variance=True`, the default).
#     Of a mean of 10,000 and a deviation of 1 that is 0, and the outputs are -1000 and 1000, 1/sqrt(epsilon) too large.
#     With `use_fast_variance=False` they are -1 and 1. Linen and NNX do the same.
# Versions: flax 0.12.8, jax 0.10.2.
# Whom it matters to: whoever normalizes raw data or large residual streams, or moves weights from torch to Flax.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "flax==0.12.8" "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

x = jnp.array([[9999.0, 10001.0]])


def linen(**options):
    layer = nn.LayerNorm(**options)
    return np.asarray(layer.apply(layer.init(jax.random.key(0), x), x))[0]


print("linen:", linen(), "without the fast variance:", linen(use_fast_variance=False))
assert np.allclose(linen(), [-1000, 1000], rtol=1e-3), linen()
assert np.allclose(linen(use_fast_variance=False), [-1, 1], rtol=1e-3)
assert np.allclose(nnx.LayerNorm(2, rngs=nnx.Rngs(0))(x), [[-1000, 1000]], rtol=1e-3)
PYTHON
