"""What packages of rpm require, beside what rpm says of the same databases."""

from __future__ import annotations

import lzma
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.dependencies.name_tables import resolved
from sidelight.inventory.os import rpm_header, rpm_relations
from sidelight.inventory.os.rpm import RpmBerkeley, RpmSqlite, extraction
from sidelight.inventory.os.rpm_relations import RpmRelations, declarations
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem, Package
from tests.fakes.memory_file import MemoryFile
from tests.fixtures.rpm_databases import header

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sidelight.inventory.protocol import Extraction

MARINER = OperatingSystem("mariner", "2.0")
_NAMES, _FLAGS, _VERSIONS = 1049, 1048, 1050
NEEDS_RPM = pytest.mark.skipif(shutil.which("rpm") is None, reason="needs rpm")


def edges(found: Extraction) -> dict[str, set[str]]:
    names = [item.name for item in found.packages]
    return {
        names[own]: {names[other] for other in others} for own, others in found.requires.items()
    }


def relations(
    provides: Sequence[tuple[str, str]],
    requires: Sequence[tuple[str, str]] = (),
    files: tuple[str, ...] = (),
) -> RpmRelations:
    return RpmRelations(
        [name for name, _ in provides],
        [name for name, _ in requires],
        files,
        "".join(f"{version}\0" for _, version in provides).encode(),
        "".join(f"{version}\0" for _, version in requires).encode(),
        b"".join(struct.pack(">I", 8 if version else 0) for _, version in requires),
    )


def of(*packages: tuple[str, RpmRelations]) -> dict[str, list[str]]:
    """What `NAME VERSION ARCH` requires."""
    named = [
        Package("rpm", name.split()[0], "1", "/x", "", arch=name.split()[2]) for name, _ in packages
    ]
    found = resolved(list(declarations(named, [item for _, item in packages])))
    return {
        packages[own][0]: [packages[other][0] for other in others] for own, others in found.items()
    }


def test_names_and_files_lead_to_who_provides_them() -> None:
    found = of(
        ("bash 5 x86_64", relations([("bash", "5-1"), ("bash(x86-64)", "5-1")],
                                    files=("usr/bin/bash", "usr/bin/sh"))),
        ("glibc 2 x86_64", relations([("glibc", "2-1"), ("libc.so.6()(64bit)", "")],
                                     [("rpmlib(CompressedFileNames)", "")], ("etc/ld.so.conf",))),
        ("curl 8 x86_64", relations([("curl", "8-1")],
                                    [("libc.so.6()(64bit)", ""), ("/bin/sh", ""), ("/opt/x", "")])),
        ("init 1 noarch", relations([("init", "1-1")],
                                    [("/etc/ld.so.conf", ""), ("/usr/sbin/absent", "")])),
    )  # fmt: skip
    assert found["curl 8 x86_64"] == ["bash 5 x86_64", "glibc 2 x86_64"]
    assert found["init 1 noarch"] == ["glibc 2 x86_64"]
    assert found["glibc 2 x86_64"] == found["bash 5 x86_64"] == []


def test_of_several_kernels_the_one_of_the_demanded_version_counts() -> None:
    def kernel(version: str) -> tuple[tuple[str, RpmRelations], ...]:
        return (
            (f"kernel-core {version} x86_64", relations([("kernel-core-uname-r", version)])),
            (f"kernel {version} x86_64",
             relations([("kernel", f"{version}-1")], [("kernel-core-uname-r", version)])),
            (f"kernel-tools {version} x86_64",
             relations([("tools", "")], [("kernel", version), ("kernel-core-uname-r", "")])),
        )  # fmt: skip

    found = of(*kernel("5.14.0"), *kernel("6.1.0"))
    assert found["kernel 5.14.0 x86_64"] == ["kernel-core 5.14.0 x86_64"]
    assert found["kernel 6.1.0 x86_64"] == ["kernel-core 6.1.0 x86_64"]
    # Its kernel's release is not demanded; of the other no version, so both are as good.
    assert found["kernel-tools 6.1.0 x86_64"] == ["kernel-core 5.14.0 x86_64",
                                                  "kernel-core 6.1.0 x86_64",
                                                  "kernel 6.1.0 x86_64"]  # fmt: skip


def test_of_several_architectures_the_package_s_own_counts() -> None:
    found = of(
        ("zlib 1 i686", relations([("zlib", "1-1"), ("libz.so.1", "")])),
        ("zlib 1 x86_64", relations([("zlib", "1-1"), ("libz.so.1()(64bit)", "")])),
        ("devel 1 x86_64", relations([("devel", "1")], [("zlib", "1-1")])),
        ("wine 1 i686", relations([("wine", "1")], [("zlib", "")])),
        ("data 1 noarch", relations([("data", "1")], [("zlib", "")])),
    )
    assert found["devel 1 x86_64"] == ["zlib 1 x86_64"]
    assert found["wine 1 i686"] == ["zlib 1 i686"]
    assert found["data 1 noarch"] == ["zlib 1 i686", "zlib 1 x86_64"]


