"""Orbax checkpoints: sharded, in the background, and with no number changed on the way."""

import subprocess
import sys
import textwrap
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.interop import load_orbax, save_orbax
from jaxopt_notes.optimizers import adam

pytest.importorskip("orbax.checkpoint")
pytestmark = pytest.mark.filterwarnings("default")  # orbax's own, which depend on its version


class State(NamedTuple):
    w: object
    moment: object
    none: object
    key: object


TREE = {
    "optimizer": adam(0.1),
    "state": State(
        np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, jnp.bfloat16), None, np.float64(1e300)
    ),
    "numbers": [3, 2**40, True, 0.5, 1e300, 1 + 2j, np.int64(2**40), np.uint64(2**63), np.array([1e300])],
}  # fmt: skip


def tree():
    words = np.arange(12, dtype=np.uint32).reshape(3, 4)
    arrays = {"f8": jnp.ones(2, jnp.float8_e5m2), "i4": jnp.arange(3).astype(jnp.int4), "w": jnp.ones((2, 3))}
    keys = {impl: jax.random.wrap_key_data(words, impl=impl) for impl in ("rbg", "unsafe_rbg")}
    return {**TREE, "arrays": arrays, "keys": keys}


def test_a_tree_comes_back(tmp_path):
    saved = tree()
    finish = save_orbax(tmp_path / "runs" / "step_1", saved, wait=False)
    finish()
    back = load_orbax(tmp_path / "runs" / "step_1", like=saved)
    assert jax.tree.structure(back) == jax.tree.structure(saved)
    for old, new in zip(jax.tree.leaves(saved), jax.tree.leaves(back), strict=True):
        assert isinstance(new, type(old))
        if isinstance(old, jax.Array) and jax.dtypes.issubdtype(old.dtype, jax.dtypes.prng_key):
            assert new.dtype == old.dtype
            old, new = jax.random.key_data(old), jax.random.key_data(new)
        assert np.asarray(new).dtype == np.asarray(old).dtype
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))
    with pytest.raises(FileExistsError, match="step_1' exists, expected a new folder"):
        save_orbax(tmp_path / "runs" / "step_1", saved)


def test_what_does_not_fit_is_named(tmp_path):
    key = jax.random.wrap_key_data(np.zeros(4, np.uint32), impl="rbg")
    other = jax.random.wrap_key_data(np.zeros(4, np.uint32), impl="unsafe_rbg")
    path = tmp_path / "saved"
    save_orbax(path, {"w": jnp.full(2, 1e30), "key": key, "n": 3})
    like = {"w": jnp.zeros(2), "key": key, "n": 0}
    for wrong, message in (
        ({**like, "w": jax.ShapeDtypeStruct((2,), jnp.float16)}, r"w is float32\[2\], expected float16\[2\]"),
        ({**like, "w": jax.ShapeDtypeStruct((2,), jnp.int32)}, r"w is float32\[2\], expected int32\[2\]"),
        ({**like, "w": jnp.zeros(3)}, r"w is float32\[2\], expected float32\[3\]"),
        ({**like, "n": 0.5}, r"n is int64\[\], expected float64\[\]"),
        ({**like, "key": other}, r"key is key<rbg>\[\], expected key<urbg>\[\]"),
        ({"w": like["w"], "key": key, "z": 1}, r"missing \['z'\], left over \['n'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            load_orbax(path, wrong)
    with pytest.raises(FileNotFoundError, match="expected the folder of an orbax checkpoint"):
        load_orbax(tmp_path / "none", like)
    for leaf, error, message in (
        (jnp.zeros((0, 2)), ValueError, r"leaf a/0 is float32\[0, 2\], without elements"),
        (jnp.ones(2, jnp.uint4), TypeError, r"leaf a/0 is uint4\[2\], a dtype that orbax cannot store"),
        ("text", TypeError, "leaf a/0 is 'text'"),
    ):
        with pytest.raises(error, match=message):
            save_orbax(tmp_path / "other", {"a": [leaf]})
    assert not (tmp_path / "other").exists()


def test_arrays_go_to_the_sharding_that_is_asked_for(tmp_path):
    code = f"""
        import jax, jax.numpy as jnp, numpy as np
        jax.config.update("jax_num_cpu_devices", 4)
        from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
        from jaxopt_notes.interop import load_orbax, save_orbax
        mesh = Mesh(np.array(jax.devices()), ("x",))
        rows, copies = NamedSharding(mesh, P("x")), NamedSharding(mesh, P())
        x = jax.device_put(jnp.arange(8.0), rows)
        keys = jax.device_put(jax.random.split(jax.random.key(0), 8), rows)
        save_orbax({str(tmp_path / "sharded")!r}, {{"x": x, "keys": keys}})
        for sharding in (rows, copies):
            like = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding),
                                {{"x": x, "keys": keys}})
            back = load_orbax({str(tmp_path / "sharded")!r}, like)
            assert all(array.sharding.is_equivalent_to(sharding, 1) for array in back.values())
            assert (np.asarray(back["x"]) == np.arange(8.0)).all() and (back["keys"] == keys).all()
        print("end")
    """
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert process.stdout == "end\n", process.stderr
    device = jax.devices()[0]  # one device here, where there were four
    like = jax.ShapeDtypeStruct((8,), jnp.float32, sharding=jax.sharding.SingleDeviceSharding(device))
    keys = jax.device_put(jax.random.split(jax.random.key(1), 8), device)
    back = load_orbax(tmp_path / "sharded", {"x": like, "keys": keys})
    np.testing.assert_array_equal(back["x"], np.arange(8.0))
