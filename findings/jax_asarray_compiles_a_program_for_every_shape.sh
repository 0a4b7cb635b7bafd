#!/usr/bin/env bash
# Guess: `jnp.asarray(numpy_array)` copies to the device, which needs no program.
# What happens: for every new shape and dtype it traces, lowers and compiles one (`jit(stage)`; with a dtype, or from a
#     list, `jit(convert_element_type)`), 10 to 30 milliseconds each on a CPU. `jax.device_put` of the same array compiles
#     nothing and gives the same array.
# Versions: jax 0.10.2 and 0.12.0.1.
# Whom it matters to: loaders of batches of many lengths, test suites, and searches between their batches: a few hundred
#     small shapes are seconds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
import numpy as np

programs = []


def count(event, duration, **_):
    if event.endswith("backend_compile_duration"):
        programs.append(duration)


jax.monitoring.register_event_duration_secs_listener(count)
counts = {}
for name, put in (("jnp.asarray", jnp.asarray), ("jax.device_put", jax.device_put)):
    start = len(programs)
    for n in range(1, 21):
        put(np.zeros(n + 100 * len(counts), np.float32))
    counts[name] = len(programs) - start
print("programs for 20 shapes:", counts)
assert counts["jax.device_put"] == 0
assert counts["jnp.asarray"] == 20, "asarray compiles less now"
PYTHON
