"""Mount units, systemd's reading of fstab and its discovery by GPT types, beside systemd's own."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight.disk import VolumeSlice
from sidelight.filesystems.machine import (
    directory_cache,
    discoverable,
    fstab,
    namespace,
    systemd_units,
)
from sidelight.filesystems.machine.mount_table import assemble
from sidelight.filesystems.machine.systemd_units import (
    MOST_UNITS,
    enabled_mounts,
    escape,
    parse_mount,
)
from sidelight.filesystems.machine.tree import MachineTree
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.fakes.sources import MemorySource

if TYPE_CHECKING:
    from collections.abc import Mapping

GENERATOR = "/usr/lib/systemd/system-generators/systemd-fstab-generator"
VAR_UUID = discoverable.VAR
HOME = "933ac7e1-2eb4-4f13-b844-0e14e2aef915"
UNIT = b"[Unit]\nDescription=x\n[Mount]\nWhat=LABEL=%s\nWhere=/%s\nType=ext4\n"

needs_generator = pytest.mark.skipif(not os.access(GENERATOR, os.X_OK), reason="needs systemd")
needs_systemctl = pytest.mark.skipif(not shutil.which("systemctl"), reason="needs systemctl")


def made_by_systemd(text: bytes) -> dict[bytes, bytes]:
    """Mount point -> options of what the generator would start at boot."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fstab").write_bytes(text)
        for word in ("a", "b", "c"):
            (folder / word).mkdir()
        subprocess.run(
            [GENERATOR, *[str(folder / word) for word in ("a", "b", "c")]],
            env={"SYSTEMD_FSTAB": str(folder / "fstab"), "PATH": os.environ["PATH"]},
            check=False,
            capture_output=True,
        )
        found = {}
        for link in sorted((folder / "a").glob("local-fs.target.*/*")):
            unit = folder / "a" / link.name.replace(".automount", ".mount")
            if unit.suffix == ".mount" and unit.exists():
                parser = configparser.ConfigParser(interpolation=None, strict=False)
                parser.optionxform = str  # type: ignore[method-assign,assignment]
                parser.read_string(unit.read_text())
                mount = parser["Mount"]
                where = mount["Where"].replace("%%", "%").encode()
                found[where.strip(b"/")] = mount["What"].encode()
        return found


LINE = st.tuples(
    st.sampled_from(["/dev/xvdb1", "LABEL=data", "UUID=ab-cd", "/srv/x"]),
    st.sampled_from(["/var", "/var/log", "/data\\040x", "/a-b", "/opt/", "//mnt//y"]),
    st.sampled_from(["ext4", "xfs", "auto", "tmpfs", "nfs"]),
    st.sampled_from(["", "defaults", "noauto", "nofail", "noauto,x-systemd.automount", "bind"]),
).filter(
    lambda line: (
        ("bind" in line[3]) == line[0].startswith("/srv")
        # A network's type would make even a directory wait for the network.
        and not ("bind" in line[3] and line[2] == "nfs")
    )
)


@needs_generator
@settings(max_examples=30, deadline=None)
@given(st.lists(LINE, max_size=5))
def test_fstab_says_what_systemd_takes_from_it(lines: list[tuple[str, ...]]) -> None:
    text = "LABEL=root / ext4\n" + "".join(" ".join(line).strip() + "\n" for line in lines)
    systemd_mounts = made_by_systemd(text.encode())
    systemd_mounts.pop(b"", None)
    fstab_lines: dict[bytes, fstab.Line] = {}
    elsewhere = set()
    for raw in text.encode().splitlines():
        target = fstab.mountable(b"/dev/x", raw.split()[1].replace(b"\\040", b" "), b"auto", b"")
        assert target is not None
        line = next(fstab.parse(raw), None)
        if target.target in fstab_lines or target.target in elsewhere:
            continue
        if line is None:
            elsewhere.add(target.target)
        elif target.target:
            fstab_lines[target.target] = line
    assert set(systemd_mounts) - elsewhere == {
        target for target, line in fstab_lines.items() if line.at_boot
    }


