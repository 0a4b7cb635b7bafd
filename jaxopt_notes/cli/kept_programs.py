"""Compiled programs are kept on disk, so that the second run of a command has nothing to compile.

The folder is the one that JAX was given (`JAX_COMPILATION_CACHE_DIR`), or else the command line's own, in the
user's cache folder (`XDG_CACHE_HOME`, by default ~/.cache). A program for one processor may have instructions
that another has not, and homes are shared between machines: each kind of processor has a folder of its own.
"""

import hashlib
import os
import pathlib
import platform
import sys
from collections.abc import Mapping

import jax

FOLDER = "jax_compilation_cache_dir"
MOST_BYTES = 2**30  # in the command line's own folder; the oldest programs go first


def keep_programs(wanted: bool = True) -> None:
    """Keep what is compiled from now on, and use what was kept.

    Arguments:
        wanted: False switches it off, also in a folder that JAX was given.

    A folder that cannot be written is no reason to stop: that is said on stderr.
    """
    if not wanted:
        jax.config.update("jax_enable_compilation_cache", False)
        return
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # small ones add up
    if getattr(jax.config, FOLDER):
        return
    folder = own_folder(os.environ)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write_test_{os.getpid()}"
        probe.write_text("")
        probe.unlink()
        prune(folder, MOST_BYTES)
    except OSError as error:
        print(
            f"compiled programs are not kept: {str(folder)!r} cannot be written ({error.strerror}). Set "
            "XDG_CACHE_HOME to a folder that can, or leave this out with --no-cache.",
            file=sys.stderr,
        )
        return
    jax.config.update(FOLDER, str(folder))


def own_folder(environment: Mapping[str, str]) -> pathlib.Path:
    """The command line's own folder on this machine.

    Example:
        >>> own_folder({"XDG_CACHE_HOME": "/tmp/cache"}).parent.as_posix()
        '/tmp/cache/jaxopt-notes/programs'
    """
    home = pathlib.Path(environment.get("XDG_CACHE_HOME") or pathlib.Path("~/.cache").expanduser())
    return home / "jaxopt-notes" / "programs" / processor()


def prune(folder: pathlib.Path, most: int) -> None:
    """Remove the oldest files until no more than `most` bytes are left."""
    files = [path for path in folder.iterdir() if path.is_file()]
    files.sort(key=lambda path: path.stat().st_mtime)
    excess = sum(path.stat().st_size for path in files) - most
    for path in files:
        if excess <= 0:
            break
        excess -= path.stat().st_size
        path.unlink(missing_ok=True)  # another process may prune, too


def processor() -> str:
    """A name for the instructions that this machine's processor has.

    Example:
        >>> len(processor())
        16
    """
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        known = sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))})
    except OSError:
        known = [platform.processor()]
    return hashlib.sha256("\n".join([platform.machine(), *known]).encode()).hexdigest()[:16]
