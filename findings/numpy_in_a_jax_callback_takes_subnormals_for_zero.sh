#!/usr/bin/env bash
# Guess: a function of NumPy or SciPy gives the same numbers inside `jax.pure_callback` as when it is called directly: it
#     is the same code, in float64, in the same process.
# What happens: on CPUs the callback runs where XLA has told the processor to take subnormal numbers for zero, as
#     operands and as results; that holds for NumPy, SciPy and plain Python floats as well. log(exp(−720)) is −720 outside
#     and −infinity inside; the 5e-324 that guards a logarithm guards nothing; and norm.cdf(−37.6) is 0. After the
#     callback all is as before. Nothing is said, but that `np.finfo` warns if it is asked inside for the first time.
# Versions: jax 0.10.2, NumPy 2.4.6, SciPy 1.17.1.
# Whom it matters to: those who call densities or special functions of SciPy from jitted code: stay in logarithms
#     (`logpdf`, `logcdf`, `logsumexp`), and guard with np.finfo(float).tiny, not with the smallest subnormal.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2" "numpy==2.4.6" "scipy==1.17.1"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

def measured(x):
    with np.errstate(divide="ignore"):
        logarithm = np.log(np.exp(x))
        guarded = np.log(np.maximum(0 * x, 5e-324))
    return [float(v) for v in (logarithm, guarded, stats.norm.cdf(-37.6), stats.norm.logcdf(-37.6), -x * 1e-310 * 1e10)]

found = {}
def callback(_):
    found["inside"] = measured(np.float64(-720.0))
    return np.float32(0)

found["outside"] = measured(np.float64(-720.0))
jax.block_until_ready(jax.jit(lambda x: jax.pure_callback(callback, jax.ShapeDtypeStruct((), jnp.float32), x))(0.0))
found["after"] = measured(np.float64(-720.0))
for where, values in found.items():
    print(f"{where:8}", "log(exp(-720)), log(max(0, 5e-324)), cdf(-37.6), logcdf(-37.6), 7.2e-298:", values)
outside, inside = found["outside"], found["inside"]
assert found["after"] == outside and abs(outside[0] + 720) < 1e-9 and outside[1] < -744 and outside[2] > 0
assert inside[:3] == [-np.inf, -np.inf, 0.0] and inside[4] == 0, "subnormals are numbers inside now"
assert abs(inside[3] / outside[3] - 1) < 1e-12
PYTHON