@needs_systemctl
@given(st.lists(st.text("ab.-_:é \\x\u20ac", min_size=1, max_size=6), max_size=3))
@settings(max_examples=15, deadline=None)
def test_units_are_named_as_systemd_names_them(parts: list[str]) -> None:
    path = "/".join(part for part in parts if part.strip(".")) or "/"
    command = ["systemd-escape", "--path", "/" + path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        assert escape(path.strip("/").encode()).decode() == done.stdout.rstrip("\n")


def tree_of(folder: Path) -> dict[str, object]:
    """A folder as MemoryFilesystem takes it."""
    found: dict[str, object] = {}
    for path in folder.iterdir():
        if path.is_symlink():
            found[path.name] = str(path.readlink())
        else:
            found[path.name] = tree_of(path) if path.is_dir() else path.read_bytes()
    return found


@needs_systemctl
def test_units_that_systemctl_enables_are_mounted(tmp_path: Path) -> None:
    etc, vendor = tmp_path / "etc/systemd/system", tmp_path / "usr/lib/systemd/system"
    etc.mkdir(parents=True)
    vendor.mkdir(parents=True)
    for folder, name, wanted in (
        (etc, "data", "local-fs.target"),
        (vendor, "var-lib", "multi-user.target"),
        (etc, "off", "local-fs.target"),
        (etc, "late", "local-fs.target"),
        (etc, "hidden", "local-fs.target"),
    ):
        unit = UNIT % (name.encode(), name.replace("-", "/").encode())
        path = folder / f"{name}.mount"
        path.write_bytes(unit + b"[Install]\nWantedBy=%s\n" % wanted.encode())
    automount = "[Automount]\nWhere=/late\n[Install]\nWantedBy=local-fs.target\n"
    (etc / "late.automount").write_text(automount)
    enable = ["systemctl", f"--root={tmp_path}", "enable", "data.mount", "var-lib.mount"]
    for command in (
        [*enable, "late.automount", "hidden.mount"],
        ["systemctl", f"--root={tmp_path}", "disable", "hidden.mount"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    above, below = enabled_mounts(MachineTree(MemoryFilesystem(tree_of(tmp_path))))
    found = {line.target for line in above if not line.dormant} | {line.target for line in below}
    states = subprocess.run(
        ["systemctl", f"--root={tmp_path}", "list-unit-files", "--state=enabled", "--no-legend"],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    names = {word.rpartition(".")[0] for word in states if word.endswith("mount")}
    assert found == {name.replace("-", "/").encode() for name in names}
    assert found == {b"data", b"var/lib", b"late"}


def machine(etc: dict[str, object], vendor: dict[str, object], text: str = "") -> MachineTree:
    root = {
        "etc": {"os-release": b"ID=test\n", "fstab": text.encode(), "systemd": {"system": etc}},
        "usr": {"lib": {"systemd": {"system": vendor, "systemd": b""}}},
        "lib": "usr/lib",
        "data": {},
    }
    disks: dict[str, dict[str, object]] = {
        "root": root,
        "one": {"in-one": b""},
        "two": {"in-two": b""},
    }
    slices, opened = [], []
    for index, (label, files) in enumerate(disks.items()):
        fs = MemoryFilesystem(files, f"disk{index}")
        source = MemorySource(b"", fs.source_name)
        slices.append(VolumeSlice(source, fs.source_name, index, label=label, kind="ext4"))
        opened.append((slices[-1], fs))
    return assemble(slices, opened)


def at_data(tree: MachineTree) -> list[str]:
    return [name.decode() for name, _, _ in tree.listdir("/data")]


ONE, TWO = UNIT % (b"one", b"data"), UNIT % (b"two", b"data")
PULLED: dict[str, object] = {"local-fs.target.wants": {"data.mount": "../data.mount"}}


@pytest.mark.parametrize(
    ("etc", "vendor", "text", "expected"),
    [
        ({"data.mount": ONE, **PULLED}, {}, "", ["in-one"]),
        ({"data.mount": ONE}, {}, "", []),
        ({}, {"data.mount": ONE, **PULLED}, "", ["in-one"]),
        ({"data.mount": TWO}, {"data.mount": ONE, **PULLED}, "", ["in-two"]),
        ({"data.mount": "/dev/null"}, {"data.mount": ONE, **PULLED}, "", []),
        ({}, {"data.mount": ONE, **PULLED}, "LABEL=two /data ext4\n", ["in-two"]),
        ({"data.mount": ONE}, {}, "LABEL=two /data ext4\n", ["in-one"]),
        ({"data.mount": ONE, **PULLED}, {}, "LABEL=two /data ext4 noauto\n", ["in-one"]),
        ({"data.mount": UNIT % (b"one", b"dada"), **PULLED}, {}, "", []),
        ({"data.mount": ONE, "rescue.target.wants": {"data.mount": "../data.mount"}}, {}, "", []),
        (
            {
                "data.mount": ONE,
                **PULLED,
                "data.mount.d": {"9.conf": b"[Mount]\nWhat=LABEL=two\n", "1.conf": b"[Mount]\nW\n"},
            },
            {"data.mount.d": {"9.conf": b"[Mount]\nWhat=LABEL=none\n"}},
            "",
            ["in-two"],
        ),
    ],
)
def test_the_unit_that_rules_is_the_one_that_systemd_would_take(
    etc: dict[str, object], vendor: dict[str, object], text: str, expected: list[str]
) -> None:
    tree = machine(etc, vendor, text)
    assert at_data(tree) == expected
    assert tree.problems == []


def test_a_unit_whose_device_is_absent_is_a_problem_that_names_it() -> None:
    tree = machine({"data.mount": UNIT % (b"gone", b"data"), **PULLED}, {})
    (problem,) = tree.problems
    assert problem.where == "/etc/systemd/system/data.mount (/data)"


def test_settings_go_on_after_a_backslash_and_percents_are_doubled() -> None:
    text = b"[Mount]\nOptions=ro,\\\n  nofail\n# What=no\nWhat = /dev/a%%b\n[Install]\nWhere=/x\n"
    assert parse_mount(text) == {b"Options": b"ro, nofail", b"What": b"/dev/a%b"}


@given(st.binary(max_size=200))
def test_any_unit_is_survived(text: bytes) -> None:
    parse_mount(b"[Mount]\n" + text)
    machine({"data.mount": text, **PULLED}, {})


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
