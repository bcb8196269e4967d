"""dpkg's database as dpkg-query shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.os.dpkg import DpkgLists, DpkgStatus, OpkgStatus
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Extraction

_STATUS = "var/lib/dpkg/status"
_MACHINE = Machine(OperatingSystem(id="debian", version_id="12"))


def _extract(
    data: bytes, path: str = _STATUS, siblings: dict[str, bytes] | None = None
) -> Extraction:
    return DpkgStatus().extract(MemoryFile(data, path, siblings or {}), _MACHINE)


def _stanza(name: str, state: str = "install ok installed", more: str = "") -> bytes:
    return (
        f"Package: {name}\nStatus: {state}\nArchitecture: amd64\nVersion: 1.0-1\n{more}\n".encode()
    )


def test_reads_name_version_source_and_architecture() -> None:
    found = _extract(
        b"Package: libc6\nStatus: install ok installed\nMaintainer: A <a@b>\nArchitecture: amd64\n"
        b"Source: glibc (2.36-9)\nVersion: 1:2.36-9+deb12u4\nDescription: first\n .\n Version: no\n"
    )
    (package,) = found.packages
    assert found.problems == []
    assert (package.name, package.version) == ("libc6", "1:2.36-9+deb12u4")
    assert (package.source_name, package.source_version) == ("glibc", "2.36-9")
    assert (package.arch, package.vendor) == ("amd64", "A <a@b>")
    assert package.path == "/var/lib/dpkg/status"
    assert package.purl == (
        "pkg:deb/debian/libc6@1:2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12&upstream=glibc%402.36-9"
    )


def test_a_package_is_its_own_source_where_none_is_named() -> None:
    (package,) = _extract(_stanza("bash")).packages
    assert (package.source_name, package.source_version) == ("bash", "1.0-1")


@pytest.mark.parametrize(
    ("state", "installed"),
    [
        ("install ok installed", True),
        ("hold ok installed", True),
        ("deinstall reinstreq installed", True),
        ("install ok unpacked", True),
        ("install ok half-configured", True),
        ("install reinstreq half-installed", True),
        ("install ok triggers-awaited", True),
        ("install ok triggers-pending", True),
        ("deinstall ok config-files", False),
        ("purge ok not-installed", False),
        ("Purge OK Not-Installed", False),
    ],
)
def test_a_state_with_files_counts_as_installed(state: str, installed: bool) -> None:
    assert bool(_extract(_stanza("a", state)).packages) is installed


def test_what_dpkg_wrote_since_the_last_status_counts() -> None:
    status = b"\n".join([_stanza("kept"), _stanza("removed"), _stanza("upgraded")])
    updates = {
        "updates/0000": _stanza("upgraded").replace(b"1.0-1", b"2.0-1"),
        "updates/0001": b"Package: removed\nStatus: purge ok not-installed\n",
        "updates/0003": _stanza("after a gap"),
    }
    found = _extract(status, siblings=updates)
    assert {(p.name, p.version) for p in found.packages} == {
        ("kept", "1.0-1"),
        ("upgraded", "2.0-1"),
    }


def test_two_architectures_of_a_package_are_two() -> None:
    both = _stanza("libc6") + b"\n" + _stanza("libc6").replace(b"amd64", b"i386")
    assert [package.arch for package in _extract(both).packages] == ["amd64", "i386"]


def test_a_damaged_stanza_is_a_problem_and_loses_no_other() -> None:
    found = _extract(
        b"\n".join(
            [
                _stanza("a"),
                b"\0\0\0\0\n",
                b"Package: nameless\nStatus: install ok installed\n",
                _stanza("b"),
            ]
        )
    )
    assert [package.name for package in found.packages] == ["a", "b"]
    assert len(found.problems) == 3
    assert {problem.where for problem in found.problems} == {"/var/lib/dpkg/status"}


def test_distroless_files_count_without_a_status() -> None:
    path = "var/lib/dpkg/status.d/foo"
    assert _extract(b"Package: foo\nVersion: 1\n", path).packages[0].path == f"/{path}"
    assert _extract(b"Package: foo\nVersion: 1\n").packages == []


def test_files_in_add_on_places_are_not_owned() -> None:
    data = b"/.\n/opt/app/a.jar\n/usr/local/lib/b.jar\n/usr/share/app/c.jar\n"
    found = DpkgLists().extract(MemoryFile(data, "var/lib/dpkg/info/app.list"), _MACHINE)
    assert {path for path in found.owned if path.endswith(".jar")} == {"usr/share/app/c.jar"}


def test_lists_and_checksums_show_owned_files() -> None:
    listed = DpkgLists().extract(MemoryFile(b"/.\n/usr\n/usr/bin/a\n/etc/\xff\n"), _MACHINE)
    assert {"usr/bin/a", "etc/\udcff"} <= listed.owned
    sums = _extract(b"0" * 32 + b"  usr/bin/a\n", "var/lib/dpkg/status.d/a.md5sums")
    assert sums.owned == {"usr/bin/a"}
    assert sums.packages == []


def test_opkg_writes_the_same_format() -> None:
    file = MemoryFile(_stanza("ubus"), "usr/lib/opkg/status")
    (package,) = OpkgStatus().extract(file, Machine(OperatingSystem(id="openwrt"))).packages
    assert package.purl == "pkg:opkg/openwrt/ubus@1.0-1?arch=amd64&distro=openwrt"


@pytest.mark.conformance
@pytest.mark.parametrize(
    "name",
    ["single", "statusfield", "trailingnewlines", "transitional", "valid", "transitional_dummy"],
)
def test_real_files_equal_dpkg_query(shared_data: Path, tmp_path: Path, name: str) -> None:
    source = shared_data / "manifests/osv-scalibr/os/dpkg/testdata/dpkg" / name
    _compare(source.read_bytes(), tmp_path)


@pytest.mark.parametrize("updates", [0, 3])
def test_equals_dpkg_query_in_the_middle_of_a_run(tmp_path: Path, updates: int) -> None:
    stanzas = [_stanza(f"p{number}", more="Maintainer: a\nDescription: x\n") for number in range(9)]
    (tmp_path / "updates").mkdir()
    for number in range(updates):
        changed = stanzas[number].replace(b"1.0-1", b"7.0-1")
        (tmp_path / "updates" / f"{number:04}").write_bytes(changed)
    _compare(b"\n".join(stanzas), tmp_path)


def test_this_machine_equals_dpkg_query(tmp_path: Path) -> None:
    status = Path("/var/lib/dpkg/status")
    if not status.is_file():
        pytest.skip("this machine has no dpkg database")
    _compare(status.read_bytes(), tmp_path)


def _compare(status: bytes, directory: Path) -> None:
    """The packages of a database equal `dpkg-query -W`'s, states without files left out."""
    if shutil.which("dpkg-query") is None:
        pytest.skip("no dpkg-query")
    (directory / "status").write_bytes(status)
    (directory / "updates").mkdir(exist_ok=True)
    (directory / "info").mkdir()
    (directory / "info/format").write_text("1\n")
    form = "${Package}|${Version}|${Architecture}|${source:Package}|${source:Version}|${Status}\\n"
    shown = subprocess.run(
        ["dpkg-query", f"--admindir={directory}", "-W", "-f", form],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    expected = {
        line.rpartition("|")[0]
        for line in shown.splitlines()
        if not re.search(r"(config-files|not-installed)$", line)
    }
    siblings = {
        f"updates/{path.name}": path.read_bytes() for path in (directory / "updates").iterdir()
    }
    found = DpkgStatus().extract(MemoryFile(status, _STATUS, siblings), _MACHINE).packages
    assert {
        f"{p.name}|{p.version}|{p.arch}|{p.source_name}|{p.source_version}" for p in found
    } == expected
