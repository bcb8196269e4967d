"""Whole machines of real filesystems: partitions, LVM2, several disks, one tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import fs as pyfilesystem
import pytest
from fs.opener.errors import OpenerError

from sidelight.disk import volumes
from sidelight.filesystems.machine.mount_table import assemble, open_slices
from sidelight.filesystems.pyfilesystem.openers import register
from tests.fakes.sources import counted
from tests.images.disk.lvm_writer import PE_START, physical_volume

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.filesystems.machine.tree import MachineTree
    from sidelight.model import Problem

TOOLS = ("sgdisk", "mkfs.ext4", "mkfs.vfat", "mkswap")

pytestmark = [
    pytest.mark.images,
    pytest.mark.usefixtures("whole_system_sync"),
    pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}"),
]

UUID = "abcdef-ghij-klmn-opqr-stuv-wxyz-012345"
EXTENT = 4 << 20
USR_TYPE = "8484680C-9521-48C6-9C11-B0720656F69E"  # GPT's, x86-64

FSTAB = """
/dev/mapper/my--vg-root / ext4 defaults 0 1
UUID=12345678-1234-1234-1234-123456789abc /boot ext4 defaults 0 2
UUID=ABCD-1234 /boot/efi vfat umask=0077 0 1
/dev/my-vg/var /var ext4 defaults 0 2
PARTLABEL=srv\\040data /srv ext4 defaults 0 2
/dev/mapper/my--vg-swap none swap sw 0 0
/srv/www /var/www none bind 0 0
"""


def ext4(path: Path, size: int, files: dict[str, bytes], *words: str) -> Path:
    tree = path.with_suffix(".tree")
    tree.mkdir()
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (tree / name).mkdir()
        else:
            (tree / name).write_bytes(data)
    with path.open("wb") as file:
        file.truncate(size)
    command = ["mkfs.ext4", "-q", "-F", *words, "-d", str(tree), str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def place(disk: Path, part: bytes, offset: int) -> None:
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(part)


def disk(path: Path, size: int, *sgdisk: str) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    subprocess.run(["sgdisk", *sgdisk, str(path)], check=True, capture_output=True)
    return path


def member(tmp_path: Path) -> bytes:
    """A physical volume with root (4 extents), var (3) and swap (1)."""
    parts, text, at = [], "", 0
    swap = tmp_path / "swap"
    with swap.open("wb") as file:
        file.truncate(EXTENT)
    subprocess.run(["mkswap", str(swap)], check=True, capture_output=True)
    files = {
        "etc/os-release": b"ID=test\n",
        "etc/fstab": FSTAB.encode(),
        "boot/": b"",
        "srv/": b"",
        "var/hidden": b"",
    }
    for name, path in (
        ("root", ext4(tmp_path / "root", 4 * EXTENT, files)),
        ("var", ext4(tmp_path / "var", 3 * EXTENT, {"lib/dpkg/status": b"ok", "www/": b""})),
        ("swap", swap),
    ):
        data = path.read_bytes()
        count = len(data) // EXTENT
        text += (
            f'{name} {{ id = "{name}" status = ["READ", "VISIBLE"] segment_count = 1\n'
            f"segment1 {{ start_extent = 0 extent_count = {count} "
            f'type = "striped" stripe_count = 1 stripes = ["pv0", {at}] }} }}\n'
        )
        parts.append(data)
        at += count
    metadata = (
        f'my-vg {{ id = "group" seqno = 1 extent_size = {EXTENT // 512}\n'
        f'physical_volumes {{ pv0 {{ id = "{UUID}" pe_start = {PE_START // 512} }} }}\n'
        f"logical_volumes {{ {text} }} }}\n"
    )
    return physical_volume(UUID, metadata.encode(), b"".join(parts))


@pytest.fixture
def disks(tmp_path: Path) -> list[Path]:
    pv = member(tmp_path)
    mib = 1 << 20
    words = ("-n1:1M:+4M", "-t1:ef00", "-n2:5M:+8M", "-n3:13M:+40M", "-t3:8e00")
    first = disk(tmp_path / "one.img", 60 * mib, *words)
    second = disk(tmp_path / "two.img", 20 * mib, "-n7:2M:+16M", "-c7:srv data")
    esp = tmp_path / "esp"
    with esp.open("wb") as file:
        file.truncate(4 * mib)
    subprocess.run(["mkfs.vfat", "-i", "ABCD1234", str(esp)], check=True, capture_output=True)
    boot = ext4(
        tmp_path / "boot",
        8 * mib,
        {"vmlinuz": b"k", "efi/": b""},
        *("-U", "12345678-1234-1234-1234-123456789abc"),
    )
    srv = ext4(tmp_path / "srv", 16 * mib, {"www/index.html": b"<html>"})
    place(first, esp.read_bytes(), mib)
    place(first, boot.read_bytes(), 5 * mib)
    place(first, pv, 13 * mib)
    place(second, srv.read_bytes(), 2 * mib)
    return [first, second]


def files(tree: MachineTree) -> set[str]:
    return {
        (path + b"/" + name).decode().lstrip("/")
        for level in tree.walk(lambda path, *_: path.endswith(b"lost+found"))
        for path, _, _, entries in level
        for name, _, kind in entries
        if kind == 1
    }


EXPECTED = {
    "[covered:var]/hidden",
    "etc/os-release",
    "etc/fstab",
    "boot/vmlinuz",
    "srv/www/index.html",
    "var/lib/dpkg/status",
    "var/www/index.html",
}


def test_a_machine_of_two_disks_and_a_volume_group_is_one_tree(disks: list[Path]) -> None:
    register()
    with pyfilesystem.open_fs(f"image://{disks[0]},{disks[1]}") as machine:
        tree = machine.machine  # type: ignore[attr-defined]  # a MachineFS
        assert tree.problems == []
        assert files(tree) == EXPECTED
        assert machine.readbytes("/var/www/index.html") == b"<html>"
    with pyfilesystem.open_fs(f"image://{disks[0]},{disks[1]}!/var/lib") as inside:
        assert inside.readtext("dpkg/status") == "ok"


def test_without_its_second_disk_the_rest_is_read_and_the_loss_is_named(disks: list[Path]) -> None:
    register()
    with pyfilesystem.open_fs(f"image://{disks[0]}") as machine:
        tree = machine.machine  # type: ignore[attr-defined]  # a MachineFS
        assert files(tree) == {path for path in EXPECTED if "www" not in path}
        assert [p.where for p in tree.problems] == [
            "/etc/fstab: line 6 (/srv)",
            "/etc/fstab: line 8 (/var/www)",
        ]


def test_every_block_is_read_once(disks: list[Path]) -> None:
    pairs = [counted(str(path), path.stem) for path in disks]
    try:
        problems: list[Problem] = []
        slices = volumes([cache for cache, _ in pairs], problems)
        before = sum(len(fetcher.fetched) for _, fetcher in pairs)
        tree = assemble(slices, open_slices(slices, problems))
        files(tree)
        assert problems == []
        for _, fetcher in pairs:
            assert len(fetcher.fetched) == len(set(fetcher.fetched))
        # Tables and backups (4), the beginnings of three partitions and three volumes, one more
        # where the volume group's text may lie, and each MiB that belongs to no partition (7 and
        # 2): on a snapshot, those that were never written cost nothing.
        assert before <= 4 + 4 + 3 + 2 + 9
    finally:
        for cache, fetcher in pairs:
            cache.close()
            fetcher.close()


def test_units_and_gpt_types_mount_what_fstab_does_not_name(tmp_path: Path) -> None:
    mib = 1 << 20
    words = ("-n1:1M:+8M", "-t1:8304", "-n2:9M:+4M", "-t2:8302", "-n3:13M:+4M", "-c3:app data")
    one = disk(tmp_path / "one.img", 20 * mib, *words)
    unit = b"[Mount]\nWhat=/dev/disk/by-partlabel/app\\x20data\nWhere=/srv/app\n"
    lazily = b"[Automount]\nWhere=/srv/app\n[Install]\nWantedBy=local-fs.target\n"
    root = ext4(
        tmp_path / "root",
        8 * mib,
        {
            "etc/os-release": b"ID=test\n",
            "etc/fstab": b"/dev/xvdz /mnt auto nofail 0 2\n",
            "etc/systemd/system/srv-app.mount": unit,
            "etc/systemd/system/srv-app.automount": lazily,
            "etc/systemd/system/local-fs.target.wants/srv-app.automount": lazily,
            "usr/lib/systemd/system-generators/systemd-gpt-auto-generator": b"",
            "home/": b"",
            "srv/app/": b"",
        },
    )
    place(one, root.read_bytes(), mib)
    place(one, ext4(tmp_path / "home", 4 * mib, {"ada/x": b"1"}).read_bytes(), 9 * mib)
    place(one, ext4(tmp_path / "app", 4 * mib, {"app.jar": b"PK"}).read_bytes(), 13 * mib)
    register()
    with pyfilesystem.open_fs(f"image://{one}") as machine:
        tree = machine.machine  # type: ignore[attr-defined]  # a MachineFS
        assert tree.problems == []
        assert {"home/ada/x", "srv/app/app.jar"} <= files(tree)
        assert [summary.mount for summary in tree.filesystems] == ["/", "/srv/app", "/home"]


VOLUMES = "vol-0123456789abcdef0", "vol-0fedcba9876543210"


def _machine_that_names_volumes(tmp_path: Path) -> list[Path]:
    """Root, a partition and a whole disk by their EBS volumes' ids, and a /usr that none names."""
    mib = 1 << 20
    words = ("-n1:1M:+8M", "-t1:8304", "-n2:9M:+4M", "-n3:13M:+4M", f"-t3:{USR_TYPE}")
    one = disk(tmp_path / "one.img", 20 * mib, *words)
    link = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_"
    serials = [volume.replace("-", "") for volume in VOLUMES]
    fstab = (
        f"{link}{serials[0]}-part1 / ext4\n{link}{serials[0]}_1-part2 /var ext4\n"
        f"{link}{serials[1]} /srv ext4\n"
    )
    release = b"ID=test\nVERSION_ID=1\n"
    root = {"etc/os-release": release, "etc/fstab": fstab.encode()}
    root |= {"var/": b"", "srv/": b"", "usr/": b""}
    place(one, ext4(tmp_path / "root", 8 * mib, root).read_bytes(), mib)
    place(one, ext4(tmp_path / "var", 4 * mib, {"lib/x": b"1"}).read_bytes(), 9 * mib)
    place(one, ext4(tmp_path / "usr", 4 * mib, {"bin/sh": b"#!"}).read_bytes(), 13 * mib)
    return [one, ext4(tmp_path / "srv.img", 4 * mib, {"www": b"<p>"})]


