"""The superblock: geometry, feature bits, and what they let this reader do."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.errors import (
    DamagedError,
    NotRecognisedError,
    OutOfRangeError,
    UnsupportedError,
)
from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.xfs import layout

if TYPE_CHECKING:
    from sidelight.blocks import BlockSource


@dataclass(frozen=True, slots=True)
class XfsSuperblock:
    """An XFS filesystem's geometry. Sizes in bytes, `*_log` in bits, addresses as on disk."""

    v5: bool
    block_size: int
    block_log: int
    blocks: int  # data blocks of the filesystem
    ag_blocks: int
    ag_count: int
    ag_block_log: int
    sector_size: int
    inode_size: int
    inode_log: int
    inodes_per_block_log: int
    root: int
    dir_block_size: int
    ftype: bool
    log_start: int  # filesystem block, 0 for an external log
    log_blocks: int
    log_incompat: int
    log_hint: int  # basic block of the log that was written before this superblock
    uuid: bytes
    meta_uuid: bytes  # what every other structure carries
    label: str
    needs_repair: bool
    checksum_ok: bool
    ascii_ci: bool  # names are found in any letter case

    @property
    def inode_core(self) -> int:
        """Bytes of an inode before its forks."""
        return layout.INODE_CORE_V3 if self.v5 else layout.INODE_CORE_V2

    def block_offset(self, number: int) -> int:
        """Bytes from the start, of a filesystem block number (which has its AG in its top bits).

        Raises DamagedError where there is no such block.
        """
        group, block = number >> self.ag_block_log, number & ((1 << self.ag_block_log) - 1)
        linear = group * self.ag_blocks + block
        if block >= self.ag_blocks or linear >= self.blocks:
            raise DamagedError(f"no such block: {number}")
        return linear << self.block_log

    @property
    def uuid_text(self) -> str:
        """As in fstab."""
        return str(uuid.UUID(bytes=self.uuid))


def read_superblock(source: BlockSource, where: str) -> XfsSuperblock:
    """The primary superblock.

    Raises NotRecognisedError where there is none, UnsupportedError for features that this reader
    cannot read, DamagedError for impossible geometry. A bad CRC is left to the caller.
    """
    try:
        data = source.read_at(0, layout.SB_SIZE)
    except OutOfRangeError as error:
        raise NotRecognisedError("too small for XFS", where=where) from error
    if data[:4] != layout.SB_MAGIC:
        raise NotRecognisedError("no XFS superblock", where=where)
    superblock = _parse(source, data, where)
    _check(superblock, where)
    return superblock


def _parse(source: BlockSource, data: bytes, where: str) -> XfsSuperblock:
    (
        block_size, blocks, fs_uuid, log_start, root, ag_blocks, ag_count, log_blocks, version,
        sector_size, inode_size, inodes_per_block, label, block_log, sector_log, inode_log,
        inodes_log, ag_block_log, in_progress,
    ) = layout.SUPERBLOCK.unpack_from(data)  # fmt: skip
    v5 = _require_version(version, where)
    features2, _, _, _, incompat, log_incompat = layout.SB_FEATURES.unpack_from(
        data, layout.SB_FEATURES_AT
    )
    if not v5:
        incompat = log_incompat = 0
    if unknown := incompat & ~layout.INCOMPAT_KNOWN:
        raise UnsupportedError(f"unknown incompatible features {unknown:#x}", where=where)
    if in_progress:
        raise DamagedError("mkfs did not finish", where=where)
    dir_log = data[layout.SB_DIRBLKLOG]
    if (
        not 9 <= block_log <= 16
        or not 9 <= sector_log <= 15
        or not 8 <= inode_log <= 11
        or block_log + dir_log > 16
        or block_size != 1 << block_log
        or sector_size != 1 << sector_log
        or inode_size != 1 << inode_log
        or inodes_per_block != 1 << inodes_log
        or inodes_log != max(0, block_log - inode_log)
    ):
        raise DamagedError("impossible sizes in the superblock", where=where)
    own = layout.SB_META_UUID if incompat & layout.INCOMPAT_META_UUID else layout.SB_UUID
    more = bool(version & layout.VERSION_MOREBITS)
    return XfsSuperblock(
        v5=v5,
        block_size=block_size,
        block_log=block_log,
        blocks=blocks,
        ag_blocks=ag_blocks,
        ag_count=ag_count,
        ag_block_log=ag_block_log,
        sector_size=sector_size,
        inode_size=inode_size,
        inode_log=inode_log,
        inodes_per_block_log=inodes_log,
        root=root,
        dir_block_size=block_size << dir_log,
        ftype=bool(incompat & layout.INCOMPAT_FTYPE)
        if v5
        else more and bool(features2 & layout.VERSION2_FTYPE),
        log_start=log_start,
        log_blocks=log_blocks,
        log_incompat=log_incompat,
        log_hint=int.from_bytes(data[layout.SB_LSN + 4 : layout.SB_LSN + 8], "big") if v5 else 0,
        uuid=fs_uuid,
        meta_uuid=data[own : own + 16],
        label=label.rstrip(b"\0").decode("utf-8", "surrogateescape"),
        needs_repair=bool(incompat & layout.INCOMPAT_NEEDSREPAIR),
        checksum_ok=not v5 or _checksum_ok(source, sector_size),
        ascii_ci=bool(version & layout.VERSION_ASCII_CI),
    )


def _require_version(version: int, where: str) -> bool:
    """Whether this is version 5; version 4 otherwise."""
    number = version & layout.VERSION_NUMBER
    if number not in (4, 5):
        raise UnsupportedError(f"XFS version {number}", where=where)
    if not version & layout.VERSION_DIRV2:
        raise UnsupportedError("version 1 directories", where=where)
    return number == 5


def _checksum_ok(source: BlockSource, sector_size: int) -> bool:
    try:
        sector = bytearray(source.read_at(0, sector_size))
    except OutOfRangeError:
        return False
    stored = int.from_bytes(sector[layout.SB_CRC : layout.SB_CRC + 4], "little")
    sector[layout.SB_CRC : layout.SB_CRC + 4] = bytes(4)
    return crc32c(bytes(sector)) ^ 0xFFFFFFFF == stored


def _check(superblock: XfsSuperblock, where: str) -> None:
    group = superblock.ag_blocks
    if (
        group < 1
        or superblock.ag_count < 1
        or superblock.ag_block_log != (group - 1).bit_length()
        or superblock.ag_block_log + superblock.inodes_per_block_log > 32
        or not (superblock.ag_count - 1) * group < superblock.blocks <= superblock.ag_count * group
        or superblock.blocks > 1 << 52
    ):
        raise DamagedError("impossible allocation groups in the superblock", where=where)
