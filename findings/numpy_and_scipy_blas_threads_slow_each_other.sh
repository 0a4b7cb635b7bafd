#!/usr/bin/env bash
# Guess: code that factors a matrix with NumPy and goes on with SciPy's LAPACK, in turn, takes as long as the two parts.
# What happens: both wheels bring an OpenBLAS of their own, with a pool of threads each, which wait for the next call
#     spinning. Called in turn, one pool keeps the other from the cores: with matrices of 300 rows on two cores the two
#     calls take several times as long in turn as one after the other, and many times as long as with one thread.
# Versions: NumPy 2.4.6, SciPy 1.17.1 (wheels of PyPI for Linux), two or more cores.
# Whom it matters to: who writes a Gaussian process or a least-squares solver with both (scikit-learn's users too),
#     above all with another process at work. `threadpoolctl.threadpool_limits(1)`, or one of the two libraries alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "numpy==2.4.6" "scipy==1.17.1" "threadpoolctl==3.6.0"
OPENBLAS_NUM_THREADS=2 "$folder/venv/bin/python" - <<'PYTHON'
import statistics
import time

import numpy as np
import threadpoolctl
from scipy.linalg.lapack import dpotri

a = np.random.default_rng(0).normal(size=(300, 300))
a = a @ a.T + 300 * np.eye(300)
lower = np.linalg.cholesky(a)


def factor():
    np.linalg.cholesky(a)


def invert():
    dpotri(lower, lower=1)


def milliseconds(*calls, times=30):
    began = time.perf_counter()
    for _ in range(times):
        for call in calls:
            call()
    return 1e3 * (time.perf_counter() - began) / times


rounds = [(milliseconds(factor) + milliseconds(invert), milliseconds(factor, invert)) for _ in range(15)]
with threadpoolctl.threadpool_limits(1):
    alone = statistics.median(milliseconds(factor, invert) for _ in range(15))
apart, in_turn = (statistics.median(column) for column in zip(*rounds))
print(f"ms: one library after the other {apart:.2f}, in turn {in_turn:.2f}, in turn with one thread {alone:.2f}")
assert in_turn > 1.5 * apart, "pools do not slow each other any more"
assert in_turn > 2 * alone, "two threads in each library are no slower than one any more"
PYTHON
