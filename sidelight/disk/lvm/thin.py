"""Thin volumes: the pool's B-trees say where each chunk of each volume is."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from sidelight.disk.lvm import thin_layout as layout
from sidelight.errors import DamagedError, NotRecognisedError, OutOfRangeError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidelight.blocks import BlockSource

SECTOR = 512
CACHED_NODES = 2048


@dataclass(frozen=True, slots=True)
class ThinNode:
    """One block of a B-tree: values by ascending keys."""

    leaf: bool
    keys: tuple[int, ...]
    values: tuple[int, ...]


class ThinPool:
    """A pool's metadata and its data. Thin volumes are read through `lookup`."""

    def __init__(self, metadata: BlockSource, data: BlockSource) -> None:
        """Read the superblock. Raises NotRecognisedError, DamagedError, SourceError."""
        self.data = data
        self._metadata = metadata
        self._nodes: OrderedDict[int, ThinNode] = OrderedDict()
        raw = self._block(0)
        fields = layout.SUPERBLOCK.unpack_from(raw)
        crc, flags, _, _, magic, version, _, self.transaction, _ = fields
        if magic != layout.SUPERBLOCK_MAGIC:
            raise NotRecognisedError("no thin-pool metadata", where=metadata.name)
        if layout.checksum(raw, layout.SUPERBLOCK_SEED) != crc:
            raise DamagedError("the thin-pool superblock fails its checksum", where=metadata.name)
        self.needs_check = bool(flags & layout.NEEDS_CHECK)
        self.version = version
        roots = layout.ROOTS.unpack_from(raw, layout.ROOTS_OFFSET)
        self._mappings, _, sectors, metadata_sectors = roots
        self.chunk = sectors * SECTOR
        if (
            not self.chunk
            or self.chunk % layout.CHUNK_UNIT
            or metadata_sectors * SECTOR != layout.BLOCK
        ):
            raise DamagedError(
                f"thin-pool blocks of {sectors} and {metadata_sectors} sectors",
                where=metadata.name,
            )

    def device_root(self, device: int) -> int:
        """The block of the root of one volume's tree. Raises DamagedError where it has none."""
        root = self._find(self._mappings, device)
        if root is None:
            raise DamagedError(f"the pool has no device {device}", where=self._metadata.name)
        return root

    def lookup(self, root: int, chunk: int) -> int | None:
        """Where a chunk of a volume is in the pool's data, in bytes; None: never written."""
        value = self._find(root, chunk)
        return None if value is None else (value >> layout.TIME_BITS) * self.chunk

    def _find(self, root: int, key: int) -> int | None:
        """The value of a key in the tree at block `root`."""
        number = root
        for _ in range(layout.MAX_DEPTH):
            node = self._node(number)
            index = bisect_right(node.keys, key) - 1
            if index < 0:
                return None
            if node.leaf:
                return node.values[index] if node.keys[index] == key else None
            number = node.values[index]
        # A tree that runs in a circle ends here too.
        raise DamagedError(
            f"the tree at block {root} is deeper than {layout.MAX_DEPTH}",
            where=self._metadata.name,
        )

    def _node(self, number: int) -> ThinNode:
        node = self._nodes.get(number)
        if node is None:
            node = self._nodes[number] = self._decode(number)
            if len(self._nodes) > CACHED_NODES:
                self._nodes.popitem(last=False)
        else:
            self._nodes.move_to_end(number)
        return node

    def _decode(self, number: int) -> ThinNode:
        raw = self._block(number)
        crc, flags, own, count, room, size, _ = layout.NODE.unpack_from(raw)
        where = f"{self._metadata.name}: thin-pool block {number}"
        if layout.checksum(raw, layout.NODE_SEED) != crc:
            raise DamagedError("fails its checksum", where=where)
        fits = layout.NODE.size + room * (8 + size) <= layout.BLOCK
        if own != number or size != 8 or count > room or not fits:
            raise DamagedError(f"no node of {count} entries of {size} bytes", where=where)
        keys = struct.unpack_from(f"<{count}Q", raw, layout.NODE.size)
        values = struct.unpack_from(f"<{count}Q", raw, layout.NODE.size + room * 8)
        if any(a >= b for a, b in pairwise(keys)):
            raise DamagedError("the keys are not in order", where=where)
        return ThinNode(flags & layout.LEAF != 0, keys, values)

    def _block(self, number: int) -> bytes:
        if (number + 1) * layout.BLOCK > self._metadata.size:
            raise DamagedError(f"block {number} lies outside", where=self._metadata.name)
        return self._metadata.read_at(number * layout.BLOCK, layout.BLOCK)


class ThinSource:
    """A thin volume. Chunks that were never written come from the external origin, or are zeros.

    Damage of the pool's trees is met where a read needs them: it raises SourceError.
    """

    def __init__(
        self, name: str, size: int, pool: ThinPool, device: int, origin: BlockSource | None = None
    ) -> None:
        """`size` in bytes. Raises DamagedError where the pool has no such device."""
        self.name = name
        self.size = size
        self._pool = pool
        self._origin = origin
        self._root = pool.device_root(device)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the pool's data."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise OutOfRangeError(
                f"{length} bytes at {offset} do not lie within {self.size}", where=self.name
            )
        parts = []
        for target, at, size in self._pieces(offset, length):
            parts.append(bytes(size) if target is None else target.read_at(at, size))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Pass on to the pool's data, and to the origin's."""
        wanted: dict[int, tuple[BlockSource, list[tuple[int, int]]]] = {}
        for offset, length in ranges:
            if not 0 <= offset < self.size or length <= 0:
                continue
            try:
                for target, at, size in self._pieces(offset, min(length, self.size - offset)):
                    if target is not None:
                        wanted.setdefault(id(target), (target, []))[1].append((at, size))
            except SourceError:
                continue  # the read that needs it says so
        for source, places in wanted.values():
            source.prefetch(places)

    def _pieces(self, offset: int, length: int) -> Iterator[tuple[BlockSource | None, int, int]]:
        chunk, end = self._pool.chunk, offset + length
        while offset < end:
            number, within = divmod(offset, chunk)
            take = min(chunk - within, end - offset)
            try:
                place = self._pool.lookup(self._root, number)
            except DamagedError as error:
                raise SourceError(str(error), where=self.name) from error
            if place is not None:
                yield self._pool.data, place + within, take
            elif self._origin is None or offset >= self._origin.size:
                yield None, 0, take
            else:
                inside = min(take, self._origin.size - offset)
                yield self._origin, offset, inside
                if inside < take:
                    yield None, 0, take - inside
            offset += take