def test_ebs_volumes_are_mounted_by_their_ids(tmp_path: Path) -> None:
    one, two = _machine_that_names_volumes(tmp_path)
    register()
    # The disks in the other order: it is the ids that show which is which.
    url = f"image://{two},{one}?volumes={VOLUMES[1]},{VOLUMES[0]}"
    with pyfilesystem.open_fs(url) as machine:
        tree = machine.machine  # type: ignore[attr-defined]  # a MachineFS
        assert tree.problems == []
        assert {"var/lib/x", "srv/www", "usr/bin/sh"} <= files(tree)
        assert [summary.mount for summary in tree.filesystems] == ["/", "/usr", "/var", "/srv"]
    with pyfilesystem.open_fs(f"image://{two},{one}") as machine:
        tree = machine.machine  # type: ignore[attr-defined]  # a MachineFS
        # Nobody says which volumes they are: what is not mounted is named, and still read.
        assert [p.where for p in tree.problems] == [
            f"/etc/fstab: line {number} (/{target})" for number, target in ((2, "var"), (3, "srv"))
        ]
        assert [name.rpartition(b":")[2] for name in sorted(tree.extra)] == [b"p2]", b"srv.img]"]
        assert {"lib/x", "www"} <= {path.partition("]/")[2] for path in files(tree)}
    with pytest.raises(OpenerError, match="is not an EBS volume's id"):
        pyfilesystem.open_fs(f"image://{one}?volumes=snap-1")


def test_the_command_line_takes_the_volumes_too(tmp_path: Path) -> None:
    targets = _machine_that_names_volumes(tmp_path)
    options = [word for volume in VOLUMES for word in ("--volume", volume)]
    words = ["cat", *options, *map(str, targets), "/srv/www"]
    command = [sys.executable, "-m", "dispatcher.cli", *words]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"<p>", b"")
