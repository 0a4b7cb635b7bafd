"""Named leaves in an .npz file, NumPy's zip archive of arrays, read without trust in what it says.

Leaf "layers_0/kernel" is the entry "layers_0/kernel.npy"; the entry "kinds.json" holds what NumPy's format
cannot say (see `leaf`), so `np.load` reads the rest as always. A file may be cut off, damaged or made to do
harm: nothing is unpickled, sizes that headers claim are compared with the bytes that are there before memory
is taken, and every error names the leaf.
"""

import contextlib
import json
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from jaxopt_notes.serialization.leaf import NUMERIC, encode

_KINDS = "kinds.json"  # no leaf has this name: theirs end with .npy
_EARLIER_KINDS = "__kinds__.npy"  # the same as a NumPy text, in files of version 0.1.0
_SUFFIX = ".npy"
_MOST = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}  # bytes that one byte in the file can become


class Entry(NamedTuple):
    """A leaf in a file: its stored shape and dtype, its kind, and how to read it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    kind: str
    read: Callable[[], np.ndarray]


def write(file: BinaryIO, leaves: Mapping[str, Any], plain: str = NUMERIC) -> None:
    """Write named leaves; the same leaves make the same bytes.

    Arguments:
        file: open for writing.
        leaves: what `leaf.encode` takes, by name.
        plain: see `leaf.encode`.

    Raises:
        TypeError: a leaf that cannot be written. ValueError: a name that holds a null character.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> write(file, {"layers_0/bias": np.zeros(3), "count": 2})
        >>> with reading(file) as entries:
        ...     {name: (entry.shape, entry.kind) for name, entry in entries.items()}
        {'layers_0/bias': ((3,), 'numpy'), 'count': ((), 'int')}
    """
    encoded = {name: encode(name, leaf, plain) for name, leaf in leaves.items()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, (array, _) in encoded.items():
            if "\0" in name:
                raise ValueError(f"leaf {name!r} has a null character in its name: rename it.")
            # A ZipInfo has no date of its own, and force_zip64 lets an entry pass 4 GB.
            with archive.open(zipfile.ZipInfo(name + _SUFFIX), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
        kinds = {name: kind for name, (_, kind) in encoded.items()}
        archive.writestr(zipfile.ZipInfo(_KINDS), json.dumps(kinds))


@contextlib.contextmanager
def reading(source: str | os.PathLike | BinaryIO, label: str = "") -> Iterator[dict[str, Entry]]:
    """The entries of an archive, to be read while the context lasts.

    Arguments:
        source: the file, by name or open for reading.
        label: what errors call it.

    Raises:
        FileNotFoundError: there is no such file. ValueError: it is no archive of arrays, or was damaged;
            within the context too, when an entry is read.
    """
    label = label or str(source)
    with contextlib.ExitStack() as stack:
        if isinstance(source, str | os.PathLike):
            file: BinaryIO = stack.enter_context(open(source, "rb"))
        else:
            file = source
        with _naming(label, ""):
            archive = stack.enter_context(zipfile.ZipFile(file))
            parts = _checked(archive, file.seek(0, os.SEEK_END))
            kinds = _kinds(archive, parts)
        entries = {}
        for name in parts:
            with _naming(label, name):
                entries[name.removesuffix(_SUFFIX)] = _entry(archive, parts[name], kinds, label)
        yield entries


def _checked(archive: zipfile.ZipFile, length: int) -> dict[str, zipfile.ZipInfo]:
    """The parts of the archive by name: each once, each within the file, no two in the same place."""
    parts: dict[str, zipfile.ZipInfo] = {}
    end, before = 0, ""
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.filename in parts:
            raise ValueError(f"{info.filename} is there twice")
        if info.header_offset < end:
            raise ValueError(f"{info.filename} overlaps {before}")
        end, before = info.header_offset + info.compress_size, info.filename
        if end > length:
            raise ValueError(f"{info.filename} goes on beyond the end of the file")
        if info.compress_type not in _MOST:
            raise ValueError(f"{info.filename} is compressed in a way that NumPy does not use")
        if info.file_size > _MOST[info.compress_type] * info.compress_size:
            raise ValueError(
                f"{info.filename} cannot be {info.file_size} bytes: {info.compress_size} are there"
            )
        parts[info.filename] = info
    return parts


def _kinds(archive: zipfile.ZipFile, parts: dict[str, zipfile.ZipInfo]) -> dict[str, str]:
    """The kinds by name, and taken from the parts; of an earlier file, in today's words."""
    if _KINDS in parts:
        found = json.loads(archive.read(parts.pop(_KINDS)))
    elif _EARLIER_KINDS in parts:
        with archive.open(parts.pop(_EARLIER_KINDS)) as file:
            found = json.loads(str(np.lib.format.read_array(file, allow_pickle=False)))
        found = {name: kind.replace("dtype ", "numpy ") for name, kind in found.items()}
    else:
        found = {}
    if not isinstance(found, dict) or not all(isinstance(kind, str) for kind in found.values()):
        raise ValueError("its list of kinds is not one text for each name")
    return found


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, kinds: Mapping[str, str], label: str) -> Entry:
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read_header is None:
            raise ValueError(f"NumPy's format {version} is not for numbers")
        shape, _, dtype = read_header(file)
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or min(shape, default=0) < 0:
            raise ValueError(f"it is {dtype}{list(shape)}, expected an array of numbers")
        if file.tell() + size != info.file_size:
            raise ValueError(
                f"{dtype}{list(shape)} takes {size} bytes, and the file has {info.file_size - file.tell()}"
            )

    def read() -> np.ndarray:
        with _naming(label, info.filename), archive.open(info) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    return Entry(shape, dtype, kinds.get(info.filename.removesuffix(_SUFFIX), ""), read)


@contextlib.contextmanager
def _naming(label: str, part: str) -> Iterator[None]:
    """Name the file and the leaf in whatever zipfile, zlib, json or NumPy say of a damaged file."""
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        what = (
            f"{label}: leaf {part.removesuffix(_SUFFIX)} cannot be read"
            if part
            else f"{label} is not an .npz file"
        )
        raise ValueError(
            f"{what}: {error or type(error).__name__}. The file is damaged, or another program's."
        ) from error
