"""The strictest JAX there is: no implicit dtype or rank promotion, and warnings are errors."""

import functools
import itertools
import os
import pathlib

import jax
import jax.stages
import pytest

QUICK = jax.__version_info__ < (0, 11) and "XLA_FLAGS" not in os.environ
if QUICK:
    # The code generator of jax 0.10 takes twice as long as its predecessor for thousands of small programs.
    # XLA reads the flag once; other processes (notebooks, command lines) generate code as users' do.
    os.environ["XLA_FLAGS"] = "--xla_cpu_use_fusion_emitters=false"
    jax.devices()
    del os.environ["XLA_FLAGS"]

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(__file__).parent.parent / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

ran = itertools.count(1)


def pytest_runtest_teardown():
    """Thousands of compiled programs are gigabytes: let them go from time to time."""
    if next(ran) % 200 == 0:
        jax.clear_caches()


@pytest.fixture
def compiled_as_for_users(monkeypatch):
    """What is compiled explicitly has the code that users' programs have: for tests that read it."""
    if QUICK:
        options = {"xla_cpu_use_fusion_emitters": True}
        compile_ = functools.partialmethod(jax.stages.Lowered.compile, compiler_options=options)
        monkeypatch.setattr(jax.stages.Lowered, "compile", compile_)


@pytest.fixture
def x64():
    """Run a test in float64, as the goldens do."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def key():
    return jax.random.key(0)