@pytest.mark.parametrize(
    ("rich", "expected"),
    [
        ("(a or b)", ["a", "b"]),
        ("(a >= 1.0 and b < 2)", ["a", "b"]),
        ("(a if b)", ["a"]),
        ("(a if b else c)", ["a", "c"]),
        ("((a if b) and (c unless d))", ["a", "c"]),
        ("(python3dist(x) >= 1 with python3dist(x) < 2)", ["x"]),
        ("(a without b)", ["a"]),
        ("(", []),
        ("()", []),
        ("(((", []),
        ("(a" + ")" * 50, ["a"]),
        ("(" * 5000 + "a", []),
    ],
)
def test_rich_dependencies_are_those_that_may_be_required(rich: str, expected: list[str]) -> None:
    others = [(f"{name} 1 noarch", relations([(name, "")])) for name in "abcd"]
    others.append(("x 1 noarch", relations([("python3dist(x)", "1")])))
    found = of(*others, ("own 1 noarch", relations([("own", "1")], [(rich, "")])))
    assert found["own 1 noarch"] == [f"{name} 1 noarch" for name in expected]


def _damaged(name: str) -> bytes:
    """Two required names, and an array of names that runs out of the header."""
    data = b"glibc\0bash\0" + struct.pack(">2I", 0, 0)
    return header(name, [(_NAMES, 8, 500), (_FLAGS, 4, 2)], data)


def test_damaged_dependencies_cost_no_package() -> None:
    found = extraction([_damaged("curl"), header("bash")], "/var/lib/rpm/x", MARINER)
    assert [item.name for item in found.packages] == ["curl", "bash"]
    assert found.requires == {1: ()}
    assert [item.what for item in found.problems] == ["curl: its dependencies are damaged"]


def test_a_header_without_versions_has_dependencies_all_the_same() -> None:
    curl = header("curl", [(_NAMES, 8, 2)], b"bash\0absent\0")
    bash = header("bash", [(1047, 8, 1)], b"bash\0")
    assert edges(extraction([curl, bash], "/var/lib/rpm/x", MARINER)) == {
        "curl": {"bash"},
        "bash": set(),
    }


def test_the_names_of_a_database_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpm_relations, "MAX_RELATIONS", 1)
    curl = header("curl", [(_NAMES, 8, 2)], b"bash\0absent\0")
    found = extraction([curl, header("bash")], "/var/lib/rpm/x", MARINER)
    assert len(found.packages) == 2
    assert found.requires == {}
    assert "their dependencies are left out" in found.problems[0].what


def test_an_array_whose_end_overlaps_the_next_is_read() -> None:
    data = b"bash\0absent\0"
    blob = header("curl", [(_NAMES, 8, 2), (1047, 8, 1)], data)
    relation = rpm_header.decode(blob).relations
    assert relation is not None
    assert (relation.requires, relation.provides) == (["bash", "absent"], ["bash"])


def _rpm(database: Path, backend: str, *arguments: str) -> list[str]:
    command = ["rpm", "--dbpath", str(database), "--define", f"_db_backend {backend}", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.splitlines()


@NEEDS_RPM
@pytest.mark.conformance
@pytest.mark.slow
def test_equals_rpm_whatprovides(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "rpmdb/sqlite/cbl-mariner-2.0.rpmdb.sqlite").read_bytes()
    (tmp_path / "rpmdb.sqlite").write_bytes(data)
    found = RpmSqlite().extract(MemoryFile(data, "var/lib/rpm/rpmdb.sqlite"), Machine(MARINER))
    form = "[%{=NAME}\t%{REQUIRENAME}\n]"
    pairs = [line.split("\t") for line in _rpm(tmp_path, "sqlite", "-qa", "--qf", form)]
    providers = {
        name: set(_rpm(tmp_path, "sqlite", "-q", "--whatprovides", "--qf", "%{NAME}\n", name))
        for name in {name for _, name in pairs}
    }
    names = {item.name for item in found.packages}
    expected: dict[str, set[str]] = {name: set() for name in names}
    for own, name in pairs:
        if own in names:
            expected[own] |= providers[name] & names - {own}
    assert edges(found) == expected
    assert sum(map(len, expected.values())) > 300


@NEEDS_RPM
@pytest.mark.conformance
@pytest.mark.slow
def test_equals_what_rpm_lists_of_a_berkeley_database(shared_data: Path, tmp_path: Path) -> None:
    """Joined here by names and by all files, since its indexes are not at hand."""
    data = lzma.decompress((shared_data / "rpmdb/bdb/fedora-27.Packages.xz").read_bytes())
    (tmp_path / "Packages").write_bytes(data)
    machine = Machine(OperatingSystem("fedora", "27"))
    found = RpmBerkeley().extract(MemoryFile(data, "var/lib/rpm/Packages"), machine)
    providers: dict[str, set[str]] = {}
    for tag in ("PROVIDENAME", "FILENAMES"):
        for line in _rpm(tmp_path, "bdb_ro", "-qa", "--qf", f"[%{{=NAME}}\t%{{{tag}}}\n]"):
            own, _, name = line.partition("\t")
            providers.setdefault(name, set()).add(own)
    names = {item.name for item in found.packages}
    expected: dict[str, set[str]] = {name: set() for name in names}
    for line in _rpm(tmp_path, "bdb_ro", "-qa", "--qf", "[%{=NAME}\t%{REQUIRENAME}\n]"):
        own, _, name = line.partition("\t")
        for spelled in (name, name.replace("/bin", "/usr/bin", 1) if name[:5] == "/bin/" else name):
            if own in names:
                expected[own] |= providers.get(spelled, set()) & names - {own}
    assert edges(found) == expected
    assert sum(map(len, expected.values())) > 300
