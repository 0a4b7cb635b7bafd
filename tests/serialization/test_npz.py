"""Archives that are damaged or made to do harm: one error that names the leaf, and no memory taken."""

import contextlib
import io
import json
import pickle
import struct
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.training.checkpoint import load, load_params, save

LIKE = {"v": jnp.arange(4.0), "w": jnp.ones((2, 3))}


def archive(parts: dict[str, bytes], **options) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return buffer.getvalue()


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def claiming(shape: tuple, data: bytes = b"", descr: str = "<f4") -> bytes:
    """An .npy file whose header claims a shape."""
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


V = npy(np.arange(4, dtype=np.float32))
BAD = {
    "cut off": (claiming((4,), bytes(12)), r"leaf w .*float32\[4\] takes 16 bytes, and the file has 12"),
    "too long": (claiming((4,), bytes(20)), "leaf w .*takes 16 bytes, and the file has 20"),
    "a huge claim": (claiming((2**40,), bytes(12)), "leaf w .*takes 4398046511104 bytes"),
    "negative": (claiming((-3,)), "leaf w "),
    "objects": (claiming((1,), pickle.dumps([1]), "|O"), "leaf w .*"),
    "no .npy": (b"text", "leaf w "),
    "nothing": (b"", "leaf w "),
    "no header": (b"\x93NUMPY\x01\x00\xff\xff{", "leaf w "),
    "no literal": (claiming((1,), bytes(4), "<f4'+exit()+'"), "leaf w "),
    "another version": (b"\x93NUMPY\x03\x00" + claiming((1,))[8:], "leaf w "),
    "float8_e5m2 of version 0.1.0": (claiming((1,), bytes(1), "<f1"), "leaf w "),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_leaf_is_named(tmp_path, name):
    content, message = BAD[name]
    path = tmp_path / "p.npz"
    path.write_bytes(archive({"v.npy": V, "w.npy": content}))
    for read in (load_params, lambda path: load(path, LIKE)):
        with pytest.raises(ValueError, match=f"p.npz: {message}"):
            read(path)


def test_a_damaged_archive_is_one_error(tmp_path):
    path = tmp_path / "p.npz"
    save(path, LIKE)
    whole = path.read_bytes()
    for at in range(0, len(whole), 37):  # cut off anywhere
        path.write_bytes(whole[:at])
        with pytest.raises(ValueError, match=r"p\.npz"):
            load(path, LIKE)
    same = 0
    for at in range(0, len(whole), 11):  # one byte changed: an error, or it did not matter
        content = bytearray(whole)
        content[at] ^= 0x55
        path.write_bytes(content)
        with contextlib.suppress(ValueError):
            back = load(path, LIKE)
            np.testing.assert_array_equal(back["w"], LIKE["w"])
            np.testing.assert_array_equal(back["v"], LIKE["v"])
            same += 1
    assert same < len(whole) / 11 / 2


def test_parts_in_the_same_place_and_claims_that_cannot_be(tmp_path):
    path = tmp_path / "p.npz"
    content = archive({"v.npy": V, "w.npy": V})
    directory = content.rindex(b"PK\x01\x02")
    overlapping = bytearray(content)
    overlapping[directory + 42 : directory + 46] = bytes(4)  # w begins where v does
    huge = {"v.npy": V, "w.npy": claiming((2**27,), bytes(64))}
    bomb = bytearray(archive(huge, compression=zipfile.ZIP_DEFLATED))
    at = bomb.rindex(b"PK\x01\x02")
    bomb[at + 24 : at + 28] = struct.pack("<I", 2**29 + len(claiming((2**27,))))  # its size unpacked
    twice = archive({"v.npy": V, "w.npy": V}).replace(b"w.npy", b"v.npy")
    for bad, message in {
        bytes(overlapping): "w.npy overlaps v.npy",
        bytes(bomb): "w.npy cannot be 5368",
        twice: "v.npy is there twice",
        archive({"v.npy": V}, compression=zipfile.ZIP_BZIP2): "compressed in a way",
        archive({"v.npy": V, "kinds.json": b"[1]"}): "list of kinds",
        archive({"kinds.json": b"{"}): "not an .npz file",
    }.items():
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=message):
            load_params(path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("jax bfloat16", "which cannot be the dtype noted"), ("numpy object", "cannot be the dtype noted"),
     ("key threefry2x32", "cannot be keys"), ("key nonsense", "cannot be keys")],
)  # fmt: skip
def test_a_kind_that_does_not_fit_its_array(tmp_path, kind, message):
    path = tmp_path / "p.npz"
    path.write_bytes(archive({"v.npy": V, "kinds.json": json.dumps({"v": kind}).encode()}))
    for read in (load_params, lambda path: load(path, {"v": jnp.zeros(4)})):
        with pytest.raises(ValueError, match=rf"p.npz: leaf v .*{message}"):
            read(path)


def test_a_structured_array_is_refused_by_name(tmp_path):
    with pytest.raises(TypeError, match="leaf pair is"):
        save(tmp_path / "p.npz", {"pair": np.zeros(2, [("a", "f4"), ("b", "f4")])})
    assert not list(tmp_path.iterdir())
