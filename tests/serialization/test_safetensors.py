"""Safetensors against its reference implementation, and files that are damaged or made to do harm."""

import contextlib
import json
import tracemalloc

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from jaxopt_notes.serialization import safetensors
from jaxopt_notes.training.checkpoint import load_metadata, load_params, save_params

PARAMS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3).T, "b": np.asarray(2.0, np.float16),
    "c": np.array([True, False, True]), "d": np.array([], np.int64), "e": np.array([2**63], np.uint64),
    "f": np.array([1.5, 2.5], ml_dtypes.bfloat16), "g": np.ones(3, ml_dtypes.float8_e4m3fn),
    "h": np.full(2, 2, ml_dtypes.float8_e5m2),
}  # fmt: skip


def test_the_reference_implementation_writes_and_reads_the_same(tmp_path):
    reference = pytest.importorskip("safetensors.numpy")
    path, theirs = tmp_path / "p.safetensors", tmp_path / "theirs.safetensors"
    save_params(path, PARAMS)
    reference.save_file({name: np.asarray(array, order="C") for name, array in PARAMS.items()}, theirs)
    assert path.read_bytes() == theirs.read_bytes()
    back = load_params(theirs, like=PARAMS)
    for name, array in PARAMS.items():
        np.testing.assert_array_equal(np.asarray(back[name]), array)
        assert back[name].dtype == array.dtype
    common = {name: PARAMS[name] for name in "abcde"}  # its reader for NumPy knows no float8
    save_params(path, common)
    for name, array in reference.load_file(path).items():
        np.testing.assert_array_equal(array, common[name])


def test_what_the_format_does_not_have_is_bits_to_others(tmp_path):
    reference = pytest.importorskip("safetensors.numpy")
    save_params(tmp_path / "p.safetensors", {"four": jnp.arange(3).astype(jnp.int4), "z": np.array([1 + 2j])})
    found = reference.load_file(tmp_path / "p.safetensors")
    assert found["four"].tolist() == [0, 1, 2]
    assert found["z"].tolist() == [[1.0, 2.0]]
    with pytest.raises(TypeError, match=r"leaf w is float128, which .safetensors cannot hold: use .npz"):
        save_params(tmp_path / "p.safetensors", {"w": np.ones(2, np.longdouble)})
    with pytest.raises(ValueError, match="'__metadata__', which the format reserves"):
        save_params(tmp_path / "p.safetensors", {"__metadata__": np.ones(2)})


