"""Products of our own algebra, as the compilers of accelerators write them: all of them with all digits.

What a trace asks for (`test_precision.py`) could be lost on the way. So programs are compiled ahead of time,
in a process of their own, and every product is looked up in the compiled text. A user's model is there, too,
to see that the text tells what was not asked for.
"""

import importlib.util
import os
import subprocess
import sys

import pytest

CODE = """
import functools, re, sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import SingleDeviceSharding
import jaxopt_notes as jn
from benchmarks.accelerators import gpu_device
from benchmarks.counts import tpu_device
from jaxopt_notes.optimizers.core.eigenbasis import followed, orthogonalized
from jaxopt_notes.optimizers.core.newton_schulz import COEFFICIENTS, newton_schulz
from jaxopt_notes.optimizers.solvers.trust_region import damped_step
from jaxopt_notes.search.strategies.cma_es import cma_update

N = 128
place = SingleDeviceSharding(gpu_device() if sys.argv[1] == "gpu" else tpu_device("v5e:2x2"))
matrix, vector = (jax.ShapeDtypeStruct((N,) * rank, np.float32) for rank in (2, 1))

def update(optimizer, params, grads):
    return optimizer.update(grads, optimizer.init(params), params, value=jnp.zeros(()), value_fn=jnp.sum,
                            residual_fn=lambda x: jnp.tanh(x) - 0.3)[0]

def generation(y, mean):
    strategy = jn.search.cma_es(4 * N, population=N)
    state = strategy.init(jax.random.key(0), {f"{i:03d}": jn.search.uniform(0.0, 1.0) for i in range(N)})
    return cma_update(state._replace(steps=y, mean=mean)).covariance

programs = {
    "model": (jnp.matmul, matrix, matrix),
    "newton_schulz": (functools.partial(newton_schulz, coefficients=(COEFFICIENTS,) * 3), matrix),
    "followed": (followed, matrix, matrix),
    "orthogonalized": (orthogonalized, matrix),
    "soap": (functools.partial(update, jn.optimizers.soap()), matrix, matrix),
    "muon": (functools.partial(update, jn.optimizers.muon()), matrix, matrix),
    "bfgs": (functools.partial(update, jn.optimizers.bfgs()), vector, vector),
    "levenberg_marquardt": (functools.partial(update, jn.optimizers.levenberg_marquardt()), vector, vector),
    "damped_step": (lambda j, r: damped_step(j, r, jnp.float32(0.1), jnp.ones(N)), matrix, vector),
    "cma_es": (generation, matrix, vector),
}
for name, (function, *shapes) in programs.items():
    placed = [jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place) for x in shapes]
    text = jax.jit(function).lower(*placed).compile().as_text()
    found = re.compile(" (dot|convolution)[(]|__cublas[$](gemm|lt)")
    products = [line for line in text.splitlines() if found.search(line)]
    low = [line for line in products if not re.search("highest,highest|HIGHEST.*HIGHEST", line)]
    print(name, len(products), len(low), low[:1], flush=True)
"""


@pytest.mark.full
@pytest.mark.parametrize("platform", ["tpu", "gpu"])
def test_products_of_our_own_algebra_keep_all_digits_when_compiled(platform: str) -> None:
    package = {"tpu": "libtpu", "gpu": "jax_cuda12_plugin"}[platform]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"compiling for {platform} needs {package}")
    flags = {"tpu": "", "gpu": "--xla_gpu_autotune_level=0"}[platform]
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    run = subprocess.run(
        [sys.executable, "-c", CODE, platform], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stderr[-2000:]
    lines = [line.split(" ", 3) for line in run.stdout.splitlines()]
    found = {name: (int(products), int(low), first) for name, products, low, first in lines}
    products, low, _ = found.pop("model")
    assert products == low == 1  # a model keeps its user's setting
    assert {name: first for name, (_, low, first) in found.items() if low} == {}
    seen = {name for name, (products, _, _) in found.items() if products}
    assert seen >= {"newton_schulz", "followed", "soap", "muon", "cma_es"}  # others are sums, on some devices
