"""Files that are there whole or not at all, whenever the process is killed.

A file is written beside its place, flushed to the disk and renamed, and the folder is flushed, so that the
name survives a power failure too. Some file systems (FUSE mounts, some network shares) cannot flush; then a
warning says so and the file is written all the same.
"""

import contextlib
import errno
import os
import pathlib
import uuid
import warnings
from collections.abc import Iterator
from typing import BinaryIO

_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # the bytes are not on the disk, whatever it can do


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A binary file beside `path` that takes its place once it is written whole.

    The folder is made if it does not exist.

    Raises:
        IsADirectoryError: `path` is a folder. NotADirectoryError: one of its parents is a file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(folder + "/new/file") as file:
        ...         _ = file.write(b"content")
        ...     pathlib.Path(folder, "new/file").read_bytes()
        b'content'
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder, expected the name of a file.")
    make_folder(path.parent)
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")  # tempfile's would be private to its owner
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            with _or_warning(path):
                os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):
        with _or_warning(path.parent):
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def make_folder(folder: pathlib.Path) -> None:
    """Make a folder and its parents, where they are missing.

    Raises:
        NotADirectoryError: it, or one of its parents, is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(place for place in (folder, *folder.parents) if place.exists())
        raise NotADirectoryError(
            f"{str(file)!r} is a file, expected a folder or a name that is not taken: "
            "choose another folder, or rename the file."
        ) from None


@contextlib.contextmanager
def _or_warning(path: pathlib.Path) -> Iterator[None]:
    """Flushing, which file systems and permissions may not allow: the file is there all the same."""
    try:
        yield
    except OSError as error:
        if error.errno in _LOST:
            raise
        warnings.warn(
            f"{str(path)!r} cannot be flushed to its disk ({error.strerror or error}): after a power "
            "failure, what was written last may be missing.",
            stacklevel=3,
        )
