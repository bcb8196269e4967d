"""Partitions that systemd mounts by their GPT types."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.disk import VolumeSlice
from sidelight.filesystems.machine import discoverable
from sidelight.filesystems.machine.mount_table import assemble
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.fakes.sources import MemorySource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.filesystems.machine.tree import MachineTree


VAR_UUID = discoverable.VAR
HOME = "933ac7e1-2eb4-4f13-b844-0e14e2aef915"

# --- systemd-gpt-auto-generator ---

MACHINE_ID = "3d1219c7c4c5404aaa1f6d2a48adfda4"


def discovering(text: str, var_uuid: str, attributes: int = 0, disk: int = 0) -> MachineTree:
    generators = {"systemd-gpt-auto-generator": b""}
    root: dict[str, object] = {
        "etc": {"os-release": b"", "fstab": text.encode(), "machine-id": MACHINE_ID.encode()},
        "usr": {"lib": {"systemd": {"system-generators": generators}}},
        "home": {},
        "var": {},
        "srv": {"full": b""},
    }
    srv = "3b8f8425-20e0-4f3b-907f-1a25a76f98e8"
    slices, opened = [], []
    partitions: list[tuple[str, str, dict[str, object]]] = [
        ("", "r", root),
        (HOME, "h", {"user": b""}),
        (VAR_UUID, var_uuid, {"lib": b""}),
        (srv, "s", {"www": b""}),
    ]
    for number, (kind, uuid, files) in enumerate(partitions, 1):
        fs = MemoryFilesystem(files, f"disk/p{number}")
        volume_slice = VolumeSlice(
            MemorySource(b"", fs.source_name), fs.source_name, disk if kind else 0, number,
            parttype=kind, partuuid=uuid, kind="ext4", attributes=attributes,
        )  # fmt: skip
        slices.append(volume_slice)
        opened.append((volume_slice, fs))
    return assemble(slices, opened)


def shown(tree: MachineTree) -> list[str]:
    return sorted(summary.mount for summary in tree.filesystems if summary.mount)


def test_partitions_are_discovered_by_their_types() -> None:
    var_uuid = discoverable.variable_uuid(bytes.fromhex(MACHINE_ID))
    # What `systemd-id128 machine-id --app-specific=` printed for that id.
    assert var_uuid.replace("-", "") == "24e43059973449cda32ebcae30d648ed"
    assert shown(discovering("", var_uuid)) == ["/", "/home", "/var"]
    assert shown(discovering("", "another machine's")) == ["/", "/home"]
    assert shown(discovering("PARTUUID=s /home ext4\n", var_uuid)) == ["/", "/home", "/var"]
    assert shown(discovering("", var_uuid, attributes=1 << 63)) == ["/"]
    assert shown(discovering("", var_uuid, disk=1)) == ["/"]


X86_USR = "8484680c-9521-48c6-9c11-b0720656f69e"
ARM_USR = "b0e01050-ee5f-4390-949a-9101b17104e9"


def with_usr(
    *parts: tuple[str, str, int],  # GPT type, label, attributes
    fstab: str = "",
    usr: Mapping[str, object] | None = None,
    disk: int = 0,
) -> MachineTree:
    """A root without a /usr of its own unless one is given, and partitions beside it."""
    etc = {"os-release": b"", "fstab": fstab.encode()}
    trees: list[dict[str, object]] = [{"etc": etc, "usr": usr or {}}]
    trees += [{"share": {label: b""}} for _, label, _ in parts]
    slices, opened = [], []
    for number, (files, (kind, label, attributes)) in enumerate(
        zip(trees, [("", "", 0), *parts], strict=True), 1
    ):
        fs = MemoryFilesystem(files, f"disk/p{number}")
        volume_slice = VolumeSlice(
            MemorySource(b"", fs.source_name), fs.source_name, disk if kind else 0, number,
            parttype=kind, partuuid=f"part-{number}", partlabel=label, kind="ext4",
            attributes=attributes,
        )  # fmt: skip
        slices.append(volume_slice)
        opened.append((volume_slice, fs))
    return assemble(slices, opened)


def usr_of(tree: MachineTree) -> list[bytes]:
    assert tree.problems == []
    return [name for name, _, _ in tree.listdir("/usr/share")] if shown(tree) != ["/"] else []


def test_a_usr_is_discovered_where_the_roots_own_is_empty() -> None:
    assert usr_of(with_usr((X86_USR, "usr", 0))) == [b"usr"]
    assert usr_of(with_usr((ARM_USR, "usr", 0))) == [b"usr"]
    assert usr_of(with_usr((X86_USR, "usr", 1 << 63))) == []
    assert usr_of(with_usr((X86_USR, "usr", 0), disk=1)) == []
    assert usr_of(with_usr((HOME, "usr", 0))) == []
    assert usr_of(with_usr((X86_USR, "usr", 0), usr={"bin": {}})) == []


def test_of_several_usr_the_newest_is_taken_and_fstab_rules_over_it() -> None:
    both = (X86_USR, "os_9", 0), (X86_USR, "os_10", 0)
    assert usr_of(with_usr(*both)) == [b"os_10"]
    assert usr_of(with_usr(*both[::-1])) == [b"os_10"]
    assert usr_of(with_usr(*both, fstab="PARTUUID=part-2 /usr ext4\n")) == [b"os_9"]


@pytest.mark.skipif(not shutil.which("systemd-id128"), reason="needs systemd-id128")
def test_vars_uuid_is_what_systemd_derives() -> None:
    machine_id = Path("/etc/machine-id")
    if not machine_id.exists() or len(machine_id.read_text().strip()) != 32:
        pytest.skip("needs /etc/machine-id")
    command = ["systemd-id128", "machine-id", f"--app-specific={VAR_UUID}"]
    systemd_uuid = subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.strip()
    var_uuid = discoverable.variable_uuid(bytes.fromhex(machine_id.read_text().strip()))
    assert var_uuid.replace("-", "") == systemd_uuid
