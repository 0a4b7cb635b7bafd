#!/usr/bin/env bash
# Guess: `jax.nn.dot_product_attention` of float64 arrays is right to some 1e-15, as `jax.nn.softmax` of them is; its
#     result is float64, after all. And it takes float16 under strict promotion, having one dtype for all arguments.
# What happens: scores are masked and their softmax is taken in float32, whatever the dtype. The result is called float64
#     and is right to 1e-7. Under `jax_numpy_dtype_promotion="strict"` float16 raises a TypePromotionError from within.
# Versions: jax 0.10.2, jaxlib 0.10.2.
# Whom it matters to: whoever tests an attention layer in float64 against a reference or finite differences, and users
#     of strict promotion with half precision.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu JAX_ENABLE_X64=1 "$folder/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
import numpy as np

rng = np.random.default_rng(0)
query, key, value = (rng.normal(size=(1, 6, 2, 4)) for _ in range(3))
scores = np.einsum("bqhd,bkhd->bhqk", query, key) / np.sqrt(4)
weights = np.exp(scores - scores.max(-1, keepdims=True))
weights /= weights.sum(-1, keepdims=True)
expected = np.einsum("bhqk,bkhd->bqhd", weights, value)

found = jax.nn.dot_product_attention(*map(jnp.asarray, (query, key, value)))
error = np.abs(found - expected).max()
assert np.abs(jax.nn.softmax(jnp.asarray(scores)) - weights).max() < 1e-15
assert found.dtype == jnp.float64
assert 1e-9 < error < 1e-6, error

half = jnp.ones((1, 2, 1, 4), jnp.float16)
assert jax.nn.dot_product_attention(half, half, half).dtype == jnp.float16
try:
    with jax.numpy_dtype_promotion("strict"):
        jax.nn.dot_product_attention(half, half, half)
except Exception as problem:
    assert "promotion" in str(problem), problem
else:
    raise AssertionError("float16 passes under strict promotion by now")
print("as described: float64 results differ by", error)
PYTHON
