#!/usr/bin/env bash
# Guess: a linen `nn.BatchNorm(dtype=float64, param_dtype=float64)` keeps its running mean and variance in one dtype, so
#     that a training loop can carry them: float64, as its parameters.
# What happens: `init` makes float32 statistics whatever `param_dtype` says, and the first `apply` that updates them
#     returns float64 ones. A Python loop compiles a second time after its first step; a `lax.scan` over steps raises a
#     TypeError about the carry's dtypes.
# Versions: flax 0.12.8 with jax 0.10.2, x64 on.
# Whom it matters to: everyone who trains or tests a linen model with batch normalization in float64. A way around it: cast
#     the variables of `init` (`jax.tree.map(lambda a: a.astype(jnp.float64), variables)`) before the loop.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2" "flax==0.12.8"
JAX_PLATFORMS=cpu JAX_ENABLE_X64=1 "$folder/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
from flax import linen as nn

norm = nn.BatchNorm(use_running_average=False, dtype=jnp.float64, param_dtype=jnp.float64)
x = jnp.arange(6.0).reshape(3, 2)
assert x.dtype == jnp.float64
variables = norm.init(jax.random.key(0), x)
assert variables["params"]["scale"].dtype == jnp.float64


def step(stats, _):
    y, updated = norm.apply({"params": variables["params"], "batch_stats": stats}, x, mutable=["batch_stats"])
    return updated["batch_stats"], y


before = variables["batch_stats"]
after = step(before, None)[0]
print("running mean at first:", before["mean"].dtype, "- after one step:", after["mean"].dtype)
assert before["mean"].dtype == jnp.float32 and after["mean"].dtype == jnp.float64, "they are one dtype now"
try:
    jax.lax.scan(step, before, length=2)
except TypeError as error:
    print("scan:", str(error).splitlines()[0])
else:
    raise SystemExit("a scan carries them now")
PYTHON
