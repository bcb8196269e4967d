"""Very many, very large and circular mount units: bounded, and reported."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from sidelight.disk import VolumeSlice
from sidelight.filesystems.machine import directory_cache, namespace, systemd_units
from sidelight.filesystems.machine.mount_table import assemble
from sidelight.filesystems.machine.systemd_units import MOST_UNITS
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.fakes.sources import MemorySource
from tests.fixtures.mount_units import ONE, PULLED, UNIT, at_data, machine

if TYPE_CHECKING:
    from sidelight.filesystems.machine.tree import MachineTree

# --- hostile disks ---


def reads(tree: MachineTree) -> int:
    assert isinstance(tree.root, MemoryFilesystem)
    return sum(what == "read" for what, _ in tree.root.requests)


def whats(tree: MachineTree) -> str:
    return "\n".join(f"{problem.where}: {problem.what}" for problem in tree.problems)


def test_a_mount_unit_among_many_others_is_found() -> None:
    others = {f"a{number}.service": b"" for number in range(MOST_UNITS + 10)}
    tree = machine({**others, "data.mount": ONE, **PULLED}, dict(others))
    assert at_data(tree) == ["in-one"]
    assert tree.problems == []


@pytest.mark.slow
def test_of_very_many_units_some_are_read_and_the_rest_is_a_problem() -> None:
    many = {f"d{number}.mount": UNIT % (b"gone", b"d%d" % number) for number in range(100_000)}
    pulled = {name: f"../{name}" for name in many}
    hostile: dict[str, object] = {**many, "local-fs.target.wants": pulled}
    for etc, vendor in ((hostile, {}), ({}, hostile), (many, hostile)):
        tree = machine(dict(etc), dict(vendor))
        assert reads(tree) <= MOST_UNITS + 10
        assert f"{MOST_UNITS} of them are looked at" in whats(tree)
        assert len(tree.problems) <= MOST_UNITS + 10


def test_very_many_directories_that_pull_units_in_are_a_problem() -> None:
    links = {"data.mount": "../data.mount"}
    many: dict[str, object] = {f"x{number}.target.wants": links for number in range(10_000)}
    tree = machine({"data.mount": ONE, **many}, {})
    assert at_data(tree) == ["in-one"]
    assert "10000 directories that pull units in" in whats(tree)
    assert isinstance(tree.root, MemoryFilesystem)
    assert sum(what == "directory" for what, _ in tree.root.requests) < MOST_UNITS + 100


def test_a_folder_of_very_many_drop_ins_is_read_in_part_and_reported() -> None:
    drop_ins = {f"{number:06}.conf": b"[Mount]\nWhat=LABEL=two\n" for number in range(100_000)}
    tree = machine({"data.mount": ONE, "data.mount.d": drop_ins, **PULLED}, {})
    assert at_data(tree) == ["in-two"]
    assert reads(tree) <= MOST_UNITS + 10
    assert "100000 drop-ins of data.mount" in whats(tree)


def test_units_have_a_limit_of_bytes_each_and_together() -> None:
    padding = b"# " + b"x" * (systemd_units.LONGEST - 100) + b"\n"
    many: dict[str, object] = {
        f"d{number}.mount": padding + UNIT % (b"gone", b"d%d" % number) for number in range(200)
    }
    tree = machine(many, {})
    assert reads(tree) * len(padding) < systemd_units.MOST_BYTES + 10 * len(padding)
    assert f"more than {systemd_units.MOST_BYTES >> 20} MiB of mount units" in whats(tree)
    tree = machine({"data.mount": ONE + b"#" * systemd_units.LONGEST, **PULLED}, {})
    assert at_data(tree) == ["in-one"]
    assert f"data.mount: more than {systemd_units.LONGEST} bytes" in whats(tree)


@pytest.mark.parametrize(
    ("where", "what"),
    [(b"/" + b"a/" * 30_000, b"LABEL=one"), (b"/data", b"/" + b"b/" * 30_000)],
)
def test_very_deep_paths_of_units_and_fstab_take_no_memory_of_their_square(
    where: bytes, what: bytes
) -> None:
    options = b"bind" if what.startswith(b"/") else b"ro"
    unit = b"[Mount]\nWhat=%s\nWhere=%s\nOptions=%s\n" % (what, where, options)
    line = b"%s %s auto %s\n" % (what, where, options)
    tracemalloc.start()
    tree = machine({"data.mount": unit, **PULLED}, {}, (line * 8).decode())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert at_data(tree) == []
    assert peak < 16 << 20


def test_binds_in_a_circle_and_onto_themselves_end() -> None:
    count = 300
    etc: dict[str, object] = {}
    for number in range(count):
        text = b"[Mount]\nWhat=/c/%d\nWhere=/c/%d\nOptions=rbind\n"
        source = number if number % 7 == 0 else (number + 1) % count
        etc[f"c-{number}.mount"] = text % (source, number)
    pulled = {name: f"../{name}" for name in etc}
    root = {
        "etc": {"os-release": b"ID=x\n", "systemd": {"system": {**etc, "a.target.wants": pulled}}},
        "c": {str(number): {f"in-{number}": b""} for number in range(count)},
    }
    fs = MemoryFilesystem(root, "disk")
    volume_slice = VolumeSlice(MemorySource(b"", "disk"), "disk", 0, kind="ext4")
    tree = assemble([volume_slice], [(volume_slice, fs)])
    assert len(tree.mounts) == count + 1 + sum(name.startswith(b"[") for name in tree.extra)
    assert sum(len(entries) for level in tree.walk() for *_, entries in level) < 100 * count


def test_what_finding_the_mounts_costs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two directories of more names than are kept, looked up in turns.
    monkeypatch.setattr(directory_cache, "CACHED_NAMES", 100)
    monkeypatch.setattr(namespace, "MAX_LOOK_UPS", 20_000)
    full = {f"f{number}": b"" for number in range(2000)}
    etc: dict[str, object] = {f"v{number}.mount": UNIT % (b"one", b"v") for number in range(100)}
    tree = machine(dict(full) | etc, dict(full))
    assert isinstance(tree.root, MemoryFilesystem)
    inode_number = tree.find(systemd_units.ADMINISTRATOR).inode  # type: ignore[union-attr]
    assert tree.root.requests.count(("directory", inode_number)) < 20
    assert "mounts need more than 20000 look-ups" in whats(tree)
    assert at_data(tree) == []  # no limit afterwards
