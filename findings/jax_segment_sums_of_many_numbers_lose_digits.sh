#!/usr/bin/env bash
# Guess: `jnp.bincount(i, weights)` and `jax.ops.segment_sum` are as exact as `jnp.sum` of the numbers with each index;
#     NumPy's `bincount` adds in float64, and `jnp.sum` of a million float32 has seven digits.
# What happens: they are scatters, which on CPU add one number to another. Of a million positive float32 in three
#     classes four digits are right, with an error to one side, and ones are not counted beyond 2²⁴: 33,554,432 of them
#     are 16,777,216. `jnp.sum` is right in both.
# Versions: jax 0.10.2, CPU.
# Whom it matters to: whoever counts classes, cells of a confusion matrix or bins of a histogram with weights, or
#     averages nodes of a large graph. Way around: segments of blocks of some thousand entries each, and the sum of the
#     blocks; weights that are whole numbers as integers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
import numpy as np

rng, n = np.random.default_rng(0), 10**6
index, weights = rng.integers(0, 3, n), rng.gamma(0.5, size=n).astype(np.float32)
exact = np.bincount(index, weights.astype(float))
error = lambda found: np.abs(np.asarray(found) / exact - 1).max()
summed = error([jnp.sum(jnp.where(index == c, weights, 0)) for c in range(3)])
counted = error(jnp.bincount(index, weights, length=3))
scattered = error(jax.ops.segment_sum(weights, index, 3))
print(f"relative errors: sum {summed:.0e}, bincount {counted:.0e}, segment_sum {scattered:.0e}")
assert summed < 1e-6
assert min(counted, scattered) > 2e-5

ones, zeros = np.ones(2**25, np.float32), np.zeros(2**25, np.int32)
print("2**25 ones: sum", jnp.sum(ones), "- segment_sum", jax.ops.segment_sum(ones, zeros, 1)[0])
assert jnp.sum(ones) == 2**25
assert jax.ops.segment_sum(ones, zeros, 1)[0] == 2**24
PYTHON
