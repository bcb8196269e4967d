"""The log's head and tail, and whether it was left clean.

After the kernel's rules: the head is where the cycle number drops; records that may have been in
flight together (eight) can be torn or out of order, so the last ones are checked by CRC, and the
first bad one among them is the head. A tail that such writes have overrun moves forward likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sidelight.errors import DamagedError
from sidelight.filesystems.xfs import log_layout as layout
from sidelight.filesystems.xfs.log_records import BLOCK, ONE_RECORD, Record, Ring, TornError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.xfs.superblock import XfsSuperblock

# Blocks that eight records of the largest size may have in flight.
IN_FLIGHT = layout.MAX_BUFFERS * ONE_RECORD
# The active part of a log up to this size is kept in memory between the two passes of recovery.
KEEP = 128 << 20


@dataclass(slots=True)
class Ends:
    """What recovery has to go through: blocks from `tail` to `head`."""

    head: int
    tail: int
    clean: bool


class XfsLog:
    """The internal log of a filesystem: where recovery begins and ends, and what lies between."""

    def __init__(self, source: BlockSource, superblock: XfsSuperblock, where: str) -> None:
        """Raises DamagedError where the superblock's log cannot be."""
        self._ring = Ring(source, superblock, where)
        self._hint = superblock.log_hint
        self._kept: dict[tuple[int, int], list[Record]] = {}

    def find_ends(self) -> Ends:
        """Head and tail. Raises DamagedError where the log makes no sense."""
        head = self._find_head()
        if head == 0 and self._ring.cycle(0) == 0:
            return Ends(0, 0, clean=True)
        record = self._last_header(head, head)
        if record is None:
            raise DamagedError("no record in the log", where=self._ring.where)
        ends = self._ends_at(head, record)
        return ends if ends.clean else self._verify_head(ends)

    def records(self, ends: Ends) -> Iterator[Record]:
        """Records from tail to head, each verified. Raises TornError."""
        key = ends.tail, ends.head
        if key not in self._kept:
            count = (ends.head - ends.tail) % self._ring.blocks
            self._ring.prefetch(ends.tail, count)
            if count * BLOCK > KEEP:
                yield from self._ring.walk(ends.tail, ends.head)
                return
            self._kept[key] = list(self._ring.walk(ends.tail, ends.head))
        yield from self._kept[key]

    # Finding the head -------------------------------------------------------------------------

    def _find_head(self) -> int:
        total = self._ring.blocks
        near = min(self._hint, total - 1)
        self._ring.prefetch_each((0, near, total - 1))
        first, last = self._ring.cycle(0), self._ring.cycle(total - 1)
        if first == 0:
            return 0
        if last == 0:
            head = self._search(0, total - 1, 0)
            if self._unmounted_at(head):
                return head
            scan = min(head, IN_FLIGHT)
            head = self._first_of_cycle(head - scan, scan, 0, head)
            return self._whole_records(head, head - min(head, IN_FLIGHT))
        if first == last:
            head, stop = total, last - 1
        else:
            head, stop = self._search(0, total - 1, last), last
        if self._unmounted_at(head):
            return head % total
        scan = min(total, IN_FLIGHT)
        if head >= scan:
            head = self._first_of_cycle(head - scan, scan, stop, head)
        else:
            # The blocks in flight reach back over the end of the ring.
            ahead = scan - head
            hole = self._first_of_cycle(total - ahead, ahead, stop - 1, -1)
            head = hole if hole >= 0 else self._first_of_cycle(0, head, stop, head)
        return self._whole_records(head, max(0, head - ONE_RECORD)) % total

    def _search(self, low: int, high: int, cycle: int) -> int:
        """The first block of `cycle`, which the upper end has and the lower has not.

        Near where the superblock says that the log stood, mostly: looked for from there on, in
        steps that double, it takes fewer calls than halving alone.
        """
        if low < self._hint < high:
            if self._ring.cycle(self._hint) == cycle:
                high = self._hint
            else:
                low, step = self._hint, ONE_RECORD
                while low + step < high:
                    if self._ring.cycle(low + step) == cycle:
                        high = low + step
                    else:
                        low, step = low + step, step * 2
        while high - low > 1:
            middle = (low + high) // 2
            if self._ring.cycle(middle) == cycle:
                high = middle
            else:
                low = middle
        return high

    def _unmounted_at(self, head: int) -> bool:
        """Whether an unmount record ends here: then nothing was in flight, far to look for."""
        if head < 2:
            return False
        start = max(0, head - ONE_RECORD)
        found = np.flatnonzero(self._ring.words(start, head - start)[:, 0] == layout.HEADER_MAGIC)
        return bool(len(found)) and self._ring.is_unmount(start + int(found[-1]), head)

    def _first_of_cycle(self, start: int, count: int, cycle: int, default: int) -> int:
        """The first block in a range that has this cycle: a hole that a write left."""
        if count <= 0:
            return default
        found = np.flatnonzero(self._ring.cycles(start, count) == cycle % (1 << 32))
        return start + int(found[0]) if len(found) else default

    def _whole_records(self, head: int, start: int) -> int:
        """Move the head back to the start of a record that it would cut."""
        magics = self._ring.words(start, head - start)[:, 0] == layout.HEADER_MAGIC
        found = np.flatnonzero(magics)
        if len(found):
            block = start + int(found[-1])
            return head if head - block == self._ring.length(block) else block
        if start > 0:
            raise DamagedError("no record before the head of the log", where=self._ring.where)
        begin = self._ring.blocks - (ONE_RECORD - head)
        magics = self._ring.words(begin, self._ring.blocks - begin)[:, 0] == layout.HEADER_MAGIC
        found = np.flatnonzero(magics)
        if not len(found):
            raise DamagedError("no record before the head of the log", where=self._ring.where)
        block = begin + int(found[-1])
        return head if self._ring.blocks - block + head == self._ring.length(block) else block

    # The last records -------------------------------------------------------------------------

    def _ends_at(self, head: int, block: int) -> Ends:
        """Head and tail by the last record's own word."""
        if self._ring.is_unmount(block, head):
            return Ends(head, head, clean=True)
        header = self._ring.header(block)
        return Ends(head, self._ring.tail_of(header), clean=False)

    def _verify_head(self, ends: Ends) -> Ends:
        """Check the records that may have been in flight, then the tail."""
        start = self._last_header(ends.head, ends.tail, layout.MAX_BUFFERS)
        if start is None:
            raise DamagedError("no record between the log's tail and head", where=self._ring.where)
        try:
            for _ in self._ring.walk(start, ends.head):
                pass
        except TornError as torn:
            block = self._last_header(torn.block, ends.tail)
            if block is None:
                raise
            ends = self._ends_at(torn.block, block)
            if ends.clean or ends.head == ends.tail:
                return ends
        return self._verify_tail(ends)

    def _verify_tail(self, ends: Ends) -> Ends:
        """Move the tail over records that the head has begun to overwrite."""
        tail = self._next_header(ends.tail, ends.head)
        for _ in range(IN_FLIGHT // 2):
            found = Ends(ends.head, tail, clean=False)
            try:
                for record in self.records(found):
                    del record
            except TornError as torn:
                gap = (torn.block - ends.head) % self._ring.blocks
                if gap > layout.MAX_BUFFERS * self._buffer_blocks(ends):
                    raise
                tail = self._next_header((torn.block + 1) % self._ring.blocks, ends.head)
                continue
            return found
        raise DamagedError("the log's tail cannot be found", where=self._ring.where)

    def _buffer_blocks(self, ends: Ends) -> int:
        block = self._last_header(ends.head, ends.tail)
        header = self._ring.header(block if block is not None else ends.tail)
        size = int.from_bytes(header[layout.RECORD_SIZE : layout.RECORD_SIZE + 4], "big")
        return min(size, layout.MAX_RECORD) // BLOCK

    def _last_header(self, head: int, tail: int, count: int = 1) -> int | None:
        """The `count`th header (or the farthest there is) going back from the head to the tail."""
        pieces = [(tail if head > tail else 0, head)]
        if tail >= head:
            pieces.append((tail, self._ring.blocks))
        found = None
        for low, high in pieces:
            for block in self._ring.magics(low, high, back=True):
                found = block
                count -= 1
                if not count:
                    return found
        return found

    def _next_header(self, start: int, head: int) -> int:
        """The first header from here to the head."""
        pieces = [(start, head)] if start <= head else [(start, self._ring.blocks), (0, head)]
        for low, high in pieces:
            for block in self._ring.magics(low, high, back=False):
                return block
        raise DamagedError("no record between the log's tail and head", where=self._ring.where)
