"""OSTree: the deployment that boots is the machine's root; the others are set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.disk import VolumeSlice
from sidelight.filesystems.machine.mount_table import MachineTree, assemble
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.fakes.sources import MemorySource
from tests.fixtures.machine_trees import walked

if TYPE_CHECKING:
    from collections.abc import Mapping


def _deployment(number: str) -> dict[str, object]:
    usr = {"lib": {"os-release": b"ID=fedora\nVERSION_ID=%s\n" % number.encode()}, number: b""}
    return {"usr": usr, "etc": {"os-release": "../usr/lib/os-release"}, "var": {}, "boot": {}}


def _entry(version: int, link: str) -> bytes:
    return (
        f"title Fedora\nversion {version}\nlinux /ostree/x/vmlinuz\n"
        f"options root=UUID=x ostree=/ostree/boot.1/fcos/{link}/0 rw\n"
    ).encode()


def _physical(entries: Mapping[str, bytes] | None, *sums: str) -> dict[str, object]:
    physical: dict[str, object] = {
        "ostree": {
            "boot.1": "boot.1.1",
            "boot.1.1": {"fcos": {s: {"0": f"../../../deploy/fcos/deploy/{s}.0"} for s in sums}},
            "deploy": {
                "fcos": {
                    "deploy": {f"{s}.0": _deployment(s) for s in sums},
                    "var": {"lib": {"state": b""}},
                }
            },
            "repo": {"config": b"", "objects": {"ab": {"cd.file": b""}}},
        },
        "extra": {"mine.jar": b""},
    }
    if entries is not None:
        physical["boot"] = {"loader": "loader.1", "loader.1": {"entries": dict(entries)}}
    return physical


def _assembled(*filesystems: Mapping[str, object]) -> MachineTree:
    slices, opened = [], []
    for number, files in enumerate(filesystems, 1):
        fs = MemoryFilesystem(files, f"disk/p{number}")
        source = MemorySource(b"", fs.source_name)
        slices.append(VolumeSlice(source, fs.source_name, 0, number, kind="xfs"))
        opened.append((slices[-1], fs))
    return assemble(slices, opened)


ENTRIES = {
    "ostree-1-fcos.conf": _entry(1, "39"),
    "ostree-2-fcos.conf": _entry(2, "40"),
}


@pytest.mark.parametrize("apart", [False, True], ids=["one filesystem", "a /boot of its own"])
def test_the_deployment_of_the_boot_entry_with_the_highest_version_is_the_root(apart: bool) -> None:
    if apart:
        boot = {"loader": "loader.1", "loader.1": {"entries": ENTRIES}}
        tree = _assembled(boot, _physical(None, "39", "40"))
    else:
        tree = _assembled(_physical(ENTRIES, "39", "40"))
    assert tree.read("/etc/os-release") == b"ID=fedora\nVERSION_ID=40\n"
    assert tree.problems == []
    assert len(tree.left_out) == 1
    assert tree.left_out[0].endswith("deployment ostree/deploy/fcos/deploy/39.0")
    paths = walked(tree)
    assert {"usr/40", "var/lib/state"} <= paths
    assert sum(path.endswith("/40") and "usr" in path for path in paths) == 1
    assert not any(path.endswith("usr/39") or "cd.file" in path for path in paths)
    # What is in the physical root and is not a deployment is still seen.
    assert any(path.endswith("extra/mine.jar") for path in paths)
    assert sum(path.endswith("lib/state") for path in paths) == 1


def test_without_a_boot_entry_a_single_deployment_is_the_root() -> None:
    tree = _assembled(_physical(None, "39"))
    assert tree.problems == []
    assert tree.find("/usr/39") is not None


def test_without_a_boot_entry_several_deployments_are_a_problem() -> None:
    tree = _assembled(_physical({"odd.conf": b"options ostree=/nowhere\n"}, "39", "40"))
    (problem,) = tree.problems
    assert "no boot entry" in problem.what


def test_a_system_with_a_repository_beside_its_own_root_is_not_deployed() -> None:
    files = _physical(ENTRIES, "39", "40") | {"etc": {"os-release": b"ID=debian\n"}}
    tree = _assembled(files)
    assert tree.read("/etc/os-release") == b"ID=debian\n"
