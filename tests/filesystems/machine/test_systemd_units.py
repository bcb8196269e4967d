"""Mount units and systemd's reading of fstab, compared with systemd's own."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight.filesystems.machine import fstab
from sidelight.filesystems.machine.systemd_units import enabled_mounts, escape, parse_mount
from sidelight.filesystems.machine.tree import MachineTree
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.fixtures.mount_units import ONE, PULLED, TWO, UNIT, at_data, machine

GENERATOR = "/usr/lib/systemd/system-generators/systemd-fstab-generator"
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
