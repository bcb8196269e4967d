"""Which paths the packages of dpkg, apk and opkg own, and how many are kept."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import LimitError
from sidelight.inventory.os.apk import parse_installed
from sidelight.inventory.os.dpkg import DpkgLists, DpkgStatus, OpkgStatus
from sidelight.inventory.os.pacman import PacmanLocal
from sidelight.inventory.os.portage import PortageDatabase
from sidelight.inventory.ownership import Ownership
from sidelight.inventory.protocol import Extraction
from tests.fakes.memory_file import MemoryFile
from tests.inventory.os.dpkg_stanzas import DEBIAN_12, DEBIAN_MACHINE, dpkg_stanza

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Extractor


def _owned(status: str, lists: dict[str, str], target: str, *, diversions: str = "") -> bool:
    owned = Ownership((), [target])
    path = "var/lib/dpkg/"
    files: list[tuple[Extractor, str, str]] = [
        (DpkgLists(), f"{path}info/{name}", text) for name, text in lists.items()
    ]
    files.append((DpkgStatus(), f"{path}status", status))
    files.append((DpkgLists(), f"{path}diversions", diversions))
    for extractor, place, text in files:
        owned.take(extractor.extract(MemoryFile(text.encode(), place), DEBIAN_MACHINE))
    owned.settle()
    return target in owned


@pytest.mark.parametrize(
    ("name", "state", "expected"),
    [
        ("real.list", "installed", True),
        ("real:amd64.list", "installed", True),
        ("real.list", "half-configured", True),
        ("real.list", "config-files", False),
        ("real.list", "not-installed", False),
        ("real:i386.list", "installed", False),
        ("nosuchpackage.list", "installed", False),
        ("Real.list", "installed", False),
        ("real\n.list", "installed", False),
        (".list", "installed", False),
    ],
)
def test_only_the_list_of_an_installed_package_owns(name: str, state: str, expected: bool) -> None:
    lists = {name: "/.\n/usr/share/app.jar\n"}
    assert _owned(dpkg_stanza("real", state=state), lists, "usr/share/app.jar") is expected


@pytest.mark.parametrize(
    ("package", "expected"), [(":", False), ("other", False), ("real", True), ("", False)]
)
def test_a_diverted_path_is_owned_by_its_diverter_alone(package: str, expected: bool) -> None:
    diversions = f"/usr/share/app.jar\n/usr/share/app.jar.distrib\n{package}\n"
    lists = {"real:amd64.list": "/usr/share/app.jar\n"}
    assert (
        _owned(dpkg_stanza("real"), lists, "usr/share/app.jar", diversions=diversions) is expected
    )


def test_every_manager_owns_for_what_it_has_installed_alone() -> None:
    pacman = "var/lib/pacman/local/gawk-5-1"
    portage = "var/db/pkg/sys-apps/gawk-5-r1"
    contents = "obj /a 0123456789abcdef0123456789abcdef 1\n"
    cases: list[tuple[Extractor, str, str, str, str]] = [
        (PacmanLocal(), f"{pacman}/files", "%FILES%\na\n",
         f"{pacman}/desc", "%NAME%\ngawk\n\n%VERSION%\n5-1\n"),
        (PortageDatabase(), f"{portage}/CONTENTS", contents, f"{portage}/PF", "gawk-5-r1\n"),
    ]  # fmt: skip
    for extractor, place, text, own_place, own_text in cases:
        for is_installed in (False, True):
            owned = Ownership((), ["a"])
            owned.take(extractor.extract(MemoryFile(text.encode(), place), DEBIAN_MACHINE))
            if is_installed:
                own = extractor.extract(MemoryFile(own_text.encode(), own_place), DEBIAN_MACHINE)
                assert own.problems == []
                owned.take(own)
            owned.settle()
            assert ("a" in owned) is is_installed


def test_opkg_and_distroless_lists_own_for_their_packages() -> None:
    listed = DpkgLists().extract(
        MemoryFile(b"/a/b\n", "usr/lib/opkg/info/ubus.list"), DEBIAN_MACHINE
    )
    status = MemoryFile(dpkg_stanza("ubus").encode(), "usr/lib/opkg/status")
    assert listed.owner in OpkgStatus().extract(status, DEBIAN_MACHINE).installed
    place = "var/lib/dpkg/status.d/foo"
    sums = DpkgStatus().extract(
        MemoryFile(b"0" * 32 + b"  a\n", place + ".md5sums"), DEBIAN_MACHINE
    )
    own = DpkgStatus().extract(MemoryFile(b"Package: foo\nVersion: 1\n", place), DEBIAN_MACHINE)
    assert sums.owner in own.installed


def test_paths_that_nobody_asks_about_are_not_kept() -> None:
    owned = Ownership([("usr/lib/", "lib/")], ["usr/lib/x.jar"])
    owned.take(Extraction(owned={f"p{number}" for number in range(1000)} | {"lib/x.jar"}))
    assert "usr/lib/x.jar" in owned
    assert len(owned._owned) == 1


def test_owned_paths_past_the_cap_are_not_owned_and_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidelight.inventory.protocol.MAX_OWNED", 3)
    found = Extraction()
    found.own("/x", {"a", "b"})
    found.own("/x", {"c", "d"})
    found.own("/x", {"e"})
    assert found.owned <= {"a", "b", "e"}
    assert len(found.problems) == 1


@pytest.mark.parametrize(
    ("extractor", "path", "line"),
    [
        (DpkgLists(), "var/lib/dpkg/info/a.list", b"/a\n"),
        (DpkgStatus(), "var/lib/dpkg/status.d/a.md5sums", b"0\n"),
        (PacmanLocal(), "var/lib/pacman/local/a-1/files", b"a\n"),
        (PortageDatabase(), "var/db/pkg/a/b-1/CONTENTS", b"a\n"),
    ],
)
def test_lists_are_counted_before_they_are_split(
    extractor: Extractor, path: str, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("dpkg", "pacman", "portage"):
        monkeypatch.setattr(f"sidelight.inventory.os.{module}.MAX_OWNED", 1000)
    data = line * 300_000
    file = MemoryFile(data, path)
    tracemalloc.start()
    with pytest.raises(LimitError):
        extractor.extract(file, DEBIAN_MACHINE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(data)


def test_a_long_directory_of_apk_is_not_copied_for_each_file() -> None:
    text = b"P:a\nV:1\nF:" + b"d" * 100_000 + b"\n" + b"R:f\n" * 1000
    tracemalloc.start()
    found = parse_installed(text, "/db", DEBIAN_12)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.owned == set()
    assert peak < 8 << 20
