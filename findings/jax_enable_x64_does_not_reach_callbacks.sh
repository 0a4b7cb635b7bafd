#!/usr/bin/env bash
# Guess: `with jax.enable_x64(True)` around a jitted call holds for all of it: a `pure_callback` inside receives float64
#     and may return float64, as its declared result says.
# What happens: XLA calls back from whichever thread it is in. In the caller's (small programs) all is well; in a thread
#     of its pool (after larger products) the setting, which belongs to the caller's thread, is off: the callback gets
#     its float64 arguments rounded to float32 without a word, and what it returns is refused as "Incorrect output
#     dtype". With `jax.config.update("jax_enable_x64", True)`, which holds in every thread, both work.
# Versions: jax 0.10.2, CPU.
# Whom it matters to: who runs SciPy or NumPy code inside jitted float64 programs: tests of small cases pass, and on
#     larger ones, or on a busier machine, the same code computes with half of the digits or fails. Send the bits
#     across as pairs of uint32, or set the flag for the process.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import threading

import jax
import jax.numpy as jnp
import numpy as np

caller, seen = threading.get_ident(), set()


def host(x):
    x = np.asarray(x)
    seen.add((threading.get_ident() == caller, x.dtype.name))
    return np.float32(x.sum())  # a type that every thread agrees on


@jax.jit
@jax.vmap
def f(x):
    assert x.dtype == jnp.float64
    busy = x @ x.T
    like = jax.ShapeDtypeStruct((), jnp.float32)
    return busy.sum(), jax.pure_callback(host, like, x, vmap_method="sequential")


with jax.enable_x64(True):
    f(jnp.ones((1, 4, 4)))
    for _ in range(20):
        jax.block_until_ready(f(jnp.ones((5, 300, 300))))
jax.effects_barrier()
print("(in the caller's thread, what arrived):", sorted(seen))
assert (True, "float64") in seen
assert (True, "float32") not in seen
assert (False, "float32") in seen, "callbacks in other threads know of enable_x64 now, or none was in another thread"
PYTHON
