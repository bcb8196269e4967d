"""The journal of an ext3 or ext4: found, judged, and laid over the source in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from sidelight.blocks import OverlaySource
from sidelight.errors import DamagedError, FormatError, SourceError, UnsupportedError
from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.ext import journal_layout, layout
from sidelight.filesystems.ext.fastcommit import FastTag, scan_fast_commits
from sidelight.filesystems.ext.inodes import Inodes
from sidelight.filesystems.ext.mapping import Mapper
from sidelight.filesystems.ext.recovery import JournalRecovery, JournalShape, recover

if TYPE_CHECKING:
    from sidelight.blocks.source import BlockSource
    from sidelight.filesystems.ext.mapping import Run
    from sidelight.filesystems.ext.volume import ExtVolume

# Replayed blocks are held in memory up to this many bytes; others are read again from the log.
MOST_HELD = 128 << 20
READ_AHEAD = 4 << 20


class ReplayOutcome(NamedTuple):
    """`state` as Filesystem.journal; `source` shows the filesystem after what was replayed.

    `tags` are the fast commits to apply after that.
    """

    state: str
    source: BlockSource
    tags: list[FastTag]


def open_journal(volume: ExtVolume) -> ReplayOutcome:
    """Replay the journal of a filesystem in memory, as mounting it would.

    What cannot be replayed is a Problem and the state `unreplayed`.
    """
    superblock = volume.superblock
    source = volume.source
    if not superblock.compat & layout.COMPAT_HAS_JOURNAL:
        return ReplayOutcome("none", source, [])
    # Backups don't keep the flag up to date: with one, the log itself is asked.
    if not superblock.incompat & layout.INCOMPAT_RECOVER and superblock.group == 0:
        return ReplayOutcome("clean", source, [])
    if not superblock.journal_inode:
        if not superblock.incompat & layout.INCOMPAT_RECOVER:
            return ReplayOutcome("clean", source, [])
        volume.report("the journal is on another device and was not replayed", "journal")
        return ReplayOutcome("unreplayed", source, [])
    try:
        return _replayed(volume)
    except (FormatError, SourceError) as error:
        volume.report(f"the journal was not replayed: {error.what}", "journal")
        return ReplayOutcome("unreplayed", source, [])


def _replayed(volume: ExtVolume) -> ReplayOutcome:
    reader = _JournalFile(volume)
    log, fast = _log(volume, reader)
    if log is None:
        return ReplayOutcome("clean", volume.source, [])
    recovery = recover(log)
    tags: list[FastTag] = []
    if fast is not None:
        inode_size = volume.superblock.inode_size
        tags, fault = scan_fast_commits(fast, reader.block, recovery.end, inode_size)
        if fault:
            recovery.faults.append(fault)
    for fault in recovery.faults:
        volume.report(fault, "journal")
    state = "unreplayed" if recovery.faults else "replayed"
    blocks = _ReplayedBlocks(reader, recovery)
    return ReplayOutcome(state, OverlaySource(volume.source, volume.block_size, blocks), tags)


class _JournalFile:
    """The journal inode's blocks, read ahead in the log's direction."""

    def __init__(self, volume: ExtVolume) -> None:
        self._volume = volume
        number = volume.superblock.journal_inode
        self.where = f"{volume.where}: journal, inode {number}"
        node = Inodes(volume).nodes((number,)).get(number)
        if node is None:
            raise DamagedError("the journal's inode cannot be read", where=self.where)
        mapping = Mapper(volume).map([node])[0]
        if mapping.faults:
            raise DamagedError(mapping.faults[0], where=self.where)
        self._runs: list[Run] = mapping.runs
        self.blocks = node.size // volume.block_size
        self._ahead: range = range(0)

    def block(self, number: int) -> bytes:
        """One block. Raises DamagedError for a hole, SourceError."""
        if number not in self._ahead:
            self._read_ahead(number)
        return self._volume.block(self._place(number))

    def _place(self, number: int) -> int:
        for logical, physical, count in self._runs:
            if logical <= number < logical + count:
                return physical + number - logical
        raise DamagedError(f"the journal has no block {number}", where=self.where)

    def _read_ahead(self, number: int) -> None:
        size = self._volume.block_size
        last = min(number + READ_AHEAD // size, self.blocks)
        self._ahead = range(number, last)
        self._volume.source.prefetch(
            [
                ((physical + max(number - logical, 0)) * size, count * size)
                for logical, physical, whole in self._runs
                if (count := min(logical + whole, last) - max(logical, number)) > 0
            ]
        )


class _ReplayedBlocks(Mapping[int, bytes]):
    """Block number -> bytes after replay; the first MOST_HELD bytes of them are kept."""

    def __init__(self, reader: _JournalFile, recovery: JournalRecovery) -> None:
        self._reader = reader
        self._places = recovery.replayed
        self._held: dict[int, bytes] = {}
        self._room = MOST_HELD

    def __getitem__(self, number: int) -> bytes:
        data = self._held.get(number)
        if data is not None:
            return data
        place, escaped = self._places[number]
        data = self._reader.block(place)
        if escaped:
            # A block that begins with the journal's magic was logged without it.
            data = journal_layout.MAGIC.to_bytes(4, "big") + data[4:]
        if len(data) <= self._room:
            self._held[number] = data
            self._room -= len(data)
        return data

    def __contains__(self, number: object) -> bool:
        return number in self._places

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _log(volume: ExtVolume, reader: _JournalFile) -> tuple[JournalShape | None, range | None]:
    """The log to recover (None: clean), and the fast commits' blocks. The kernel's own checks."""
    raw = reader.block(0)[: journal_layout.SUPERBLOCK_SIZE]
    where = reader.where
    magic, kind, _ = journal_layout.HEADER.unpack_from(raw)
    versions = {journal_layout.SUPERBLOCK_V1, journal_layout.SUPERBLOCK_V2}
    if magic != journal_layout.MAGIC or kind not in versions:
        raise DamagedError("no journal superblock", where=where)
    size, blocks, first, sequence, start, _, compat, incompat, _, uuid = (
        journal_layout.SUPERBLOCK.unpack_from(raw, journal_layout.SUPERBLOCK_AT)
    )
    if kind == journal_layout.SUPERBLOCK_V1:
        compat, incompat = 0, 0
    if size != volume.block_size or not 1 <= first < blocks <= reader.blocks:
        raise DamagedError("the journal superblock's geometry is impossible", where=where)
    _judge_features(raw, compat, incompat, where)
    last, fast = blocks, None
    if incompat & journal_layout.INCOMPAT_FAST_COMMIT:
        at = journal_layout.FAST_BLOCKS_AT
        count = int.from_bytes(raw[at : at + 4], "big") or journal_layout.FAST_BLOCKS_DEFAULT
        if blocks - count >= journal_layout.LEAST_BLOCKS:
            last = blocks - count
        fast = range(last + 1, blocks)
    if start == 0:
        return None, None
    if not first <= start < last:
        raise DamagedError("the log starts outside of the journal", where=where)
    seed = crc32c(uuid)
    log = JournalShape(
        size, first, last, sequence, start, compat, incompat, seed, reader.block, where
    )
    return log, fast


def _judge_features(raw: bytes, compat: int, incompat: int, where: str) -> None:
    if incompat & ~journal_layout.INCOMPAT_KNOWN:
        raise UnsupportedError(f"unknown journal features {incompat:#x}", where=where)
    v1 = bool(compat & journal_layout.COMPAT_CHECKSUM)
    v2 = bool(incompat & journal_layout.INCOMPAT_CSUM_V2)
    v3 = bool(incompat & journal_layout.INCOMPAT_CSUM_V3)
    if v1 + v2 + v3 > 1:
        raise DamagedError("the journal has several kinds of checksums", where=where)
    if v2 or v3:
        at = journal_layout.CHECKSUM_AT
        stored = int.from_bytes(raw[at : at + 4], "big")
        if raw[journal_layout.CHECKSUM_TYPE_AT] != journal_layout.CHECKSUM_CRC32C:
            raise UnsupportedError("unknown kind of journal checksum", where=where)
        if crc32c(raw[:at] + bytes(4) + raw[at + 4 :]) != stored:
            raise DamagedError("the journal superblock's checksum is wrong", where=where)
