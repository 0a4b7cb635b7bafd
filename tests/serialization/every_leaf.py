"""A tree of leaves of every dtype, layout and origin, and every way to write it to a file and read it."""

import contextlib
import io
import sys

import jax
import ml_dtypes
import numpy as np

from jaxopt_notes.population.packing import pack, unpack
from jaxopt_notes.population.store import Store
from jaxopt_notes.training.checkpoint import load, load_params, save, save_params

PLAIN = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip
EXTENSIONS = sorted(
    name for name in vars(ml_dtypes) if name[0] != "_" and isinstance(getattr(ml_dtypes, name), type)
    and issubclass(getattr(ml_dtypes, name), np.generic)
)  # fmt: skip
WITHOUT_BUFFERS = {"int1", "uint1", "float6_e2m3fn", "float6_e3m2fn", "complex32", "bcomplex32"}  # of XLA


def values(dtype: str) -> np.ndarray:
    """Twelve numbers of a dtype, the extremes among them, [3, 4]."""
    kind = np.dtype(dtype).kind
    if kind in "iu":
        limits = np.iinfo(dtype)
        numbers = np.array([limits.min, limits.max, 0, 1, limits.max - 1, limits.max // 3], dtype)
        return np.tile(numbers, 2).reshape(3, 4)
    wide = np.linspace(-2, 3, 12).reshape(3, 4)
    if dtype in ("complex64", "complex128"):
        return (wide + 1j * wide[::-1]).astype(dtype)
    array = wide.astype(dtype)
    if kind == "f" and dtype != "float8_e5m2":
        array[0, :3] = np.finfo(dtype).max, np.finfo(dtype).tiny, np.nan
        array[1, :2] = -np.inf, 1 / 3
    return array


def every_leaf() -> dict:
    """The tree; with 64 bits without x64, so wherever it is read back nothing was narrowed."""
    tree: dict = {}
    for dtype in (*PLAIN, *EXTENSIONS):
        array = values(dtype)
        numpy = {
            "whole": array, "transposed": array.T, "fortran": np.asfortranarray(array),
            "strided": array[::2, ::3], "reversed": array[::-1], "scalar_array": array[1, 2:3].reshape(()),
            "scalar": array[1, 2], "empty": array[:0], "length_one": array[:1, :1],
        }  # fmt: skip
        if dtype in PLAIN and array.dtype.itemsize > 1:
            numpy["big_endian"] = array.astype(array.dtype.newbyteorder(">"))
        tree[dtype] = {"numpy": numpy}
        if dtype not in WITHOUT_BUFFERS:
            with jax.enable_x64(True):
                names = ("whole", "scalar_array", "empty")
                tree[dtype]["jax"] = {name: jax.device_put(numpy[name]) for name in names}
    tree["keys"] = {}
    for impl, words in {"threefry2x32": 2, "rbg": 4, "unsafe_rbg": 4}.items():
        data = np.arange(6 * words, dtype=np.uint32).reshape(2, 3, words)
        tree["keys"][impl] = [
            jax.random.wrap_key_data(part, impl=impl) for part in (data, data[0, 0], data[:0])
        ]
    tree["python"] = [2**40, -(2**63), 2**64 - 1, 3, True, 0.1, 1e300, float("nan"), 0.1 + 1e300j]
    return tree


def assert_same(old, new, where: str, *, origin: bool) -> None:
    """The same dtype, shape and bits; `origin`: also of JAX, of NumPy or a number of Python as it was."""
    if origin:
        assert isinstance(new, type(old)), where
    if hasattr(old, "dtype") and jax.dtypes.issubdtype(old.dtype, jax.dtypes.prng_key):
        assert new.dtype == old.dtype, where
        old, new = jax.random.key_data(old), jax.random.key_data(new)
    if isinstance(old, jax.Array):
        assert isinstance(new, jax.Array), where
    old, new = np.asarray(old), np.asarray(new)
    if not origin:
        old, new = (array.astype(array.dtype.newbyteorder("=")) for array in (old, new))
    assert (old.dtype, old.shape) == (new.dtype, new.shape), where
    assert old.tobytes() == new.tobytes(), where


def write(folder) -> None:
    tree = every_leaf()
    save(f"{folder}/tree.npz", tree)
    save_params(f"{folder}/params.npz", tree)
    save_params(f"{folder}/params.safetensors", tree)
    with Store(folder, {}) as store:
        leaves, _ = jax.tree.flatten(tree)
        store.write("leaves", {f"{i:05d}": leaf for i, leaf in enumerate(leaves)})
        store.write("packed", pack(tree))


def check(folder, times: int) -> None:
    """Read every file of a folder so many times."""
    tree = every_leaf()
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(tree)]
    leaves = jax.tree.leaves(tree)
    for _ in range(times):
        for file, read in {
            "tree.npz": load, "params.npz": load_params, "params.safetensors": load_params,
        }.items():  # fmt: skip
            back = read(f"{folder}/{file}", like=tree)
            for name, old, new in zip(names, leaves, jax.tree.leaves(back), strict=True):
                assert_same(old, new, f"{file} {name}", origin=False)
        for file in ("params.npz", "params.safetensors"):
            back = load_params(f"{folder}/{file}")
            for dtype in (*PLAIN, *EXTENSIONS):
                for name, old in tree[dtype]["numpy"].items():
                    assert_same(old, back[dtype]["numpy"][name], f"{file} {dtype} {name}", origin=False)
        with Store(folder, {}) as store:
            for part, found in {
                "leaves": list(store.read("leaves").values()), "packed": unpack(store.read("packed")),
            }.items():  # fmt: skip
                for name, old, new in zip(names, leaves, found, strict=True):
                    assert_same(old, new, f"{part} {name}", origin=True)


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):
        check(sys.argv[1], times=1)
