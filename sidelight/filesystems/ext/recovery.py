"""jbd2 recovery: what the log says which blocks must hold. Nothing is written.

Three passes as in the kernel's fs/jbd2/recovery.c: scan for the log's end, gather revokes, replay.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.errors import DamagedError
from sidelight.filesystems.crc32c import crc32c, crc32c_many
from sidelight.filesystems.ext import journal_layout as layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INITIAL = 0xFFFFFFFF  # of every checksum here
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class JournalShape:
    """The log's shape, from its superblock. Blocks are counted within the journal."""

    block_size: int
    first: int
    last: int  # one past the end of the log proper
    sequence: int
    start: int
    compat: int
    incompat: int
    seed: int
    read: Callable[[int], bytes]  # one block of the journal; raises SourceError or DamagedError
    where: str

    @property
    def checksums(self) -> bool:
        """Whether blocks carry CRC32C (v2 or v3)."""
        return bool(self.incompat & (layout.INCOMPAT_CSUM_V2 | layout.INCOMPAT_CSUM_V3))

    def wrapped(self, block: int) -> int:
        """Past the end the log goes on at its beginning."""
        return block - (self.last - self.first) if block >= self.last else block


class Tag(NamedTuple):
    """One block in a transaction: where it belongs, where its bytes are in the journal."""

    block: int
    escaped: bool
    checksum: int
    journal_block: int


@dataclass(slots=True)
class JournalRecovery:
    """What recovery found. `end` is the first sequence that is not replayed."""

    end: int
    faults: list[str] = field(default_factory=list)
    replayed: dict[int, tuple[int, bool]] = field(default_factory=dict)  # block -> journal, escaped


class _Scan(NamedTuple):
    block: int
    kind: int
    sequence: int
    raw: bytes


def recover(log: JournalShape) -> JournalRecovery:
    """All passes. Raises DamagedError where the kernel would refuse to replay anything."""
    scanner = _Scanner(log)
    scanner.scan()
    recovery = JournalRecovery(scanner.broken or scanner.expected)
    end = recovery.end
    if scanner.broken:
        # Only what comes before it counts; the kernel replays that and then refuses to mount.
        recovery.faults.append(f"transaction {end} is corrupt: its checksum is wrong")
    revoked: dict[int, int] = {}
    for item in _blocks(log, end):
        if item.kind == layout.REVOKE:
            for block in _revoked(log, item.raw):
                known = revoked.get(block)
                if known is None or _later(item.sequence, known):
                    revoked[block] = item.sequence
    for item in _blocks(log, end):
        if item.kind == layout.DESCRIPTOR:
            _replay(log, item, revoked, recovery)
    return recovery


class _Scanner:
    """The first pass: finds the first sequence that must not be replayed."""

    def __init__(self, log: JournalShape) -> None:
        self._log = log
        self._v1 = bool(log.compat & layout.COMPAT_CHECKSUM)
        self._running = INITIAL  # v1: over the transaction so far
        self._suspect = False  # a block's own checksum was wrong: a fault, or an older journal's
        self._last_time = 0
        self.expected = log.sequence
        self.broken = 0  # with asynchronous commits the scan goes on past a bad one

    def scan(self) -> None:
        """Raises DamagedError where the kernel would refuse the whole journal."""
        for item in _blocks(self._log, None):
            if item.kind != layout.COMMIT:
                self._body(item)
            elif not self._commit(item):
                return

    def _body(self, item: _Scan) -> None:
        self._suspect = self._suspect or not _tail_sound(self._log, item.raw)
        if self._v1 and item.kind == layout.DESCRIPTOR and not (self._suspect or self.broken):
            self._running = _crc32_be(item.raw, self._running)
            for tag in _tags(self._log, item.raw, item.block):
                self._running = _crc32_be(self._log.read(tag.journal_block), self._running)

    def _commit(self, item: _Scan) -> bool:
        """Whether the scan goes on after this commit block."""
        seconds = int.from_bytes(item.raw[layout.COMMIT_SECONDS_AT :][:8], "big")
        if self._suspect:
            if seconds >= self._last_time:
                what = f"invalid checksum in transaction {self.expected}"
                raise DamagedError(what, where=self._log.where)
            return False
        if self._v1 and self.broken:
            return False
        if not _commit_sound(self._log, item.raw, self._running if self._v1 else None):
            if seconds < self._last_time:
                return False
            self.broken = self.broken or self.expected
            if not self._log.incompat & layout.INCOMPAT_ASYNC_COMMIT:
                return False
        self._running = INITIAL
        self._last_time = seconds
        self.expected = self.expected + 1 & 0xFFFFFFFF
        return True


def _blocks(log: JournalShape, end: int | None) -> Iterator[_Scan]:
    """The log's descriptor, commit and revoke blocks in order, up to `end` or its natural end."""
    expected, block = log.sequence, log.start
    for _ in range(log.last):
        if end is not None and _later_or_same(expected, end):
            return
        raw = log.read(block)
        magic, kind, sequence = layout.HEADER.unpack_from(raw)
        if magic != layout.MAGIC or sequence != expected:
            return
        if kind not in {layout.DESCRIPTOR, layout.COMMIT, layout.REVOKE}:
            return
        item = _Scan(block, kind, sequence, raw)
        yield item
        block = log.wrapped(block + 1)
        if kind == layout.DESCRIPTOR:
            block = log.wrapped(block + sum(1 for _ in _tags(log, raw, item.block)))
        elif kind == layout.COMMIT:
            expected = expected + 1 & 0xFFFFFFFF
    raise DamagedError("the log has no end", where=log.where)


