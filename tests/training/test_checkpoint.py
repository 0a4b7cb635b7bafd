import os
import stat

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.training.checkpoint import load, load_params, save, save_params
from jaxopt_notes.training.trainer import Trainer
from tests.training.linear import Linear, regression, squared


@pytest.fixture
def params():
    return {"layers_0": {"kernel": jnp.arange(6.0).reshape(2, 3), "bias": jnp.ones(3, jnp.bfloat16)}}


def test_any_tree_comes_back(tmp_path, params):
    tree = {
        "params": params, "key": jax.random.key(7),
        "keys": jax.random.split(jax.random.key(1, impl="rbg"), 2),
        "tuple": (np.int8(3), 1.5, None, True), "file": jnp.ones(()), "empty": jnp.zeros((0, 2)),
        "complex": jnp.ones(2, jnp.complex64), "optimizer": adam(0.25),
    }  # fmt: skip
    save(tmp_path / "tree.npz", tree)
    back = load(tmp_path / "tree.npz", tree)
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    for old, new in zip(jax.tree.leaves(tree), jax.tree.leaves(back), strict=True):
        assert jnp.result_type(old) == jnp.result_type(new)
        if jnp.issubdtype(new.dtype, jax.dtypes.prng_key):
            old, new = jax.random.key_data(old), jax.random.key_data(new)
        np.testing.assert_array_equal(np.asarray(old, new.dtype), new)
    assert back["optimizer"].learning_rate == 0.25
    assert jax.random.key_impl(back["keys"]) == "rbg"


def test_a_run_resumes_from_disk_bit_for_bit(tmp_path, key):
    data = regression()
    trainer = Trainer(Linear(noise=0.1), adam(0.1), squared, metric=None, batch_size=4)
    whole, _ = trainer.advance(trainer.init(key, data), data, data, epochs=3)
    part, _ = trainer.advance(trainer.init(key, data), data, data, epochs=1)
    save(tmp_path / "run.npz", part)
    part = load(tmp_path / "run.npz", like=jax.eval_shape(trainer.init, key, data))
    part, _ = trainer.advance(part, data, data, epochs=2)
    jax.tree.map(np.testing.assert_array_equal, part._replace(key=0), whole._replace(key=0))


def test_what_does_not_fit_is_named(tmp_path, params):
    path = tmp_path / "p.npz"
    save(path, params)
    with pytest.raises(ValueError, match=r"layers_0/bias is bfloat16\[3\], expected bfloat16\[4\]"):
        load(path, {"layers_0": {**params["layers_0"], "bias": jnp.ones(4, jnp.bfloat16)}})
    with pytest.raises(ValueError, match=r"layers_0/bias is bfloat16\[3\], expected float32\[3\]"):
        load(path, {"layers_0": {**params["layers_0"], "bias": jnp.ones(3)}})
    with pytest.raises(ValueError, match=r"missing \['layers_0/scale'\], left over \['layers_0/bias'\]"):
        load(path, {"layers_0": {"kernel": jnp.zeros((2, 3)), "scale": jnp.zeros(3)}})
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "other.npz", params)
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"p.npz is no .npz file"):
        load(path, params)


def test_what_cannot_be_saved_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"leaf a/b is 'text'"):
        save(tmp_path / "x.npz", {"a": {"b": "text"}})
    with pytest.raises(ValueError, match=r"two leaves are named 'a/b'"):
        save(tmp_path / "x.npz", {"a": {"b": 1.0}, "a/b": 2.0})
    assert os.listdir(tmp_path) == []


def test_an_interrupted_write_leaves_the_old_file(tmp_path, params, monkeypatch):
    path = tmp_path / "p.npz"
    save(path, params)
    before = path.read_bytes()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(path, jax.tree.map(jnp.zeros_like, params))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["p.npz"]


@pytest.mark.skipif(os.name == "nt", reason="no permission bits")
def test_a_checkpoint_can_be_read_by_others(tmp_path, params):
    umask = os.umask(0o022)
    try:
        save(tmp_path / "p.npz", params)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(os.stat(tmp_path / "p.npz").st_mode) == 0o644


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_params_by_suffix(tmp_path, params, suffix):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"p{suffix}"
    save_params(path, params)
    for back in (load_params(path), load_params(path, like=params)):
        jax.tree.map(np.testing.assert_array_equal, back, params)
        assert back["layers_0"]["bias"].dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="layers_0/kernel"):
        load_params(path, like={"layers_0": {"bias": params["layers_0"]["bias"]}})


def test_safetensors_reads_what_we_write(tmp_path, params):
    numpy = pytest.importorskip("safetensors.numpy")
    save_params(tmp_path / "p.safetensors", params)
    np.testing.assert_array_equal(
        numpy.load_file(tmp_path / "p.safetensors")["layers_0/kernel"], np.arange(6.0).reshape(2, 3)
    )
    with pytest.raises(ValueError, match=r"'\.pt', expected one of '\.safetensors', '\.npz'"):
        save_params(tmp_path / "p.pt", params)