def a_file(header, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def about(shape, offsets, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def noted(kind: str) -> bytes:
    """A float32 with a note of its kind."""
    metadata = {"jaxopt_notes.kinds": json.dumps({"w": kind})}
    return a_file({"w": about([1], [0, 4]), "__metadata__": metadata}, bytes(4))


V = {"v": about([1], [0, 4])}
NOTHING = "leaf w has no dtype, shape and place"
DAMAGED = {
    "empty": (b"", "header is not in it"),
    "short": (b"\x01\x02", "header is not in it"),
    "header beyond the end": (a_file({}, length=2**40), "header is not in it"),
    "no JSON": (a_file(b"{nonsense"), "header cannot be read"),
    "deep JSON": (a_file(b"[" * 100_000), "header cannot be read"),
    "no dictionary": (a_file([1, 2]), "no dictionary"),
    "a name twice": (a_file(b'{"w":{"a":1},"w":{"a":2}}'), "there twice"),
    "cut off": (a_file({"w": about([3], [0, 12])}, bytes(8)), "leaf w goes on beyond the end"),
    "too long": (a_file({"w": about([1], [0, 4])}, bytes(8)), "4 bytes behind the last array"),
    "a huge claim": (a_file({"w": about([2**40], [0, 2**42])}, bytes(8)), "leaf w goes on beyond the end"),
    "huge and empty": (a_file({"w": about([2**60, 0], [0, 0])}), NOTHING),
    "another size": (a_file({"w": about([3], [0, 8])}, bytes(8)), r"leaf w is float32\[3\], which takes 12"),
    "overlapping": (
        a_file({"v": about([2], [0, 8]), "w": about([2], [4, 12])}, bytes(12)), "leaf w overlaps v",
    ),
    "a hole": (a_file(V | {"w": about([1], [8, 12])}, bytes(12)), "leaf w does not begin"),
    "negative": (a_file({"w": about([-1], [0, -4])}), NOTHING),
    "no numbers": (a_file({"w": about([1.5], [0, 6])}, bytes(6)), NOTHING),
    "nothing": (a_file({"w": None}), NOTHING),
    "an unknown dtype": (a_file({"w": about([1], [0, 1], "F9")}, bytes(1)), "leaf w is F9, expected one of"),
    "metadata of texts": (a_file({"__metadata__": {"jaxopt_notes.kinds": "[1]"}}), "metadata cannot be read"),
    "metadata of no kind": (noted("jax object"), "leaf w is float32, which cannot be the dtype noted for it"),
    "keys that are none": (noted("key rbg"), "leaf w cannot be keys of 'rbg'"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_one_error_that_names_the_leaf(tmp_path, name):
    content, message = DAMAGED[name]
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    for like in (None, {"w": jnp.zeros(3)}):
        expected = f"w.safetensors.*{message}" if like is None else "w.safetensors"
        with pytest.raises(ValueError, match=expected):
            load_params(path, like=like)


def test_metadata_of_ours_and_of_others(tmp_path):
    reference, torch_like = pytest.importorskip("safetensors"), {"format": "pt", "epoch": "3"}
    path = tmp_path / "p.safetensors"
    save_params(path, {"w": np.zeros(()), "k": jnp.ones(2, jnp.int4)}, torch_like)
    assert load_metadata(path) == torch_like
    assert load_params(path)["k"].dtype == jnp.int4  # our note stands beside them
    with reference.safe_open(path, "numpy") as file:
        assert torch_like.items() <= file.metadata().items()
    assert load_metadata_of(tmp_path, {"w": about([], [0, 4])}, bytes(4)) == {}
    with pytest.raises(
        ValueError, match=r"w.safetensors: the header's metadata are not one text for each name"
    ):
        load_metadata_of(tmp_path, {"__metadata__": {"epoch": 3}})
    with pytest.raises(TypeError, match="metadata has 'epoch': 3, expected texts"):
        save_params(path, {}, {"epoch": 3})
    with pytest.raises(ValueError, match=r"p.npz, expected None: .npz has no room"):
        save_params(tmp_path / "p.npz", {}, torch_like)


def load_metadata_of(folder, header, data=b""):
    (folder / "w.safetensors").write_bytes(a_file(header, data))
    return load_metadata(folder / "w.safetensors")


def test_no_memory_is_taken_on_the_word_of_a_header(tmp_path):
    """Small files claim gigabytes: for the header, for an array, for many arrays in one place."""
    path = tmp_path / "w.safetensors"
    many = {f"w{i}": about([2**28], [0, 2**30]) for i in range(50)}
    claims = [
        a_file({}, length=2**33),
        a_file({"w": about([2**31], [0, 2**33])}, bytes(64)),
        a_file(many, bytes(64)),
    ]
    tracemalloc.start()
    try:
        for content in claims:
            path.write_bytes(content)
            for like in (None, {"w": np.broadcast_to(np.zeros((), np.float32), 2**31)}):
                with pytest.raises(ValueError, match=r"w\.safetensors"):
                    load_params(path, like=like)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("stored", [np.float16, np.float64, np.int32])
def test_another_dtype_or_shape_than_expected_is_named(tmp_path, stored):
    path = tmp_path / "w.safetensors"
    save_params(path, {"a": {"w": np.zeros((2, 3), stored)}})
    found = np.dtype(stored).name if stored is not np.float64 else "float32"  # as JAX holds it without x64
    for like in (np.zeros((2, 3), np.int8), np.zeros((3, 2), stored), np.zeros(6, stored)):
        message = rf"w.safetensors: a/w is {found}\[2, 3\], expected "
        with pytest.raises(ValueError, match=message):
            load_params(path, like={"a": {"w": like}})


def test_a_file_that_is_cut_off_or_changed_anywhere(tmp_path):
    path = tmp_path / "w.safetensors"
    params = {"v": np.arange(4, dtype=np.float32), "w": np.ones((2, 3), np.float32)}
    save_params(path, params)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at])
        with pytest.raises(ValueError, match=r"w\.safetensors"):
            load_params(path)
    size = int.from_bytes(whole[:8], "little")
    for at in range(8 + size):  # the header: an error, or the numbers under another name
        content = bytearray(whole)
        content[at] ^= 0x55
        path.write_bytes(content)
        with contextlib.suppress(ValueError):
            found = load_params(path)
            assert sum(np.size(leaf) for leaf in jax.tree.leaves(found)) == 10
    save_params(path, {"w": np.ones(100_000, np.float32)})  # more than is read at once
    with safetensors.reading(path) as entries:
        path.write_bytes(path.read_bytes()[:-4])  # by another process, between the header and the array
        with pytest.raises(ValueError, match="leaf w goes on beyond the end of the file, which has become"):
            entries["w"].read()
