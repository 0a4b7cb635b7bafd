"""Memory, before it runs out: what a population will need, and what there is.

XLA says exactly what a compiled program holds at once on a device: arguments, results and temporaries of
one chunk. Lanes run at the same time, so a CPU host holds that once for each of them, and the results of
all members beside it. What does not fit is said before the start, with the sizes that would.
"""

import os
import re

import jax

from jaxopt_notes.population.layout import Layout


def available(device: jax.Device) -> int | None:
    """Bytes that are free on a device; on CPU those of the host, within its control group's limit.

    `None` where nobody knows.
    """
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        limit = stats.get("bytes_limit")
        return None if limit is None else limit - stats.get("bytes_in_use", 0)
    found = [bytes_ for bytes_ in (_host_memory(), _group_memory()) if bytes_ is not None]
    return min(found) if found else None


def check_memory(
    needed_each: int,
    result_bytes: int,
    layout: Layout,
    free: int | None,
    host_free: int | None,
    calls: int = 1,
) -> tuple[int, int]:
    """Refuse a population that does not fit.

    Arguments:
        needed_each: bytes of one call of the program on one device.
        result_bytes: of all members' results on the host.
        layout: that of the program.
        free, host_free: bytes free on each device and on the host, `None` if unknown. On CPU they are
            the same memory.
        calls: of the program at the same time, on an accelerator.

    Returns:
        The bytes needed on each device (on CPU by all lanes), and on the host.

    Raises:
        MemoryError: it does not fit; the message has the figures and a chunk size that would do.

    Example:
        >>> layout = Layout(share=64, batch=8, devices=(), workers=2)
        >>> check_memory(6 * 2**30, 2**30, layout, free=8 * 2**30, host_free=8 * 2**30)
        Traceback (most recent call last):
        MemoryError: population_map needs about 13 GiB …
    """
    lanes = layout.lanes if layout.on_cpu else calls
    device_bytes = needed_each * lanes
    if layout.on_cpu and host_free is not None and device_bytes + result_bytes > host_free:
        what = f"{lanes} lanes x {size(needed_each)} for {layout.share} members each"
        total, there, room = device_bytes + result_bytes, host_free, (host_free - result_bytes) // lanes
    elif not layout.on_cpu and free is not None and device_bytes > free:
        what = f"{layout.share} members on each device, {calls} x {size(needed_each)}"
        total, there, room = device_bytes, free, free // calls
    elif not layout.on_cpu and host_free is not None and result_bytes > host_free:
        what, total, there, room = "results of all members on the host", result_bytes, host_free, 0
    else:
        return device_bytes, result_bytes
    fits = layout.share * max(room, 0) // max(needed_each, 1)
    remedy = (
        f"chunk_size={fits} (batch_size at most that) would fit"
        if fits >= 1
        else "not even one member at a time fits: let train return less, or train in parts"
    )
    raise MemoryError(
        f"population_map needs about {size(total)} ({what}, {size(result_bytes)} of results), "
        f"{size(there)} are free: {remedy}."
    )


def size(count: float) -> str:
    """Bytes for people.

    Example:
        >>> size(0), size(1536), size(13 * 2**30)
        ('0 B', '1.5 KiB', '13 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} TiB"


def _host_memory() -> int | None:
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", _read("/proc/meminfo"))
        return int(found[1]) * 1024 if found else None
    except OSError:
        names = getattr(os, "sysconf_names", {})
        if "SC_AVPHYS_PAGES" in names and "SC_PAGE_SIZE" in names:
            return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return None


def _group_memory() -> int | None:
    """What a container's limit leaves, Linux control groups version 2."""
    try:
        limit = _read("/sys/fs/cgroup/memory.max").strip()
        if limit == "max":
            return None
        used = int(_read("/sys/fs/cgroup/memory.current"))
        cache = re.search(r"^inactive_file (\d+)", _read("/sys/fs/cgroup/memory.stat"), re.MULTILINE)
        return int(limit) - used + (int(cache[1]) if cache else 0)
    except (OSError, ValueError):
        return None


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()
