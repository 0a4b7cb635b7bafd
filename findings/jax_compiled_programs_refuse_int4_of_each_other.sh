#!/usr/bin/env bash
# Guess: what one compiled program returns may be given to another one that was compiled for its shape, dtype and sharding.
# What happens: with int4 (and the other dtypes of four bits) and shardings that were named, `ValueError: Computation was
#     compiled for input layouts that disagree`: the layout of the result says 0 bits an element, the argument's 4. The same
#     array from the host is taken, and so is the result where no sharding was named.
# Versions: jax 0.10.2 (CPU). jax 0.12 says 4 bits in both places and takes it.
# Whom it matters to: those who compile ahead of time and keep quantized state on the device between two programs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

place = NamedSharding(Mesh(np.array(jax.devices()[:1]), ("rows",)), PartitionSpec("rows"))
taken = {}
for dtype in (jnp.int8, jnp.int4):
    for name, options in (("named", {"in_shardings": place, "out_shardings": place}), ("default", {})):
        copy = jax.jit(lambda x: x, **options).lower(jax.ShapeDtypeStruct((8, 3), dtype)).compile()
        made = copy(np.ones((8, 3), dtype))
        try:
            copy(made)
            said = "taken"
        except ValueError as error:
            assert "layouts that disagree" in str(error), error
            said = "refused"
        taken[jnp.dtype(dtype).name, name] = said
print(taken)
assert taken.pop(("int4", "named")) == "refused", "it is taken now"
assert set(taken.values()) == {"taken"}
PYTHON
