"""The superblock: parsed, judged, and found again from a backup when the primary is damaged.

Source: the kernel's Documentation/filesystems/ext4/super.rst.
"""

from __future__ import annotations

import uuid as uuids
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidelight.errors import (
    DamagedError,
    FormatError,
    NotRecognisedError,
    SourceError,
    UnsupportedError,
)
from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.ext import layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.blocks.source import BlockSource

# Other formats' marks: where one is, an old backup superblock further on means nothing.
FOREIGN = (
    (0, b"XFSB"),
    (0, b"LUKS"),
    (0, b"hsqs"),
    (0x200, b"LABELONE"),
    (0x1FE, b"\x55\xaa"),
    (0x218, b"LVM2 001"),
    (0xFF6, b"SWAPSPACE2"),
)


@dataclass(frozen=True, slots=True)
class ExtSuperblock:
    """What of a superblock reading needs. Blocks and clusters as counts, sizes in bytes."""

    inodes: int
    blocks: int
    first_data_block: int
    block_size: int
    blocks_per_group: int
    inodes_per_group: int
    inode_size: int
    group: int  # the group this copy lies in
    compat: int
    incompat: int
    ro_compat: int
    uuid: bytes
    label: str
    journal_inode: int
    journal_uuid: bytes
    last_orphan: int
    orphan_file: int
    descriptor_size: int
    first_meta_group: int
    backup_groups: tuple[int, int]
    checksum_seed: int = field(repr=False)
    checksum_ok: bool = True

    @property
    def groups(self) -> int:
        """Number of block groups."""
        return -(-(self.blocks - self.first_data_block) // self.blocks_per_group)

    @property
    def kind(self) -> str:
        """ext2, ext3 or ext4, by the features (as blkid distinguishes them)."""
        if self.incompat & ~layout.EXT3_INCOMPAT or self.ro_compat & ~layout.EXT3_RO_COMPAT:
            return "ext4"
        return "ext3" if self.compat & layout.COMPAT_HAS_JOURNAL else "ext2"

    @property
    def metadata_csum(self) -> bool:
        """Whether metadata carries CRC32C."""
        return bool(self.ro_compat & layout.RO_COMPAT_METADATA_CSUM)

    def backups(self) -> Iterator[int]:
        """The groups with copies, after group 0."""
        if self.compat & layout.COMPAT_SPARSE_SUPER2:
            yield from (group for group in self.backup_groups if 0 < group < self.groups)
        else:
            yield from (group for group in range(1, self.groups) if self.has_backup(group))

    def has_backup(self, group: int) -> bool:
        """Whether a group holds a copy of the superblock."""
        if group == 0:
            return True
        if self.compat & layout.COMPAT_SPARSE_SUPER2:
            return group in self.backup_groups
        if group == 1 or not self.ro_compat & layout.RO_COMPAT_SPARSE_SUPER:
            return True
        return any(_is_power(group, base) for base in (3, 5, 7))


def parse_superblock(raw: bytes, where: str) -> ExtSuperblock:
    """One superblock of 1024 bytes.

    Raises NotRecognisedError without the magic, UnsupportedError for features that reading would
    need, DamagedError for values that cannot be. A wrong checksum only clears `checksum_ok`.
    """
    magic_at = layout.MAGIC_OFFSET
    if len(raw) < layout.SUPERBLOCK_SIZE:
        raise NotRecognisedError("too small for an ext superblock", where=where)
    if int.from_bytes(raw[magic_at : magic_at + 2], "little") != layout.SUPERBLOCK_MAGIC:
        raise NotRecognisedError("no ext superblock", where=where)
    base = layout.SUPERBLOCK_BASE.unpack_from(raw)
    revision = base[22]
    _, inode_size, group, compat, incompat, ro_compat, uuid, label = (
        layout.SUPERBLOCK_DYNAMIC.unpack_from(raw, layout.DYNAMIC_OFFSET)
    )
    if revision == 0:  # before features: nothing after the base means anything
        inode_size, compat, incompat, ro_compat = layout.GOOD_OLD_INODE_SIZE, 0, 0, 0
    journal = layout.SUPERBLOCK_JOURNAL.unpack_from(raw, layout.JOURNAL_OFFSET)
    wide = bool(incompat & layout.INCOMPAT_64BIT)
    high = _u32(raw, layout.BLOCKS_HIGH_OFFSET) if wide else 0
    seed = crc32c(uuid)
    if incompat & layout.INCOMPAT_CSUM_SEED:
        seed = _u32(raw, layout.CHECKSUM_SEED_OFFSET)
    backup = layout.BACKUP_GROUPS_OFFSET
    found = ExtSuperblock(
        inodes=base[0],
        blocks=base[1] | high << 32,
        first_data_block=base[5],
        block_size=1024 << base[6] if base[6] <= 6 else 0,
        blocks_per_group=base[8],
        inodes_per_group=base[10],
        inode_size=inode_size,
        group=group,
        compat=compat,
        incompat=incompat,
        ro_compat=ro_compat,
        uuid=uuid,
        label=label.split(b"\0")[0].decode("utf-8", "backslashreplace"),
        journal_inode=journal[0],
        journal_uuid=raw[0xD0:0xE0],
        last_orphan=journal[2],
        orphan_file=_u32(raw, layout.ORPHAN_FILE_OFFSET),
        descriptor_size=journal[9] if wide else layout.GROUP_SIZE,
        first_meta_group=journal[11],
        backup_groups=(_u32(raw, backup), _u32(raw, backup + 4)),
        checksum_seed=seed,
        checksum_ok=not ro_compat & layout.RO_COMPAT_METADATA_CSUM
        or crc32c(raw[: layout.CHECKSUM_OFFSET]) == _u32(raw, layout.CHECKSUM_OFFSET),
    )
    _judge(found, where)
    return found


def find_superblock(source: BlockSource, where: str) -> tuple[ExtSuperblock, str]:
    """The superblock to use, and what was wrong with the primary (empty where nothing was)."""
    head = source.read_at(0, min(source.size, 4096))
    raw = head[layout.SUPERBLOCK_OFFSET : layout.SUPERBLOCK_OFFSET + layout.SUPERBLOCK_SIZE]
    primary: ExtSuperblock | None = None
    fault: NotRecognisedError | DamagedError
    try:
        primary = parse_superblock(raw, where)
        if primary.checksum_ok:
            return primary, ""
        fault = DamagedError("the superblock's checksum is wrong", where=where)
    except (NotRecognisedError, DamagedError) as error:
        fault = error
    foreign = any(head[at : at + len(mark)] == mark for at, mark in FOREIGN)
    backup = None
    if primary is not None or isinstance(fault, DamagedError) or not foreign:
        backup = _backup(source, where, raw)
    if backup is not None:
        return backup, f"{fault.what}; the backup in group {backup.group} is used"
    if primary is not None:
        return primary, f"{fault.what}, and there is no backup; it is used as it is"
    raise fault


def _judge(sb: ExtSuperblock, where: str) -> None:
    unknown = sb.incompat & ~layout.INCOMPAT_READ
    if unknown:
        if not sb.checksum_ok:
            raise DamagedError("the superblock's checksum is wrong", where=where)
        bits = [1 << n for n in range(32) if unknown >> n & 1]
        names = [layout.INCOMPAT_NAMES.get(bit, f"{bit:#x}") for bit in bits]
        raise UnsupportedError(f"unsupported features: {', '.join(names)}", where=where)
    size = sb.inode_size
    checks = (
        (sb.block_size, "block size"),
        (sb.inodes, "inode count"),
        (sb.blocks > sb.first_data_block, "block count"),
        (sb.first_data_block == 0 or sb.block_size == 1024, "first data block"),
        (sb.first_data_block <= 1, "first data block"),
        (size >= 128 and size & (size - 1) == 0 and size <= sb.block_size, "inode size"),
        (0 < sb.inodes_per_group <= sb.block_size * 8, "inodes a group"),
        (sb.blocks_per_group > 0, "blocks a group"),
        (
            32 <= sb.descriptor_size <= sb.block_size
            and sb.descriptor_size & (sb.descriptor_size - 1) == 0
            and sb.descriptor_size >= (64 if sb.incompat & layout.INCOMPAT_64BIT else 32),
            "group descriptor size",
        ),
    )
    for good, name in checks:
        if not good:
            raise DamagedError(f"the superblock's {name} is impossible", where=where)
    if sb.inodes > sb.groups * sb.inodes_per_group:
        raise DamagedError("the superblock's inode count is impossible", where=where)


def _backup(source: BlockSource, where: str, primary: bytes) -> ExtSuperblock | None:
    """The first backup that is whole: at the offsets of mkfs's defaults and of the primary."""
    for offset, group in _places(primary):
        if offset + layout.SUPERBLOCK_SIZE > source.size:
            continue
        try:
            raw = source.read_at(offset, layout.SUPERBLOCK_SIZE)
            found = parse_superblock(raw, where)
        except (FormatError, SourceError):
            continue
        begin = (found.first_data_block + group * found.blocks_per_group) * found.block_size
        if found.group == group and begin == offset and found.checksum_ok:
            return found
    return None


def _places(raw: bytes) -> list[tuple[int, int]]:
    """(offset in bytes, group) where backups may be, the likeliest first."""
    sizes = [(4096, 32768), (1024, 8192), (2048, 16384), (65536, 524288)]
    if len(raw) >= 0x24:
        shift, per_group = raw[0x18], _u32(raw, 0x20)
        if shift <= 6 and 0 < per_group <= 1 << 24:
            sizes.insert(0, (1024 << shift, per_group))
    places = [
        ((group * per_group + (1 if size == 1024 else 0)) * size, group)
        for group in (1, 3)
        for size, per_group in sizes
    ]
    return list(dict.fromkeys(places))


def uuid_text(raw: bytes) -> str:
    """As in fstab."""
    return str(uuids.UUID(bytes=raw))


def _u32(raw: bytes, offset: int) -> int:
    return int.from_bytes(raw[offset : offset + 4], "little")


def _is_power(number: int, base: int) -> bool:
    while number % base == 0:
        number //= base
    return number == 1
