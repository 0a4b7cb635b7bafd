"""Named leaves in a .safetensors file, the format in which weights are published.

    8 bytes: length n of the header      n bytes: the header, JSON      the arrays' bytes, one after the other

The header gives dtype, shape and place of every array. Dtypes that the format does not have (int4, most
kinds of float8, complex128, typed keys) are stored as bits of one that it has, with a note in the header's
metadata; other programs see those bits. The file is read without trust: each array must lie within it, have
the bytes that its shape takes, and share them with no other.

Source: https://huggingface.co/docs/safetensors (the format, version 0.8).
"""

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from jaxopt_notes.serialization.leaf import NUMBERS, encode, is_extension
from jaxopt_notes.serialization.npz import Entry

_DTYPES = {  # in the order of the format's reference implementation
    "BOOL": "bool", "U8": "uint8", "I8": "int8",
    "F8_E5M2": "float8_e5m2", "F8_E4M3": "float8_e4m3fn", "F8_E8M0": "float8_e8m0fnu",
    "I16": "int16", "U16": "uint16", "F16": "float16", "BF16": "bfloat16",
    "I32": "int32", "U32": "uint32", "F32": "float32", "C64": "complex64",
    "F64": "float64", "I64": "int64", "U64": "uint64",
}  # fmt: skip
_TAGS = {dtype: tag for tag, dtype in _DTYPES.items()}
_NOTE = "jaxopt_notes.kinds"  # in the metadata: JSON, name → kind
_PAIRS = "pairs"  # the kind of complex128: two of float64 along a last axis
_LONGEST_HEADER = 100_000_000  # bytes, as in the reference implementation


