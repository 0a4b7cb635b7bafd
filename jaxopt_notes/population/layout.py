"""How members are laid out: in groups that are vectorized, chunks of groups, and lanes that take chunks.

A *lane* is what works on its own: a core of a CPU host, or a device. A *group* is a few members in one
vectorized step. Groups are fixed by the number of members alone: group g holds members g·batch, …, whoever
runs it and when. So a member has the same neighbours, and the same bits, whatever chunks, lanes or hosts
there are, and after a resume. A program has room for a *share* of members on each device; how many groups of
it are in use is data, so one program serves chunks of any length and nothing is spent on padding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh


def mesh_of(devices: Sequence[jax.Device]) -> Mesh:
    """Devices as the mesh that members are spread over; `jax.set_mesh` of it hides the caller's own."""
    return Mesh(np.array(devices), ("members",), axis_types=(AxisType.Auto,))


def accepted(x: jax.Array) -> jax.Array | np.ndarray:
    """An array as compiled programs take it.

    jax 0.10 refuses numbers of less than a byte that are on a device already, and takes them from the host.
    """
    if not isinstance(x.dtype, np.dtype) or x.dtype.kind != "V":  # a key, or what NumPy has itself
        return x
    limits = jnp.iinfo if jnp.issubdtype(x.dtype, jnp.integer) else jnp.finfo
    return np.asarray(x) if limits(x.dtype).bits < 8 else x


class Layout(NamedTuple):
    """What a compiled program has room for, and who calls it.

    Arguments:
        share: members on one device in one call at most, a multiple of `batch`.
        batch: members vectorized together.
        devices: JAX devices that a call is spread over.
        workers: threads that call.
    """

    share: int
    batch: int
    devices: tuple
    workers: int

    @property
    def on_cpu(self) -> bool:
        """Whether the devices are those of a CPU host."""
        return all(device.platform == "cpu" for device in self.devices)

    @property
    def lanes(self) -> int:
        """What works at the same time."""
        return max(self.workers, len(self.devices))


def arrange(members: int, lanes: int, chunk_size: int, batch_size: int) -> tuple[int, int]:
    """How many members one lane takes at a time, and how many of them are vectorized together.

    Few members are spread over all lanes; many go in rounds that fill them. The share is a multiple of
    the batch.

    Example:
        >>> arrange(256, 2, 32, 8), arrange(6, 2, 32, 8), arrange(96, 2, 32, 8)
        ((32, 8), (3, 3), (24, 8))
    """
    batch = min(batch_size, chunk_size, -(-members // lanes))
    groups = -(-members // batch)
    rounds = -(-groups // (chunk_size // batch * lanes))
    return batch * -(-groups // (rounds * lanes)), batch


def deal(groups: Sequence[int] | np.ndarray, layout: Layout) -> list[np.ndarray]:
    """Groups dealt into chunks: as few rounds as the program's room allows, all lanes busy in each.

    Chunks differ by one group at most, so that no lane waits long for another at the end.

    Example:
        >>> layout = Layout(share=24, batch=8, devices=("cpu",), workers=2)
        >>> [chunk.tolist() for chunk in deal(range(10), layout)]
        [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9]]
    """
    todo = np.asarray(groups, int)
    if not len(todo):
        return []
    callers = -(-layout.lanes // len(layout.devices))  # one call serves all devices
    room = layout.share // layout.batch * len(layout.devices)
    rounds = -(-len(todo) // (room * callers))
    return np.array_split(todo, min(rounds * callers, len(todo)))


class Slots(NamedTuple):
    """A chunk's place in a program: the member in each slot, which slots count, groups on each device."""

    member: np.ndarray
    counts: np.ndarray
    groups: np.ndarray

    @property
    def are_full(self) -> bool:
        """Whether every slot counts."""
        return bool(self.counts.all())

    def rows(self, array: np.ndarray) -> np.ndarray:
        """The rows of the members: a view of them where every slot counts and they follow one another."""
        return array[following(self.member)] if self.are_full else array[self.member]

    def results(self, leaf: np.ndarray) -> np.ndarray:
        """The results of the members, without those of slots that do not count."""
        return leaf if self.are_full else leaf[self.counts]


def following(index: np.ndarray) -> slice | np.ndarray:
    """Ascending numbers as a slice if none is left out between them, else as they are.

    Example:
        >>> following(np.array([3, 4, 5])), following(np.array([3, 5]))
        (slice(3, 6, None), array([3, 5]))
    """
    first, last = int(index[0]), int(index[-1])
    return slice(first, last + 1) if last - first + 1 == len(index) else index


def slots(groups: np.ndarray, members: int, layout: Layout) -> Slots:
    """The slots [devices · share] of some groups, spread evenly over the devices.

    Slots beyond the last member hold copies of it; unused ones hold member 0 and are not computed.
    """
    devices, room = len(layout.devices), layout.share // layout.batch
    per = -(-len(groups) // devices)
    member = np.zeros((devices, room, layout.batch), int)
    counts = np.zeros((devices, room, layout.batch), bool)
    used = np.zeros(devices, np.int32)
    for d in range(devices):
        mine = groups[d * per : (d + 1) * per]
        rows = mine[:, None] * layout.batch + np.arange(layout.batch)
        member[d, : len(mine)] = np.minimum(rows, members - 1)
        counts[d, : len(mine)] = rows < members
        used[d] = len(mine)
    return Slots(member.reshape(-1), counts.reshape(-1), used)


def default_chunk(footprint: int) -> int:
    """The chunk size that was measured to be good on a CPU core: larger ones leave the cache.

    A call costs the host a tenth of a millisecond, so members that work on little are more in a call.

    Example:
        >>> default_chunk(370_000), default_chunk(8_000), default_chunk(100)
        (32, 131, 1024)
    """
    return max(32, min(1024, 2**20 // max(footprint, 1)))


def default_batch(footprint: int, members: int = 8) -> int:
    """Members vectorized together on a CPU core: a power of two that works on 1.5 MB, at most 8.

    Members that work on little cost what an operation costs to begin, so up to 64 of many, which work on
    200 kB, are vectorized together.

    Arguments:
        footprint: the bytes that a member works on at a time.
        members: how many each core has.

    Example:
        >>> default_batch(14_000), default_batch(370_000), default_batch(1_500_000)
        (8, 4, 1)
        >>> default_batch(400, members=100), default_batch(400, members=1000)
        (8, 64)
    """
    most = max(8, min(64, members // 8, 200_000 // max(footprint, 1)))
    return 1 << max(0, min(most, 1_500_000 // max(footprint, 1)).bit_length() - 1)