def _tags(log: JournalShape, raw: bytes, block: int) -> Iterator[Tag]:
    """A descriptor's tags. Raises nothing: the last one is where the block ends."""
    v3 = bool(log.incompat & layout.INCOMPAT_CSUM_V3)
    wide = bool(log.incompat & layout.INCOMPAT_64BIT)
    size = 16 if v3 else 8 + 2 * bool(log.incompat & layout.INCOMPAT_CSUM_V2) + 4 * wide
    end = log.block_size - (layout.TAIL if log.checksums else 0)
    at = layout.HEADER.size
    place = block
    while at + size <= end:
        place = log.wrapped(place + 1)
        if v3:
            low, flags, high, checksum = layout.TAG3.unpack_from(raw, at)
        else:
            low, checksum, flags = layout.TAG.unpack_from(raw, at)
            high = int.from_bytes(raw[at + 8 : at + 12], "big") if wide else 0
        number = low | high << 32 if wide else low
        yield Tag(number, bool(flags & layout.FLAG_ESCAPE), checksum, place)
        if flags & layout.FLAG_LAST:
            return
        at += size + (0 if flags & layout.FLAG_SAME_UUID else layout.UUID)


def _replay(
    log: JournalShape, item: _Scan, revoked: dict[int, int], recovery: JournalRecovery
) -> None:
    """One descriptor's blocks; one with a wrong checksum is left out and reported."""
    if not _tail_sound(log, item.raw):
        recovery.faults.append(f"invalid checksum in log block {item.block}")
        return
    tags = [
        tag
        for tag in _tags(log, item.raw, item.block)
        if tag.block not in revoked or _later(item.sequence, revoked[tag.block])
    ]
    for tag, good in zip(tags, _sound_blocks(log, tags, item.sequence), strict=True):
        if good:
            recovery.replayed[tag.block] = (tag.journal_block, tag.escaped)
        else:
            recovery.faults.append(f"invalid checksum of block {tag.block} in the log")


def _sound_blocks(log: JournalShape, tags: list[Tag], sequence: int) -> list[bool]:
    """Whether each logged block is what its tag says (as it is in the log, escaped)."""
    if not log.checksums or not tags:
        return [True] * len(tags)
    data = b"".join(log.read(tag.journal_block) for tag in tags)
    rows = np.frombuffer(data, dtype=np.uint8).reshape(len(tags), -1)
    sums = crc32c_many(rows, crc32c(sequence.to_bytes(4, "big"), log.seed)).tolist()
    mask = 0xFFFFFFFF if log.incompat & layout.INCOMPAT_CSUM_V3 else 0xFFFF
    return [found & mask == tag.checksum for found, tag in zip(sums, tags, strict=True)]


def _revoked(log: JournalShape, raw: bytes) -> list[int]:
    used = int.from_bytes(raw[12:16], "big")
    if used > log.block_size - (layout.TAIL if log.checksums else 0):
        raise DamagedError(f"a revoke block says that it holds {used} bytes", where=log.where)
    size = 8 if log.incompat & layout.INCOMPAT_64BIT else 4
    body = raw[layout.REVOKE_HEADER : used]
    body = body[: len(body) // size * size]
    blocks: list[int] = np.frombuffer(body, dtype=f">u{size}").tolist()
    return blocks


def _tail_sound(log: JournalShape, raw: bytes) -> bool:
    """A descriptor's or revoke block's own checksum."""
    if not log.checksums:
        return True
    stored = int.from_bytes(raw[-layout.TAIL :], "big")
    return crc32c(raw[: -layout.TAIL] + bytes(layout.TAIL), log.seed) == stored


def _commit_sound(log: JournalShape, raw: bytes, running: int | None) -> bool:
    """A commit block's checksum: v1 over the transaction (`running`), else over the block."""
    at = layout.COMMIT_CHECKSUM_AT
    stored = int.from_bytes(raw[at : at + 4], "big")
    if running is not None:
        kind = tuple(raw[layout.COMMIT_CHECKSUM_TYPE_AT :][:2])
        unused = kind == (0, 0) and stored == 0
        return unused or (kind == layout.COMMIT_CRC32 and stored == running)
    if not log.checksums:
        return True
    blank = raw[:at] + bytes(4) + raw[at + 4 :]
    if crc32c(blank, log.seed) == stored:
        return True
    # A torn commit block whose header alone reached the disk counts as whole.
    header = blank[: layout.COMMIT_SIZE] + bytes(len(blank) - layout.COMMIT_SIZE)
    return crc32c(header, log.seed) == stored


def _crc32_be(data: bytes, register: int) -> int:
    """Big-endian CRC32 without final inversion, through zlib's reflected one."""
    start = _reflect(register) ^ 0xFFFFFFFF
    return _reflect(zlib.crc32(data.translate(REVERSED), start) ^ 0xFFFFFFFF)


def _reflect(value: int) -> int:
    return int.from_bytes(value.to_bytes(4, "little").translate(REVERSED), "big")


def _later(a: int, b: int) -> bool:
    """Whether sequence `a` comes after `b`; sequences wrap at 2**32."""
    return 0 < (a - b & 0xFFFFFFFF) < 1 << 31


def _later_or_same(a: int, b: int) -> bool:
    return (a - b & 0xFFFFFFFF) < 1 << 31
