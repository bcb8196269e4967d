"""What all parts of the reader share: the source, its geometry, and where Problems go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sidelight.blocks.metadata_cache import MetadataCache
from sidelight.filesystems.crc32c import advance, all_are, crc32c_pieces
from sidelight.filesystems.mode_samples import ModeSamples, samples_of
from sidelight.filesystems.protocol import PROGRAM_BYTES
from sidelight.filesystems.xfs import layout
from sidelight.filesystems.xfs.layout import BASIC_BLOCK
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    import numpy.typing as npt

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.xfs.extents import Remap
    from sidelight.filesystems.xfs.superblock import XfsSuperblock

    Bytes = npt.NDArray[np.uint8]

_DATA = (
    layout.DIR_BLOCK_MAGIC_V4,
    layout.DIR_DATA_MAGIC_V4,
    layout.DIR_BLOCK_MAGIC_V5,
    layout.DIR_DATA_MAGIC_V5,
)
_TREE = tuple(
    int.from_bytes(magic, "big") for magic in (layout.BMBT_MAGIC_V4, layout.BMBT_MAGIC_V5)
)
# A hostile image has a fault in every inode: name so many, then say that there are more.
PROBLEM_CAP = 2000


class XfsVolume:
    """A source with XFS on it. `replayed` holds the basic blocks that log recovery put in place."""

    def __init__(
        self,
        source: BlockSource,
        superblock: XfsSuperblock,
        where: str,
        problems: list[Problem],
        replayed: Container[int] = (),
    ) -> None:
        self.source = source
        self.superblock = superblock
        self.where = where
        self.problems = problems
        self.replayed = replayed
        # By inode: changes of its map that the log promises (see extents.remap).
        self.remaps: dict[int, list[Remap]] = {}
        # Inodes whose extent trees still carry another owner's number (an interrupted swap).
        self.adopted: set[int] = set()
        self._seen: set[Problem] = set()
        self._start_harvest()

    def _start_harvest(self) -> None:
        size = self.superblock.inode_size
        self._harvest = MetadataCache(self.source, lambda _, data: self._scan(data), self._sample)
        self._mode_samples = ModeSamples(self._harvest, size, self._sample)

    @property
    def harvest(self) -> MetadataCache:
        """Gathers from the source, as log recovery left it."""
        if self._harvest.source is not self.source:
            self._start_harvest()
        return self._harvest

    @property
    def mode_samples(self) -> ModeSamples:
        """The types of inodes by their modes, as log recovery left them."""
        if self._harvest.source is not self.source:
            self._start_harvest()
        return self._mode_samples

    def _sample(self, data: bytes) -> bytes:
        """What ModeSamples keeps of inodes' bytes: a byte for each whole one."""
        size = self.superblock.inode_size
        rows = np.frombuffer(data, np.uint8, len(data) // size * size).reshape(-1, size)
        modes = column(rows, layout.DI_MODE, ">u2").astype(np.uint16)
        return samples_of(modes, column(rows, layout.DI_SIZE, ">u8") >= PROGRAM_BYTES)

    def _scan(self, data: bytes) -> Iterator[tuple[int, int]]:
        """(place in `data`, length) of directories' inodes and blocks: a guess that saves calls.

        By magic numbers alone; `data` lies at a multiple of a block's size.
        """
        sb = self.superblock
        inode, size, block = sb.inode_size, sb.dir_block_size, sb.block_size
        rows = np.frombuffer(data, ">u2", len(data) // inode * inode // 2).reshape(-1, inode // 2)
        found = (rows[:, 0] == layout.INODE_MAGIC) & (rows[:, 1] & 0xF000 == 0x4000)
        yield from ((row * inode, inode) for row in np.flatnonzero(found).tolist())
        words = np.frombuffer(data, ">u4", len(data) // block * block // 4)
        heads = words.reshape(-1, block // 4)[:, 0]
        yield from ((row * block, size) for row in np.flatnonzero(np.isin(heads, _DATA)).tolist())
        yield from ((row * block, block) for row in np.flatnonzero(np.isin(heads, _TREE)).tolist())

    def problem(self, where: str, what: str) -> None:
        """Note a fault, once; `where` within the filesystem: "inode 12"."""
        found = Problem(f"{self.where}: {where}", what)
        if found in self._seen or len(self._seen) > PROBLEM_CAP:
            return
        self._seen.add(found)
        if len(self._seen) > PROBLEM_CAP:
            found = Problem(self.where, f"more than {PROBLEM_CAP} faults; the rest are not listed")
        self.problems.append(found)

    def bad_checksums(
        self, data: bytes, array: Bytes, field: int, offsets: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Which rows have a wrong CRC at byte `field`; `offsets` are where the rows lie, in bytes.

        `data` is the bytes of `array`.

        A row that log recovery touched is not judged: its bytes come out of records whose own CRCs
        were right, and its CRC field is the one from before.
        """
        stored = column(array, field, "<u4")
        # The field counts as zeros: what its bytes add is taken away again.
        size = array.shape[1]
        words = stored.astype(np.uint32, copy=False)
        right = words ^ advance(words, size - field) ^ np.uint32(0xFFFFFFFF)
        if all_are(data, size, right):
            return np.zeros(len(array), np.bool_)
        bad: npt.NDArray[np.bool_] = crc32c_pieces(data, range(0, len(data), size), size) != right
        if self.replayed:
            for row in np.flatnonzero(bad).tolist():
                bad[row] = not self.was_replayed(int(offsets[row]), array.shape[1])
        return bad

    def was_replayed(self, offset: int, length: int) -> bool:
        """Whether log recovery wrote any of these bytes."""
        blocks = range(offset // BASIC_BLOCK, (offset + length - 1) // BASIC_BLOCK + 1)
        return any(block in self.replayed for block in blocks)


def column(array: Bytes, offset: int, kind: str) -> npt.NDArray[np.int64 | np.uint32 | np.uint64]:
    """One field of every row, of numpy type `kind` (">u8"), in this machine's byte order.

    It lies at byte `offset`, a multiple of its size; the rows are contiguous.
    """
    stored = np.dtype(kind)
    fields = array.view(stored)[:, offset // stored.itemsize]
    return fields.astype(stored.newbyteorder("="))


def same_uuid(array: Bytes, offset: int, uuid: bytes) -> npt.NDArray[np.bool_]:
    """Which rows have this UUID at byte `offset`, a multiple of 8."""
    words = array.view(np.uint64)[:, offset // 8 : offset // 8 + 2]
    first, second = np.frombuffer(uuid, np.uint64)
    same: npt.NDArray[np.bool_] = (words[:, 0] == first) & (words[:, 1] == second)
    return same
