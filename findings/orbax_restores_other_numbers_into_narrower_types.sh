#!/usr/bin/env bash
# Guess: restoring a checkpoint into a target of another dtype raises where a stored number does not fit, as a target of
#     another shape does.
# What happens: `StandardCheckpointer.restore` refuses another shape, and casts to another dtype without a word: float32
#     1e30 comes back as float16 inf, int32 300 as int8 44.
# Versions: orbax-checkpoint 0.12.8, jax 0.10.2.
# Whom it matters to: everyone who changes the precision of a model or an optimizer between two runs, or builds the target
#     with `jax.eval_shape` under another setting of x64: compare dtypes before restoring.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  "orbax-checkpoint==0.12.8" "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - "$folder/checkpoint" <<'PYTHON'
import sys

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

here = jax.sharding.SingleDeviceSharding(jax.devices()[0])


def target(shape, dtype):
    return jax.ShapeDtypeStruct(shape, dtype, sharding=here)


for wide, narrow, expected in (
    (jnp.full(2, 1e30, jnp.float32), jnp.float16, [float("inf")] * 2),
    (jnp.full(2, 300, jnp.int32), jnp.int8, [44, 44]),
):
    path = f"{sys.argv[1]}-{narrow.__name__}"
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, {"w": wide})
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(path, {"w": target((2,), narrow)})["w"]
        assert restored.dtype == narrow and restored.tolist() == expected, restored
        try:
            checkpointer.restore(path, {"w": target((3,), wide.dtype)})
        except ValueError:
            continue
        raise AssertionError("another shape was restored")
print("as described: another shape is refused, another dtype changes the numbers")
PYTHON
