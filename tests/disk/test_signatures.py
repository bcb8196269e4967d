"""What a volume slice holds, recognised from what the real tools write."""

from __future__ import annotations

import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.disk import volumes
from sidelight.disk.signatures import identify, identify_end
from tests.fakes.sources import MemorySource

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.model import Problem

SIZE = 320 << 20

COMMANDS = [
    ("swap", "mkswap -q -L swapl -U 11111111-2222-3333-4444-555555555555 {}"),
    ("vfat", "mkfs.vfat -i ABCD1234 -n ESP {}"),
    ("ext2", "mkfs.ext2 -q -L l {}"),
    ("ext3", "mkfs.ext3 -q -L l {}"),
    ("ext4", "mkfs.ext4 -q -L l {}"),
    ("xfs", "mkfs.xfs -q -L l {}"),
    ("btrfs", "mkfs.btrfs -q -L l {}"),
    ("f2fs", "mkfs.f2fs -q -l l {}"),
    ("bcache", "make-bcache -B {}"),
    ("exfat", "mkfs.exfat {}"),
    ("ntfs", "mkntfs -q -F -Q {}"),
    ("nilfs2", "mkfs.nilfs2 -q {}"),
    ("jfs", "mkfs.jfs -q {}"),
    ("reiserfs", "mkreiserfs -q -q -f {}"),
    ("udf", "mkudffs {}"),
    ("squashfs", "mksquashfs /etc/default {} -quiet -noappend"),
    ("erofs", "mkfs.erofs {} /etc/default"),
    ("iso9660", "genisoimage -quiet -o {} /etc/default"),
    ("crypto_LUKS", "cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {} -"),
]
# fstab finds these by UUID and label; the others need only be named.
NAMED = frozenset({"swap", "vfat", "ext2", "ext3", "ext4", "xfs", "btrfs"})


@pytest.mark.images
@pytest.mark.parametrize(("kind", "command"), COMMANDS, ids=[kind for kind, _ in COMMANDS])
def test_real_tools_are_recognised_with_blkids_uuid(
    kind: str, command: str, tmp_path: Path
) -> None:
    words = command.split()
    if not shutil.which(words[0]) or not shutil.which("blkid"):
        pytest.skip(f"needs {words[0]} and blkid")
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.truncate(SIZE)
    words = [word.format(path) for word in words]
    subprocess.run(words, check=True, capture_output=True, input=b"secret")
    probe = subprocess.run(
        ["blkid", "-p", "-o", "export", str(path)], check=True, capture_output=True, text=True
    ).stdout
    oracle = dict(line.partition("=")[::2] for line in probe.splitlines())
    problems: list[Problem] = []
    with ImageFile(str(path), "disk") as source:
        (volume_slice,) = volumes([source], problems)
    assert volume_slice.kind == kind == oracle["TYPE"]
    unsupported = kind not in NAMED
    if not unsupported:
        assert volume_slice.uuid == oracle["UUID"]
        assert volume_slice.label == oracle.get("LABEL", "")
    assert [p.what for p in problems] == ([f"unsupported: {kind}"] if unsupported else [])


