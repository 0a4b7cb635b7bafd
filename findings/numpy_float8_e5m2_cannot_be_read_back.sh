#!/usr/bin/env bash
# Guess: what `np.save` and `safetensors.numpy.save` write without complaint, `np.load` and `safetensors.numpy.load` of
#     the same installation read back, or the writer refuses.
# What happens: of the small floating-point types of ml_dtypes (JAX's bfloat16, float8 …), `np.save` stores most as raw
#     bytes without their type (`V1`, `V2`), to be viewed again by who knows it. float8_e5m2 alone says that its
#     descriptor is `<f1`: its file is written whole and `np.load` can never read it. safetensors has names for these types
#     and writes them, but its NumPy loader knows none: KeyError 'BF16', 'F8_E5M2'.
# Versions: numpy 2.4.6, ml_dtypes 0.6.0, safetensors 0.8.0.
# Whom it matters to: everyone who keeps low-precision weights or optimizer states in .npz or .safetensors files. Store the
#     bits (`array.view(np.uint8)`) and the name of the type beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "numpy==2.4.6" "ml_dtypes==0.6.0" "safetensors==0.8.0"
"$folder/venv/bin/python" - <<'PYTHON'
import io

import ml_dtypes
import numpy as np
import safetensors.numpy


def through_npy(array):
    file = io.BytesIO()
    np.save(file, array)
    file.seek(0)
    return np.load(file)


ones = np.ones(3, ml_dtypes.float8_e4m3fn)
read = through_npy(ones)
assert read.dtype == np.dtype("V1") and (read.view(ml_dtypes.float8_e4m3fn) == ones).all()
assert through_npy(np.ones(3, ml_dtypes.bfloat16)).dtype == np.dtype("V2")
assert np.dtype(ml_dtypes.float8_e5m2).str == "<f1"
try:
    through_npy(np.ones(3, ml_dtypes.float8_e5m2))
except ValueError as error:
    assert "<f1" in str(error), error
else:
    raise AssertionError("numpy reads float8_e5m2 by now")

for kind, name in ((ml_dtypes.bfloat16, "BF16"), (ml_dtypes.float8_e5m2, "F8_E5M2")):
    written = safetensors.numpy.save({"x": np.ones(3, kind)})
    try:
        safetensors.numpy.load(written)
    except KeyError as error:
        assert name in str(error), error
    else:
        raise AssertionError(f"safetensors reads {name} by now")
print("as described: written without complaint, not to be read")
PYTHON
