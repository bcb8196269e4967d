"""What a volume slice holds, by its first bytes (and its last, for md): blkid's names.

Only names, UUIDs and labels: whether a filesystem can be read is its reader's matter.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from uuid import UUID

from sidelight.disk.volume_slice import Signature

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.blocks import BlockSource

# As far as ZFS's first label reaches; 512 KiB blocks make the length free.
HEAD = 256 << 10

# Nothing in these is software: no Problem where they are met. FAT is judged by where it is mounted
# (filesystems/machine/unread_fat.py).
INERT = frozenset(
    {"swap", "swsuspend", "vfat", "bios-boot", "prep-boot", "blank", "DM_verity_hash"}
)
# Filesystems that have a reader here, btrfs an optional one: who opens it says where there is none.
READABLE = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs"})
LVM_MEMBER = "LVM2_member"
MD_MEMBER = "linux_raid_member"

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")

# (offset, bytes, kind), in the order in which they are looked for.
MAGICS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"LUKS\xba\xbe", "crypto_LUKS"),
    (0, b"dmvdo001", "vdo"),
    (0, b"hsqs", "squashfs"),
    (0, b"cxsb", "squashfs"),
    (0, b"NXSB", "apfs"),
    (3, b"NTFS    ", "ntfs"),
    (3, b"EXFAT   ", "exfat"),
    (3, b"-FVE-FS-", "BitLocker"),
    (32, b"NXSB", "apfs"),
    (512, b"!Stra0tis\x86\xff\x02^\x41rh", "stratis"),
    (1024, b"\x10\x20\xf5\xf2", "f2fs"),
    (1024, b"\xe2\xe1\xf5\xe0", "erofs"),
    (1030, b"\x34\x34", "nilfs2"),
    (4120, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"), "bcache"),
    (4120, bytes.fromhex("c68573f666ce90a9d96a60cf803df7ef"), "bcachefs"),
    (32768, b"JFS1", "jfs"),
    (32769, b"CD001", "iso9660"),
    (32769, b"BEA01", "udf"),
    (65588, b"ReIsEr", "reiserfs"),
    (65600, b"_BHRfS_M", "btrfs"),
)

MD_MAGIC = 0xA92B4EFC
MD_STARTS = (0, 4096)  # versions 1.1 and 1.2
MD_ALIGN = 64 << 10  # version 0.90: the last whole 64 KiB

SWAP_MAGICS = frozenset({b"SWAPSPACE2", b"SWAP-SPACE"})
# Of a machine that hibernates: its memory is in the swap space.
SUSPENDED_MAGICS = frozenset({b"S1SUSPEND\0", b"S2SUSPEND\0", b"ULSUSPEND\0"})
PAGE_SIZES = (4096, 8192, 16384, 32768, 65536)
SWAP_UUID = 1036  # after 1024 bytes for a boot loader and three 32-bit words
SWAP_LABEL = 1052

ZFS_UBERBLOCKS = 128 << 10
ZFS_UBERBLOCK_SIZE = 1024
ZFS_MAGIC = 0x00BAB10C


def identify(source: BlockSource) -> Signature:
    """The signature of a volume slice, from at most its first 256 KiB. Raises SourceError."""
    head = source.read_at(0, min(HEAD, source.size))
    for probe in PROBES:
        found = probe(head)
        if found is not None:
            return found
    if not head.strip(b"\0"):
        return Signature("blank")
    return Signature()


def identify_end(source: BlockSource) -> Signature:
    """An md superblock at the end of a volume slice (versions 0.90 and 1.0). Raises SourceError."""
    size = source.size
    old = size // MD_ALIGN * MD_ALIGN - MD_ALIGN
    if old >= 0 and source.size >= old + 4:
        raw = source.read_at(old, 4)
        # Version 0.90 is written in the machine's own byte order.
        if MD_MAGIC in (int.from_bytes(raw, "little"), int.from_bytes(raw, "big")):
            return Signature(MD_MEMBER)
    new = (size - 8192) // 4096 * 4096
    if new >= 0 and _U32.unpack(source.read_at(new, 4))[0] == MD_MAGIC:
        return Signature(MD_MEMBER)
    return Signature()


def _uuid(raw: bytes) -> str:
    return str(UUID(bytes=raw)) if any(raw) else ""


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def _md(head: bytes) -> Signature | None:
    for offset in MD_STARTS:
        if head[offset : offset + 8] == struct.pack("<II", MD_MAGIC, 1):
            return Signature(MD_MEMBER, _uuid(head[offset + 16 : offset + 32]))
    return None


def _lvm(head: bytes) -> Signature | None:
    for sector in range(4):
        label = head[sector * 512 : sector * 512 + 32]
        if label[:8] == b"LABELONE" and label[24:32] == b"LVM2 001":
            return Signature(LVM_MEMBER)
    return None


def _magic(head: bytes) -> Signature | None:
    for offset, magic, kind in MAGICS:
        if head[offset : offset + len(magic)] == magic:
            if kind == "btrfs":
                return Signature(kind, _uuid(head[65568:65584]), _text(head[65835:66091]))
            if kind == "crypto_LUKS":
                return Signature(kind, _text(head[168:208]))
            return Signature(kind)
    return None


def _verity(head: bytes) -> Signature | None:
    # After the filesystems: ext leaves these bytes free, and such a one is not a hash tree.
    return Signature("DM_verity_hash") if head.startswith(b"verity\0\0") else None


def _xfs(head: bytes) -> Signature | None:
    # XFS on-disk format, "Superblocks": magic, block size, data blocks; UUID at 32, label at 108.
    if head[:4] != b"XFSB" or len(head) < 512:
        return None
    block_size, blocks = struct.unpack_from(">IQ", head, 4)
    return Signature("xfs", _uuid(head[32:48]), _text(head[108:120]), block_size * blocks)


def _ext(head: bytes) -> Signature | None:
    # ext4's superblock at 1024: blocks at +4, log block size +24, magic +56, features +92 on,
    # UUID +104, label +120, blocks' high half +336.
    if head[1080:1082] != b"\x53\xef" or len(head) < 2048:
        return None
    compatible, incompatible, read_only = struct.unpack_from("<III", head, 1024 + 92)
    kind = "ext2"
    if incompatible & ~0x16 or read_only & ~0x07:
        kind = "ext4"
    elif compatible & 0x04:
        kind = "ext3"
    if incompatible & 0x08:
        kind = "jbd"  # a journal device: named, since no filesystem is in it
    blocks = _U32.unpack_from(head, 1024 + 4)[0]
    if incompatible & 0x80:
        blocks |= _U32.unpack_from(head, 1024 + 336)[0] << 32
    size = blocks << (10 + min(_U32.unpack_from(head, 1024 + 24)[0], 6))
    return Signature(kind, _uuid(head[1128:1144]), _text(head[1144:1160]), size)


def _swap(head: bytes) -> Signature | None:
    for page in PAGE_SIZES:
        magic = head[page - 10 : page]
        if magic in SWAP_MAGICS or magic in SUSPENDED_MAGICS:
            kind = "swap" if magic in SWAP_MAGICS else "swsuspend"
            uuid = _uuid(head[SWAP_UUID : SWAP_UUID + 16])
            return Signature(kind, uuid, _text(head[SWAP_LABEL : SWAP_LABEL + 16]))
    return None


def _vfat(head: bytes) -> Signature | None:
    if head[510:512] != b"\x55\xaa" or head[:1] not in (b"\xeb", b"\xe9"):
        return None
    if head[82:87] == b"FAT32":
        serial, label = head[67:71], head[71:82]
    elif head[54:59] in (b"FAT12", b"FAT16", b"FAT  "):
        serial, label = head[39:43], head[43:54]
    else:
        return None
    number = f"{_U32.unpack(serial)[0]:08X}"
    return Signature("vfat", f"{number[:4]}-{number[4:]}", label.decode("latin-1").strip())


def _zfs(head: bytes) -> Signature | None:
    for offset in range(ZFS_UBERBLOCKS, len(head) - 8, ZFS_UBERBLOCK_SIZE):
        raw = head[offset : offset + 8]
        if ZFS_MAGIC in (int.from_bytes(raw, "little"), int.from_bytes(raw, "big")):
            return Signature("zfs_member")
    return None


# Members of something larger first: what lies in them may look like a filesystem as well.
PROBES: tuple[Callable[[bytes], Signature | None], ...] = (
    _md,
    _lvm,
    _magic,
    _xfs,
    _ext,
    _verity,
    _swap,
    _vfat,
    _zfs,
)