@pytest.mark.parametrize(
    ("offset", "magic", "kind"),
    [
        (0, struct.pack("<II", 0xA92B4EFC, 1), "linux_raid_member"),
        (4096, struct.pack("<II", 0xA92B4EFC, 1), "linux_raid_member"),
        (4120, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"), "bcache"),
        (32769, b"CD001", "iso9660"),
        ((128 << 10) + 4096, struct.pack("<Q", 0x00BAB10C), "zfs_member"),
        (3, b"NTFS    ", "ntfs"),
        (0, b"verity\0\0", "DM_verity_hash"),
    ],
)
def test_magic_numbers_by_their_documents(offset: int, magic: bytes, kind: str) -> None:
    data = bytearray(1 << 20)
    data[offset : offset + len(magic)] = magic
    assert identify(MemorySource(bytes(data))).kind == kind


@pytest.mark.parametrize(
    ("at", "magic"),
    [
        ((1 << 20) - (64 << 10), struct.pack("<I", 0xA92B4EFC)),
        ((1 << 20) - (64 << 10), struct.pack(">I", 0xA92B4EFC)),
        ((1 << 20) - 8192, struct.pack("<I", 0xA92B4EFC)),
    ],
)
def test_md_superblocks_at_the_end(at: int, magic: bytes) -> None:
    data = bytearray(1 << 20)
    data[at : at + 4] = magic
    assert identify_end(MemorySource(bytes(data))).kind == "linux_raid_member"
    problems: list[Problem] = []
    volumes([MemorySource(bytes(data))], problems)
    assert [p.what for p in problems] == ["unsupported: member of an md RAID array"]


@pytest.mark.images
@pytest.mark.skipif(not all(map(shutil.which, ("mkswap", "blkid"))), reason="needs mkswap, blkid")
@pytest.mark.parametrize("magic", [b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND"])
def test_the_swap_of_a_hibernated_machine_is_no_problem(tmp_path: Path, magic: bytes) -> None:
    path = tmp_path / "swap"
    path.write_bytes(bytes(8 << 20))
    subprocess.run(["mkswap", "-q", str(path)], check=True, capture_output=True)
    with path.open("r+b") as file:
        file.seek(4096 - 10)
        file.write(magic + b"\0")
    probe = ["blkid", "-p", "-o", "export", str(path)]
    blkid_output = subprocess.run(probe, check=True, capture_output=True, text=True).stdout
    problems: list[Problem] = []
    with ImageFile(str(path)) as source:
        (volume_slice,) = volumes([source], problems)
    assert f"TYPE={volume_slice.kind}\n" in blkid_output
    assert f"UUID={volume_slice.uuid}\n" in blkid_output
    assert problems == []


MD_UUID = bytes(range(1, 17))


def md_superblock(offset: int) -> bytes:
    """Version 1.x as mdadm writes it; `offset` in bytes is where it says that it lies."""
    raw = bytearray(256)
    struct.pack_into("<4I16s32s", raw, 0, 0xA92B4EFC, 1, 0, 0, MD_UUID, b"host:0")
    struct.pack_into("<Q", raw, 144, offset // 512)
    # blkid verifies it since util-linux 2.40 (drivers/md/md.c: calc_sb_1_csum).
    total = sum(struct.unpack("<64I", raw))
    struct.pack_into("<I", raw, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    return bytes(raw)


@pytest.mark.images
@pytest.mark.skipif(not shutil.which("blkid"), reason="needs blkid")
@pytest.mark.parametrize("at", [0, 4096, (8 << 20) - 8192])
def test_md_members_are_what_blkid_takes_for_them(tmp_path: Path, at: int) -> None:
    path = tmp_path / "member"
    with path.open("wb") as file:
        file.truncate(8 << 20)
        file.seek(at)
        file.write(md_superblock(at))
    probe = ["blkid", "-p", "-o", "value", "-s", "TYPE", str(path)]
    blkid_kind = subprocess.run(probe, check=False, capture_output=True, text=True).stdout.strip()
    assert blkid_kind == "linux_raid_member"
    with ImageFile(str(path)) as source:
        (volume_slice,) = volumes([source], [])
    assert volume_slice.kind == blkid_kind


def test_unknown_bytes_are_a_problem_and_zeros_are_not() -> None:
    for data, expected in ((b"\x5a" * 4096, ["no known filesystem"]), (bytes(4096), [])):
        problems: list[Problem] = []
        volumes([MemorySource(data)], problems)
        assert [p.what for p in problems] == expected


@pytest.mark.parametrize("size", [0, 1, 511, 513, 4095, 5000])
def test_a_tiny_disk_is_no_error(size: int) -> None:
    volumes([MemorySource(b"\x01" * size)], [])
