import json
import os
import stat

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.serialization.npz import Entry
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


WIDE = {
    "int": 2**40, "uint": np.uint64(2**63), "array": np.array([1, 2**40]), "float": np.float64(1e300),
    "tenth": 0.1, "floats": np.array([0.1, 1.0]), "complex": np.complex128(1e300j),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_numbers_of_64_bits_come_back_or_are_refused_by_name(tmp_path, suffix):
    write, read = (save, load) if suffix == ".npz" else (save_params, load_params)
    path = tmp_path / f"wide{suffix}"
    write(path, WIDE)
    back = read(path, like=WIDE)
    for name, number in WIDE.items():
        assert back[name].dtype == np.asarray(number).dtype
        np.testing.assert_array_equal(back[name], number)
    with jax.enable_x64(True):
        held = read(path, like=WIDE)
        shapes = read(path, like=jax.eval_shape(lambda: jax.tree.map(jnp.asarray, WIDE)))
        for found in (held, shapes):
            assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(found))
            jax.tree.map(np.testing.assert_array_equal, found, WIDE)
    narrow = jax.eval_shape(lambda tree: tree, jax.tree.map(np.zeros_like, WIDE))  # int32, float32, …
    assert narrow["array"].dtype == np.int32
    for name in WIDE.keys() - {"tenth"}:
        write(path, {name: WIDE[name]})
        with pytest.raises(ValueError, match=rf"wide{suffix}: {name} holds .*, which \w+ does not hold"):
            read(path, like={name: narrow[name]})
    write(path, {"few": np.arange(3), "tenth": 0.1, "exact": np.float64(0.25)})
    like = {"few": jnp.zeros(3, int), "tenth": jnp.zeros(()), "exact": np.float32(0)}
    back = read(path, like=like)  # nothing is lost of the first and the last, and Python's 0.1 is float32's
    assert (back["few"].dtype, back["tenth"].dtype, back["exact"].dtype) == (np.int32, np.float32, np.float32)
    assert back["tenth"] == np.float32(0.1)
    with pytest.raises(TypeError, match=r"leaf seed is .*, expected an integer of at most 64 bits"):
        write(path, {"seed": 2**70})


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_parameters_of_64_bits_without_like(tmp_path, suffix):
    path = tmp_path / f"wide{suffix}"
    save_params(path, {"w": np.array([1e300, 0.1]), "n": np.uint64(2**63), "b": np.ones(2, np.float32)})
    back = load_params(path)
    np.testing.assert_array_equal(back["w"], [1e300, 0.1])
    assert back["n"] == 2**63
    assert isinstance(back["b"], jax.Array)
    with jax.enable_x64(True):
        assert isinstance(load_params(path)["w"], jax.Array)


def test_a_file_of_version_0_1_0_is_read(tmp_path, params):
    """Entries as NumPy writes them, and the kinds as a text among them."""
    key = jax.random.key(3, impl="rbg")
    kinds = {"key": "key rbg", "layers_0/bias": "dtype bfloat16", "old": "dtype float8_e4m3fn"}
    arrays = {
        "layers_0/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "rate": np.asarray(0.1),
        "layers_0/bias": np.asarray(params["layers_0"]["bias"]).view(np.uint16), "step": np.asarray(3),
        "key": np.asarray(jax.random.key_data(key)), "old": np.full(2, 0x38, np.uint8),
        "__kinds__": np.asarray(json.dumps(kinds)),
    }  # fmt: skip
    np.savez(tmp_path / "old.npz", **arrays)
    like = {**params, "key": jax.random.key(0, impl="rbg"), "old": jnp.zeros(2, jnp.float8_e4m3fn)}
    for rate, step in ((0.0, 0), (jnp.zeros(()), jnp.zeros((), int))):
        back = load(tmp_path / "old.npz", {**like, "rate": rate, "step": step})
        jax.tree.map(np.testing.assert_array_equal, back["layers_0"], params["layers_0"])
        assert back["layers_0"]["bias"].dtype == jnp.bfloat16
        assert (jax.random.key_data(back["key"]) == jax.random.key_data(key)).all()
        assert back["old"].astype(jnp.float32).tolist() == [1, 1]
        assert back["rate"] == (0.1 if isinstance(rate, float) else np.float32(0.1))
        assert back["step"] == 3
    assert load_params(tmp_path / "old.npz")["layers_0"]["bias"].dtype == jnp.bfloat16
    np.savez_compressed(tmp_path / "other.npz", w=np.ones((20, 3), np.float32))  # another program's
    assert load(tmp_path / "other.npz", {"w": jnp.zeros((20, 3))})["w"].sum() == 60


def test_nothing_is_read_that_does_not_fit(tmp_path, params, monkeypatch):
    """Shapes and dtypes are compared before memory is taken."""
    for suffix in (".npz", ".safetensors"):
        save_params(tmp_path / f"p{suffix}", {"w": jnp.ones(3), "v": jnp.ones((2, 2))})
        monkeypatch.setattr(Entry, "read", None)
        with pytest.raises(ValueError, match=r"w is float32\[3\], expected float32\[4\]"):
            load_params(tmp_path / f"p{suffix}", {"w": jnp.ones(4), "v": jnp.ones((2, 2))})
        monkeypatch.undo()


def test_names_that_cannot_be_a_dict(tmp_path):
    np.savez(tmp_path / "p.npz", **{"a": np.ones(1), "a/b": np.ones(1)})
    with pytest.raises(ValueError, match="a/b is both an array and a dict of arrays"):
        load_params(tmp_path / "p.npz")
    save(tmp_path / "k.npz", {"__kinds__": jnp.ones(2), "kinds": 1, "kinds.json": 2.0})
    assert load_params(tmp_path / "k.npz")["__kinds__"].sum() == 2


def test_the_folder_is_made_and_a_file_in_its_place_is_named(tmp_path, params):
    save(tmp_path / "runs" / "first" / "p.npz", params)
    save_params(tmp_path / "weights" / "p.safetensors", params)
    assert load_params(tmp_path / "weights" / "p.safetensors").keys() == params.keys()
    with pytest.raises(NotADirectoryError, match=r"p.npz' is a file, expected a folder"):
        save(tmp_path / "runs" / "first" / "p.npz" / "q.npz", params)
    with pytest.raises(IsADirectoryError, match=r"first' is a folder, expected the name of a file"):
        save(tmp_path / "runs" / "first", params)


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
    with pytest.raises(ValueError, match=r"p.npz is not an .npz file"):
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
    path = tmp_path / f"p{suffix}"
    save_params(path, params)
    for back in (load_params(path), load_params(path, like=params)):
        jax.tree.map(np.testing.assert_array_equal, back, params)
        assert back["layers_0"]["bias"].dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="layers_0/kernel"):
        load_params(path, like={"layers_0": {"bias": params["layers_0"]["bias"]}})


def test_an_unknown_suffix(tmp_path, params):
    with pytest.raises(ValueError, match=r"'\.pt', expected one of '\.safetensors', '\.npz'"):
        save_params(tmp_path / "p.pt", params)
