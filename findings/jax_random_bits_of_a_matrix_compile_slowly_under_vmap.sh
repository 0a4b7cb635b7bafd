#!/usr/bin/env bash
# Guess: the shape of a random array makes no difference to how long its program takes to compile: threefry numbers the
#     entries, and a matrix has the numbers of a vector of its length.
# What happens: under `vmap`, on CPU, XLA writes the rounds of the generator out for the axes of the result. `bits` of
#     [64, 10] over 8 keys have many times the LLVM code of those of [640], and take about ten times as long to
#     compile. The numbers are the same, so `bits(key, (640,)).reshape(64, 10)` costs nothing else.
# Versions: jax 0.10.2, CPU.
# Whom it matters to: who initializes many networks under `vmap`: random kernels can be most of what is compiled.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
export JAX_PLATFORMS=cpu
for shape in "(64, 10)" "(640,)"; do
  mkdir "$folder/$shape"
  XLA_FLAGS="--xla_dump_to='$folder/$shape' --xla_dump_hlo_as_text" "$folder/venv/bin/python" - "$shape" <<'PYTHON'
import ast
import sys

import jax

shape = ast.literal_eval(sys.argv[1])
keys = jax.random.split(jax.random.key(0), 8)
jax.jit(jax.vmap(lambda key: jax.random.bits(key, shape))).lower(keys).compile()
PYTHON
done
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import pathlib
import sys

import jax

sizes = {
    shape: sum(path.stat().st_size for path in pathlib.Path(sys.argv[1], shape).glob("*jit__lambda*with-opt.ll"))
    for shape in ("(64, 10)", "(640,)")
}
print("bytes of optimized LLVM text:", sizes)
key = jax.random.key(1)
assert (jax.random.bits(key, (64, 10)) == jax.random.bits(key, (640,)).reshape(64, 10)).all()
assert sizes["(640,)"] > 0
assert sizes["(64, 10)"] > 4 * sizes["(640,)"], "matrices compile as vectors do now"
PYTHON
