"""Mutated logs of ext3 and ext4: jbd2's blocks and superblocks, and fast commits.

Logs are made from nothing, with the checksums of every version, wrap, repeat, revoke and end in
all places; then some of their bytes are changed.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from fuzz.choices import Blocks, check_names, scramble
from fuzz.ext_structures import BLOCK, base, check_mappings
from sidelight.errors import DamagedError, SidelightError
from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.ext import journal, recovery
from sidelight.filesystems.ext import journal_layout as layout
from sidelight.filesystems.ext.directories import Directories
from sidelight.filesystems.ext.fastcommit import FastReplay, FastTag, scan_fast_commits
from sidelight.filesystems.ext.inodes import Inodes
from sidelight.filesystems.ext.mapping import Mapper
from sidelight.filesystems.ext.volume import ExtVolume

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

MAGIC = struct.pack(">I", layout.MAGIC)
FEATURES = (0, 0, 2, 4, 8, 0x0A, 0x10, 0x12, 0x1A, 0x20)
FIRST, LAST = 1, 24  # blocks of the log


class Targets:
    """Each target makes a number of mutated structures, decodes them, and returns that number."""

    def __init__(self) -> None:
        self.base = base("tiny-ext4")
        self.all: dict[str, Callable[[random.Random], int]] = {
            "jbd2-superblocks": self.superblocks,
            "jbd2-logs": self.logs,
            "jbd2-fast-scans": self.fast_scans,
            "jbd2-fast-replays": self.fast_replays,
        }

    def superblocks(self, chance: random.Random) -> int:
        """The journal's own superblock."""
        incompat = chance.choice(FEATURES)
        raw = bytearray(BLOCK)
        struct.pack_into(">3I", raw, 0, layout.MAGIC, chance.choice((3, 4)), 0)
        numbers = (BLOCK, 2048, 1, 5, chance.choice((0, 1, 7)), 0, chance.choice((0, 0, 1)))
        struct.pack_into(">9I16s", raw, 12, *numbers, incompat, 0, b"u" * 16)
        raw[0x50] = 4
        raw[:256] = scramble(chance, bytes(raw[:256]), 3)
        if chance.random() < 0.8:
            raw[0xFC:0x100] = bytes(4)
            raw[0xFC:0x100] = crc32c(bytes(raw)).to_bytes(4, "big")
        volume = ExtVolume(Blocks("j", self.base.size, BLOCK, {}), self.base.superblock, "j", [])
        with suppress(SidelightError):
            log, fast = journal._log(volume, _BytesJournal(bytes(raw)))  # noqa: SLF001
            if log is not None and not log.first <= log.start < log.last <= 2048:
                raise AssertionError("a log that starts outside of itself")
            if fast is not None and not 0 < fast.start <= fast.stop + 1:
                raise AssertionError(f"fast commits at {fast}")
        return 1

    def logs(self, chance: random.Random) -> int:
        """Descriptor, revoke and commit blocks in a ring of a few blocks."""
        incompat, compat = chance.choice(FEATURES), 0
        if not incompat & 0x18 and chance.random() < 0.4:
            compat = layout.COMPAT_CHECKSUM
        writer = _Ring(incompat, chance.choice((1, 2, 20, 23)), chance.choice((1, 5, 0xFFFFFFFE)))
        sequence, start = writer.sequence, writer.at
        for _ in range(chance.randrange(1, 5)):
            for _ in range(chance.choice((1, 1, 1, 2))):
                if chance.random() < 0.3:
                    writer.revoke([chance.randrange(9) for _ in range(chance.randrange(5))])
                else:
                    writer.descriptor(
                        [(chance.randrange(9), chance.choice((0, 0, 1)))
                         for _ in range(chance.randrange(1, 5))], chance
                    )  # fmt: skip
            writer.commit(chance.choice((100, 100, 101, 99)), compat, chance.choice((0, 0, 1)))
        if writer.used > LAST - FIRST and chance.random() < 0.5:
            return 0
        for number in list(writer.blocks):
            if chance.random() < 0.15:
                writer.blocks[number] = scramble(chance, writer.blocks[number], 2)
        if chance.random() < 0.1:
            writer.blocks.pop(chance.choice(list(writer.blocks)))
        log = recovery.JournalShape(
            BLOCK, FIRST, LAST, sequence, start, compat, incompat, writer.seed, writer.read, "log"
        )
        with suppress(SidelightError):
            recovery.recover(log)
        return len(writer.blocks)

    def _tag(self, chance: random.Random) -> FastTag:
        """A change of the kinds that there are."""
        kind = chance.choice((1, 2, 3, 3, 4, 5, 5, 6, 6))
        numbers = [*self.base.rows, 13, 14, 60, 65]
        number, parent = chance.choice(numbers), chance.choice((2, 2, chance.choice(numbers)))
        if kind == layout.FAST_ADD_RANGE:
            length = chance.choice((1, 2, 32768, 32770))
            value = struct.pack("<IIHHI", number, chance.randrange(5), length, 0,
                                chance.randrange(1030))  # fmt: skip
        elif kind == layout.FAST_DEL_RANGE:
            value = struct.pack("<III", number, chance.randrange(5), chance.randrange(1 << 10))
        elif kind == layout.FAST_INODE:
            row = chance.choice(list(self.base.rows.values()))
            row = scramble(chance, row, 3) if chance.random() < 0.5 else row
            value = struct.pack("<I", number) + row[: chance.choice((128, 160, 256, 256))]
        else:
            name = chance.choice((b"a", b"b", b"folder", b"holes", b"x" * 255))
            value = struct.pack("<II", parent, number) + name
        if chance.random() < 0.1:
            value = scramble(chance, value, 2)
        return FastTag(kind, value)

    def fast_scans(self, chance: random.Random) -> int:
        """The area of fast commits as it lies in the log."""
        area = struct.pack("<HHII", layout.FAST_HEAD, 8, chance.choice((0, 0, 0, 1)), 7)
        blocks, register, changes = [], 0, 0
        for _ in range(chance.randrange(1, 12)):
            tag = self._tag(chance)
            raw = struct.pack("<HH", tag.kind, len(tag.value)) + tag.value
            changes += 1
            if len(area) + len(raw) + 20 > BLOCK or chance.random() < 0.2:
                tail = struct.pack("<HHI", layout.FAST_TAIL, BLOCK - len(area) - 4, 7)
                register = crc32c(area + tail, register)
                blocks.append((area + tail + struct.pack("<I", register)).ljust(BLOCK, b"\0"))
                area, register = b"", 0
            area += raw
        blocks.append(area.ljust(BLOCK, b"\0"))
        blocks = [scramble(chance, b, 2) if chance.random() < 0.2 else b for b in blocks]
        with suppress(SidelightError):
            scan_fast_commits(range(len(blocks) + 1), lambda n: _block(blocks, n), 7, 256)
        return changes

    def fast_replays(self, chance: random.Random) -> int:
        """Changes applied, and everything read after them."""
        tags = [self._tag(chance) for _ in range(chance.randrange(1, 10))]
        source = Blocks("fast", self.base.size, BLOCK, self.base.blocks)
        volume = ExtVolume(source, self.base.superblock, "fast", [])
        inodes, mapper = Inodes(volume), Mapper(volume)
        directories = Directories(volume, inodes, mapper)
        valid = [tag for tag in tags if len(tag.value) >= 12]
        with suppress(SidelightError):
            FastReplay(inodes, mapper, directories).apply(valid)
        numbers = [*self.base.rows, 13, 14]
        inodes.inodes(numbers)
        nodes = list(inodes.nodes(numbers).values())
        check_mappings(volume, mapper.map(nodes, [(0, 64)] * len(nodes)))
        check_names(directories.read([2]))
        return len(tags)


