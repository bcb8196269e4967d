"""apk's database, real and damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.os.apk import ApkInstalled
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile
from tests.inventory.collected_machine import collect_root, package_names, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.inventory.protocol import Extraction

_MACHINE = Machine(OperatingSystem(id="alpine", version_id="3.20.1"))


def _extract(data: bytes) -> Extraction:
    return ApkInstalled().extract(MemoryFile(data, "lib/apk/db/installed"), _MACHINE)


def test_reads_packages_origins_and_files() -> None:
    found = _extract(
        b"C:Q1=\nP:libcrypto3\nV:3.3.1-r0\nA:x86_64\nL:Apache-2.0\no:openssl\nm:A <a@b>\n"
        b"F:usr/lib\nR:libcrypto.so.3\na:0:0:755\nF:\nR:top\n\nP:musl\nV:1.2.5-r0\nA:x86_64\no:musl\n"
    )
    first, second = found.packages
    assert first.purl == (
        "pkg:apk/alpine/libcrypto3@3.3.1-r0?arch=x86_64&distro=alpine-3.20.1&upstream=openssl"
    )
    assert (first.source_name, first.licence, first.vendor) == ("openssl", "Apache-2.0", "A <a@b>")
    assert second.purl == "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.1"
    assert found.owned == {"usr/lib/libcrypto.so.3", "top"}
    assert found.problems == []


def test_a_damaged_stanza_is_a_problem_and_loses_no_other() -> None:
    found = _extract(b"P:a\nV:1\n\nP:noversion\n\n\0\0\0\n\nP:b\nV:2\n")
    assert [package.name for package in found.packages] == ["a", "b"]
    assert len(found.problems) == 3


def test_packages_require_names_commands_and_libraries_of_others() -> None:
    found = _extract(
        b"P:busybox\nV:1.36-r5\nD:so:libc.musl-x86_64.so.1\np:/bin/sh cmd:sh=1.36-r5\n\n"
        b"P:musl\nV:1.2-r0\np:so:libc.musl-x86_64.so.1=1\n\n"
        b"P:tools\nV:1\nD:/bin/sh busybox>=1.36 musl~1.2 !conflict so:absent.so.1 cmd:sh\n\n"
        b"P:meta\nV:1\nD:tools=1 pc:zlib meta\n\n"
    )
    assert found.requires == {0: (1,), 1: (), 2: (0, 1), 3: (2,)}


@pytest.mark.conformance
def test_a_real_database(shared_data: Path) -> None:
    data = (shared_data / "manifests/osv-scalibr/os/apk/testdata/installed").read_bytes()
    found = _extract(data)
    names = [line[2:] for line in data.decode().splitlines() if line.startswith("P:")]
    versions = [line[2:] for line in data.decode().splitlines() if line.startswith("V:")]
    assert [(p.name, p.version) for p in found.packages] == list(zip(names, versions, strict=True))
    files = sum(line.startswith("R:") for line in data.decode().splitlines())
    assert len(found.owned) == files > 0
    assert found.problems == []


@pytest.mark.conformance
def test_a_package_without_an_origin_is_its_own_source(shared_data: Path) -> None:
    data = (shared_data / "manifests/osv-scalibr/os/apk/testdata/no-origin").read_bytes()
    (package,) = _extract(data).packages
    assert package.source_name == package.name


def test_files_in_add_on_places_are_not_owned() -> None:
    found = _extract(b"P:app\nV:1-r0\nF:opt/app\nR:a.jar\nF:usr/share/app\nR:b.jar\n")
    assert found.owned == {"usr/share/app/b.jar"}


APK_2, APK_3 = "lib/apk/db/installed", "usr/lib/apk/db/installed"


@pytest.mark.parametrize("empty", [APK_2, APK_3])
def test_an_empty_database_beside_a_full_one_is_no_contradiction(
    tmp_path: Path, empty: str
) -> None:
    write_file(tmp_path, "etc/os-release", "ID=alpine\nVERSION_ID=3.20.1\n")
    for path in (APK_2, APK_3):
        write_file(tmp_path, path, "" if path == empty else "P:musl\nV:1.2.3-r0\n\n")
    found = collect_root(tmp_path)
    assert (package_names(found), found.problems) == (["musl"], [])


@pytest.mark.parametrize("root", ["", "srv/chroot/"])
def test_two_databases_of_different_packages_are_both_read_and_a_problem(
    tmp_path: Path, root: str
) -> None:
    for path in {"", root}:
        write_file(tmp_path, f"{path}etc/os-release", "ID=alpine\nVERSION_ID=3.20.1\n")
        write_file(tmp_path, f"{path}usr/bin/true", "")
        write_file(tmp_path, path + APK_2, "P:musl\nV:1.2.2-r0\n\n")
    write_file(tmp_path, root + APK_3, "P:musl\nV:1.2.3-r0\n\nP:zlib\nV:1-r0\n\n")
    found = collect_root(tmp_path)
    assert {"1.2.2-r0", "1.2.3-r0", "1-r0"} == {package.version for package in found.packages}
    assert [problem.where for problem in found.problems] == [f"/{root}{APK_3}"]
    write_file(tmp_path, root + APK_3, "P:musl\nV:1.2.2-r0\n\n")
    assert collect_root(tmp_path).problems == []