def write(file: BinaryIO, leaves: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write named leaves.

    Arguments:
        file: open for writing.
        leaves: what `leaf.encode` takes, by name.
        metadata: texts by name, for the header.

    Raises:
        TypeError: a leaf that cannot be written, metadata that are no texts.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> write(file, {"bias": np.zeros(2, np.float32)})
        >>> file.getvalue()[8:64]
        b'{"bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
    """
    texts = dict(metadata or {})
    for key, text in texts.items():
        if not (isinstance(key, str) and isinstance(text, str)) or key == _NOTE:
            raise TypeError(
                f"metadata has {key!r}: {text!r}, expected texts, under another name than {_NOTE!r}."
            )
    header: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    kinds: dict[str, str] = {}
    for name, leaf in leaves.items():
        if name == "__metadata__":
            raise ValueError("a leaf is named '__metadata__', which the format reserves: rename it.")
        array, kind = encode(name, leaf)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        detail = kind.partition(" ")[2]
        if array.dtype == np.complex128:
            array, kind = np.stack([array.real, array.imag], axis=-1), _PAIRS
        tag = _TAGS.get(detail) or _TAGS.get(array.dtype.name)
        if tag is None:
            raise TypeError(
                f"leaf {name} is {array.dtype}, which .safetensors cannot hold: use .npz, or another dtype."
            )
        if kind in NUMBERS or kind == _PAIRS or (detail and detail not in _TAGS):
            kinds[name] = kind
        header[name] = {"dtype": tag, "shape": list(array.shape)}
        arrays[name] = array
    # Wide dtypes first, so that each array is aligned; the reference implementation writes the same bytes.
    rank = list(_DTYPES).index
    order = sorted(arrays, key=lambda name: (-rank(header[name]["dtype"]), name))
    place = 0
    for name in order:
        header[name]["data_offsets"] = [place, place := place + arrays[name].nbytes]
    texts |= {_NOTE: json.dumps(kinds)} if kinds else {}
    first = {"__metadata__": texts} if texts else {}
    content = json.dumps({**first, **{name: header[name] for name in order}}, separators=(",", ":")).encode()
    content += b" " * (-len(content) % 8)
    file.write(len(content).to_bytes(8, "little") + content)
    for name in order:
        file.write(arrays[name].tobytes())


def read_metadata(path: str | os.PathLike) -> dict[str, str]:
    """The texts in the header of a file, but for our own note; no array is read.

    Raises:
        FileNotFoundError: there is no such file. ValueError: it is no such file, or was damaged.
    """
    with open(path, "rb") as file:
        header, _ = _header(file, file.seek(0, os.SEEK_END), str(path))
    metadata = header.get("__metadata__", {})
    if not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError(
            f"{path}: the header's metadata are not one text for each name. The file is damaged."
        )
    return {name: text for name, text in metadata.items() if name != _NOTE}


@contextlib.contextmanager
def reading(path: str | os.PathLike) -> Iterator[dict[str, Entry]]:
    """The entries of a file, to be read while the context lasts.

    Raises:
        FileNotFoundError: there is no such file. ValueError: it is no such file, or was damaged.
    """
    with open(path, "rb") as file:
        length = file.seek(0, os.SEEK_END)
        header, start = _header(file, length, str(path))
        metadata = header.pop("__metadata__", {})
        try:
            kinds = json.loads(metadata.get(_NOTE, "{}"))
            kinds = {str(name): str(kind) for name, kind in kinds.items()}
        except (ValueError, AttributeError, TypeError):
            raise ValueError(f"{path}: the header's metadata cannot be read. The file is damaged.") from None
        entries: dict[str, Entry] = {}
        end, before = 0, ""
        for name, (dtype, shape, (first, last)) in sorted(
            ((name, _described(path, name, about)) for name, about in header.items()), key=_place
        ):
            size = math.prod(shape) * dtype.itemsize
            if last - first != size:
                raise ValueError(
                    f"{path}: leaf {name} is {dtype}{list(shape)}, which takes {size} bytes, and has "
                    f"{last - first}. The file is damaged."
                )
            if first != end:
                wrong = f"overlaps {before}" if first < end else "does not begin where the one before it ends"
                raise ValueError(f"{path}: leaf {name} {wrong}. The file is damaged.")
            if start + last > length:
                raise ValueError(f"{path}: leaf {name} goes on beyond the end of the file. It was cut off.")
            end, before = last, name
            entries[name] = _entry(file, name, start + first, dtype, shape, kinds.get(name, ""))
        if start + end != length:
            raise ValueError(f"{path} has {length - start - end} bytes behind the last array. It is damaged.")
        yield {name: entries[name] for name in header}


def _header(file: BinaryIO, length: int, label: str) -> tuple[dict[str, Any], int]:
    """The header, and where the arrays begin."""
    file.seek(0)
    size = int.from_bytes(file.read(8), "little")
    if length < 8 or not 2 <= size <= min(length - 8, _LONGEST_HEADER):
        raise ValueError(f"{label} is no .safetensors file, or was cut off: its header is not in it.")
    try:
        header = json.loads(file.read(size), object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{label} is no .safetensors file: its header cannot be read: {error}.") from error
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise ValueError(f"{label} is no .safetensors file: its header is no dictionary.")
    return header, 8 + size


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _described(path: Any, name: str, about: Any) -> tuple[np.dtype, tuple[int, ...], tuple[int, int]]:
    """Dtype, shape and place of an array, if they are what they should be."""
    try:
        tag, shape, (first, last) = about["dtype"], tuple(about["shape"]), about["data_offsets"]
        numbers = (*shape, first, last)
        sound = isinstance(tag, str) and all(type(n) is int and n >= 0 for n in numbers)
        sound = sound and len(shape) <= 64 and math.prod(n or 1 for n in shape) < 2**59  # NumPy's limits
    except (LookupError, TypeError, ValueError):
        sound = False
    if not sound:
        raise ValueError(f"{path}: leaf {name} has no dtype, shape and place in the header. It is damaged.")
    if tag not in _DTYPES:
        raise ValueError(f"{path}: leaf {name} is {tag}, expected one of {', '.join(_DTYPES)}.")
    return np.dtype(_DTYPES[tag]), shape, (first, last)


def _place(described: tuple) -> tuple[int, int]:
    return described[1][2]


def _entry(
    file: BinaryIO, name: str, start: int, dtype: np.dtype, shape: tuple[int, ...], kind: str
) -> Entry:
    def read() -> np.ndarray:
        file.seek(start)
        little = dtype if is_extension(dtype) else dtype.newbyteorder("<")
        content = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
        if file.readinto(content) < content.size:  # type: ignore[attr-defined]
            raise ValueError(f"leaf {name} goes on beyond the end of the file, which has become shorter.")
        array = content.view(little).reshape(shape)
        return array.view(np.complex128)[..., 0] if kind == _PAIRS else array

    if kind == _PAIRS:
        if dtype != np.float64 or shape[-1:] != (2,):
            raise ValueError(f"leaf {name} is {dtype}{list(shape)}, expected pairs of float64.")
        return Entry(shape[:-1], np.dtype(np.complex128), "numpy", read)
    return Entry(shape, dtype, kind or "numpy", read)