def _block(blocks: list[bytes], number: int) -> bytes:
    if number >= len(blocks):
        raise DamagedError("no such block")
    return blocks[number]


class _BytesJournal(journal._JournalFile):  # noqa: SLF001
    """A journal file of one block."""

    def __init__(self, raw: bytes) -> None:
        self.where = "journal"
        self.blocks = 2048
        self._raw = raw

    def block(self, number: int) -> bytes:
        if number:
            raise DamagedError("only the superblock is here")
        return self._raw


class _Ring:
    """Writes a log's blocks with their right checksums."""

    def __init__(self, incompat: int, at: int, sequence: int) -> None:
        self.incompat = incompat
        self.seed = crc32c(b"u" * 16)
        self.blocks: dict[int, bytes] = {}
        self.at = at
        self.sequence = sequence
        self.used = 0
        self._running = 0xFFFFFFFF

    def read(self, number: int) -> bytes:
        """As a Log reads. Past the log's end, where a lying descriptor leads, there is no block."""
        if not FIRST <= number < LAST:
            raise DamagedError(f"the journal has no block {number}")
        return self.blocks.get(number, bytes(BLOCK))

    def _put(self, block: bytes) -> None:
        self.blocks[self.at] = block
        self.at = self.at + 1 if self.at + 1 < LAST else FIRST
        self.used += 1

    def _tailed(self, raw: bytes) -> bytes:
        raw = raw[:BLOCK].ljust(BLOCK, b"\0")
        if self.incompat & 0x18:
            raw = raw[:-4] + crc32c(raw[:-4] + bytes(4), self.seed).to_bytes(4, "big")
        return raw

    def descriptor(self, tags: list[tuple[int, int]], chance: random.Random) -> None:
        """A descriptor with its blocks."""
        data = [bytes((block,)) * BLOCK for block, _ in tags]
        raw = MAGIC + struct.pack(">II", layout.DESCRIPTOR, self.sequence & 0xFFFFFFFF)
        start = crc32c(struct.pack(">I", self.sequence & 0xFFFFFFFF), self.seed)
        for at, (block, flags) in enumerate(tags):
            whole = flags | (8 if at == len(tags) - 1 else 0) | chance.choice((0, 2))
            summed = crc32c(data[at], start)
            if self.incompat & layout.INCOMPAT_CSUM_V3:
                raw += struct.pack(">IIII", block, whole, 0, summed)
            else:
                raw += struct.pack(">IHH", block, summed & 0xFFFF, whole)
                raw += bytes(2 * bool(self.incompat & 8) + 4 * bool(self.incompat & 2))
            raw += b"" if whole & 2 else b"u" * 16
        head = self._tailed(raw)
        self._running = recovery._crc32_be(head, self._running)  # noqa: SLF001
        self._put(head)
        for content in data:
            self._running = recovery._crc32_be(content, self._running)  # noqa: SLF001
            self._put(content)

    def revoke(self, blocks: list[int]) -> None:
        """A revoke block."""
        size = 8 if self.incompat & 2 else 4
        raw = MAGIC + struct.pack(">II", layout.REVOKE, self.sequence & 0xFFFFFFFF)
        raw += struct.pack(">I", 16 + size * len(blocks))
        self._put(self._tailed(raw + b"".join(block.to_bytes(size, "big") for block in blocks)))

    def commit(self, seconds: int, compat: int, wrong: int) -> None:
        """A commit block; the next transaction begins."""
        raw = MAGIC + struct.pack(">II", layout.COMMIT, self.sequence & 0xFFFFFFFF)
        summed = 0
        if compat & layout.COMPAT_CHECKSUM:
            raw += b"\1\4\0\0"
            summed = self._running
        raw = raw.ljust(48, b"\0") + struct.pack(">Q", seconds)
        raw = raw.ljust(BLOCK, b"\0")
        if self.incompat & 0x18:
            summed = crc32c(raw, self.seed)
        raw = raw[:16] + struct.pack(">I", summed ^ wrong) + raw[20:]
        self._put(raw)
        self._running = 0xFFFFFFFF
        self.sequence += 1
