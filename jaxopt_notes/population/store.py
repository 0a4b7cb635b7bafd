"""A folder that holds an unfinished run, so that nothing finished is lost.

Every part is an .npz archive behind a checksum of it, written atomically: it is there whole or not at all,
whenever the process is killed. A part that does not fit its checksum is set aside as "….damaged" and
computed again. `run.json` says what the parts are a function of, and another run is refused. A lock that
ends with its process keeps a second process out.
"""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from jaxopt_notes.serialization import npz
from jaxopt_notes.serialization.atomic import make_folder, replacing
from jaxopt_notes.serialization.leaf import NUMERIC, decode

SUFFIX = ".part"
PLANS = ("asked-", "layout-")  # parts that say what is to be trained: nothing of a run is lost with them
_PLAIN = NUMERIC + "USMm"  # texts and dates may be among the columns


class Store:
    """The parts of one run in a folder.

    Arguments:
        folder: made if it does not exist.
        settings: what the run is a function of, text by name. Those of an earlier run must be the same.
        may_grow: settings, whole numbers, that may be larger than those of the earlier run: it is then gone
            on with. `grown` has them, {name: (before, now)}, until `settle` is called.
        leader: whether this process is the one that writes `run.json` and sets damaged parts aside, and
            holds the lock: of several processes of one run the first.

    Raises:
        BlockingIOError: another process is at work in the folder. NotADirectoryError: it is a file.
        ValueError: it holds another run, of which something is finished.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Store(folder, {"epochs": "3"}) as store:
        ...     store.write("scores", {"loss": np.arange(3.0)})
        ...     store.names(), store.read("scores")["loss"]
        (['scores'], array([0., 1., 2.]))
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        settings: Mapping[str, str],
        leader: bool = True,
        may_grow: Collection[str] = (),
    ):
        self.folder, self._settings = pathlib.Path(folder), dict(settings)
        self.grown: dict[str, tuple[int, int]] = {}
        make_folder(self.folder)
        self._stack = contextlib.ExitStack()
        try:
            if leader:
                self._stack.enter_context(locked(self.folder / "run.lock"))
                self.grown = self._agree(may_grow)
        except BaseException:
            self._stack.close()
            raise
        self.leader = leader

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: Any) -> None:
        self._stack.close()

    def settle(self) -> None:
        """From now on the folder is that of the run with what has grown."""
        if self.grown:
            _write(self.folder / "run.json", self._settings)

    def names(self, prefix: str = "") -> list[str]:
        """The parts whose names begin so, in alphabetical order."""
        found = (path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}"))
        return sorted(name for name in found if name.startswith(prefix))

    def write(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Write a part, whole or not at all: arrays of any dtype, typed keys, numbers, arrays of text."""
        buffer = io.BytesIO()
        npz.write(buffer, arrays, _PLAIN)
        content = buffer.getbuffer()
        with replacing(self._path(name)) as file:
            file.write(_checksum(content))
            file.write(content)

    def read(self, name: str) -> dict[str, Any] | None:
        """What a part holds; `None` if there is none, or if it was damaged, and then it is set aside."""
        path = self._path(name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        head, body = content[:65], content[65:]
        if head != _checksum(body):
            self.set_aside(name)
            return None
        with npz.reading(io.BytesIO(body), str(path)) as entries:
            return {entry: decode(entry, found.read(), found.kind) for entry, found in entries.items()}

    def set_aside(self, name: str) -> None:
        """Rename a part so that it is computed again."""
        path = self._path(name)
        with contextlib.suppress(FileNotFoundError):  # another process of the run was first
            path.replace(path.with_name(path.name + ".damaged"))

    def remove(self, prefix: str) -> None:
        """Remove all parts whose names begin so."""
        for name in self.names(prefix):
            self._path(name).unlink(missing_ok=True)

    def shelf(self, prefix: str, kind: str = "all") -> "Shelf":
        """The parts under a prefix, for one population; those of one kind have one layout."""
        return Shelf(self, prefix, kind)

    def _path(self, name: str) -> pathlib.Path:
        return self.folder / (name + SUFFIX)

    def _agree(self, may_grow: Collection[str]) -> dict[str, tuple[int, int]]:
        """Write the settings, or make sure that they are those of the run in the folder; what has grown."""
        path, settings = self.folder / "run.json", self._settings
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            saved = dict(found["settings"])
        except FileNotFoundError:
            _write(path, settings)
            return {}
        except (ValueError, LookupError, TypeError):
            raise ValueError(
                f"{str(path)!r} is not a record of a run: name another folder for this one; what is in the "
                "folder stays as it is."
            ) from None
        both = [name for name in may_grow if name in saved and name in settings]
        grown = {name: (int(saved[name]), int(settings[name])) for name in both}
        grown = {name: (before, now) for name, (before, now) in grown.items() if now > before}
        if not differences(saved, {**settings, **{name: saved[name] for name in grown}}):
            return grown
        if all(name.startswith(PLANS) for name in self.names()):  # it failed, or was killed, before anything
            self.remove("")
            _write(path, settings)
            return {}
        larger = f" ({', '.join(both)} may be larger than in the folder, not smaller)" if both else ""
        raise ValueError(
            f"{str(self.folder)!r} holds another run; what differs: {differences(saved, settings)}. "
            f"Name another folder for this run; to go on with that one, start it as it was{larger}."
        )


class Shelf:
    """The finished members of one population: the chunks on it, and where to put more.

    A chunk is the numbers of its members and the leaves of their results.
    """

    def __init__(self, store: Store, prefix: str, kind: str):
        self.store, self.prefix, self.kind = store, prefix, kind

    def layout(self) -> tuple[int, int] | None:
        """The share and batch that populations of this kind were begun with, if any was."""
        found = self.store.read(f"layout-{self.kind}")
        return None if found is None else (int(found["share"]), int(found["batch"]))

    def put_layout(self, share: int, batch: int) -> None:
        """Keep the share and batch for all populations of this kind."""
        self.store.write(f"layout-{self.kind}", {"share": share, "batch": batch})

    def put(self, index: np.ndarray, leaves: list[np.ndarray]) -> None:
        """Keep a chunk."""
        arrays = {"index": index, **{f"{i:03d}": leaf for i, leaf in enumerate(leaves)}}
        self.store.write(f"{self.prefix}-{int(index[0]):08d}", arrays)

    def names(self) -> list[str]:
        """The chunks that are there."""
        return self.store.names(self.prefix + "-")

    def get(self, name: str) -> tuple[np.ndarray | None, list[np.ndarray]]:
        """The members and leaves of a chunk; `(None, [])` if it was damaged."""
        arrays = self.store.read(name)
        if arrays is None:
            return None, []
        index = arrays.pop("index")
        return index, [arrays[entry] for entry in sorted(arrays)]


def check_folder(where: str, folder: Any) -> Any:
    """Return `folder` if it is a path, or None.

    Raises:
        TypeError: it is not.
    """
    if folder is None or isinstance(folder, str | os.PathLike):
        return folder
    raise TypeError(f"{where} is {folder!r}, expected a path, or None for no folder.")


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
    """Hold a lock file while inside; the system releases it when the process ends, however it ends.

    Raises:
        BlockingIOError: another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise BlockingIOError(
                f"{str(path.parent)!r} is in use by process {file.read().strip() or '?'}: wait until it has "
                "finished, stop it, or name another folder."
            ) from None
        except OSError as error:  # a network share or a FUSE mount without locks
            warnings.warn(
                f"{str(path.parent)!r} is on a file system without locks ({error.strerror or error}): make "
                "sure that no other process works in the folder at the same time.",
                stacklevel=2,
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _write(path: pathlib.Path, settings: dict[str, str]) -> None:
    with replacing(path) as file:
        file.write((json.dumps({"settings": settings}, indent=2) + "\n").encode())


def differences(saved: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs between two runs, in words.

    Example:
        >>> differences({"epochs": "3", "jax": "0.10"}, {"epochs": "4", "jax": "0.10", "seeds": "2"})
        'epochs was 3 and is 4; seeds was nothing and is 2'
    """
    names = [*saved, *(name for name in now if name not in saved)]
    return "; ".join(
        f"{name} was {saved.get(name, 'nothing')} and is {now.get(name, 'nothing')}"
        for name in names
        if saved.get(name) != now.get(name)
    )


def _checksum(content: bytes | memoryview) -> bytes:
    return hashlib.sha256(content).hexdigest().encode() + b"\n"
