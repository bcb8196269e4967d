"""Go programs: modules, versions and build information."""

from __future__ import annotations

import struct
import subprocess
from shutil import copyfile, which
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import FormatError
from sidelight.inventory.language import gobinary
from tests.fixtures.elf_files import elf
from tests.inventory.language.program_sections import GO_FACTS, MODULES, by_pointer, go, inline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.inventory.protocol import Extraction


@pytest.mark.parametrize(
    "data",
    [
        elf({".text": b"x" * 64, ".go.buildinfo": inline("go1.17.5", MODULES)}),
        elf({".go.buildinfo": inline("go1.17.5", MODULES)}, headers=False),
        by_pointer("go1.17.5", MODULES, wide=True),
        by_pointer("go1.17.5", MODULES, wide=False),
    ],
    ids=["inline", "no section headers", "pointers of 64 bits", "pointers of 32 bits"],
)
def test_modules_of_a_go_program(
    extract: Callable[..., Extraction],
    facts: Callable[[Extraction], set[tuple[str, str]]],
    data: bytes,
) -> None:
    found = extract(gobinary.EXTRACTOR, "usr/local/bin/app", data)
    assert facts(found) == GO_FACTS
    assert not found.problems


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("go1.21", "1.21.0"),
        ("go1.22.1 X:nocoverageredesign", "1.22.1"),
        ("go1.23rc1", "1.23rc1"),
        ("devel go1.24-abcdef Tue", "1.24.0"),
        ("go1.26-devel_1a2b3c4d Tue Mar 3", "1.26.0"),
        ("go1.21.6 (Red Hat 1.21.6-1.el9)", "1.21.6"),
        ("go1.22.3-fips", "1.22.3"),
        ("go1.22.3 X:boringcrypto,loopvar", "1.22.3"),
    ],
)
def test_the_go_version_is_package_stdlib(
    extract: Callable[..., Extraction], written: str, version: str
) -> None:
    found = extract(gobinary.EXTRACTOR, "app", elf({".go.buildinfo": inline(written, "")}))
    assert [(p.name, p.version) for p in found.packages] == [("stdlib", version)]


def test_the_programs_own_version_comes_from_the_linkers_flags(
    extract: Callable[..., Extraction],
) -> None:
    modules = MODULES + 'build\t-ldflags="-s -w -X main.version=v4.5.6 -X main.commit=12"\n'
    found = extract(gobinary.EXTRACTOR, "app", elf({".go.buildinfo": inline("go1.22.0", modules)}))
    assert ("example.com/app", "v4.5.6") in {(p.name, p.version) for p in found.packages}


@pytest.mark.parametrize("version", ["redacted", "unknown", "devel +b7a85e0003 Tue Mar 2 2021"])
def test_a_version_that_is_no_release_costs_the_standard_library_alone(
    extract: Callable[..., Extraction],
    facts: Callable[[Extraction], set[tuple[str, str]]],
    version: str,
) -> None:
    found = go(extract, version, MODULES)
    assert facts(found) == {fact for fact in GO_FACTS if fact[0] != "stdlib"}
    assert [version[:8] in problem.what for problem in found.problems] == [True]


@pytest.mark.parametrize(
    ("flags", "version"),
    [
        ('-ldflags="-X main.goVersion=1.22.0 -X main.version=1.2.3"', "1.2.3"),
        ("-ldflags=\"-s -w -X 'main.Version=v1.2.3'\"", "v1.2.3"),
        ("-ldflags=-X=main.version=1.2.3", "1.2.3"),
        (r'-ldflags="-X \"main.version=1.2.3\" -w"', "1.2.3"),
        ("-ldflags=\"-X main.version='1.2.3'\"", "1.2.3"),
        ('-ldflags="-X example.com/app/internal/build.Version=1.2.3"', "1.2.3"),
        (
            '-ldflags="-X example.com/app.other=9.9 -X main.version=v1.2.3-5-gabcdef0-dirty"',
            "v1.2.3",
        ),
        ('-ldflags="-X main.gitVersion=v1.2.3 -X main.version=dev"', "v1.2.3"),
        # A module that a directory of the same sources replaces is the program's own.
        ('-ldflags="-X github.com/local/name/version.gitVersion=v1.2.3"', "v1.2.3"),
    ],
)
def test_the_linkers_version_is_that_of_the_programs_own_variable(
    extract: Callable[..., Extraction], flags: str, version: str
) -> None:
    found = go(extract, "go1.22.0", f"{MODULES}build\t{flags}\n")
    own = {package.version for package in found.packages if package.name == "example.com/app"}
    assert own == {version}


@pytest.mark.parametrize(
    "flags",
    [
        '-ldflags="-X main.kubectlVersion=v0.26.11"',
        '-ldflags="-X github.com/a/b.Version=1.2.3"',
        '-ldflags="-X example.com/app/vendor/github.com/a/b.Version=1.2.3"',
        '-ldflags="-X example.com/apple.version=1.2.3"',
        '-ldflags="-X main.version=0.0.0-dev"',
        '-ldflags="-X main.version=unknown"',
    ],
)
def test_another_versions_variable_is_not_the_programs(
    extract: Callable[..., Extraction], flags: str
) -> None:
    found = go(extract, "go1.22.0", f"{MODULES}build\t{flags}\n")
    assert "example.com/app" not in {package.name for package in found.packages}


@pytest.mark.parametrize(
    ("version", "listed"),
    [
        ("v1.2.3", "v1.2.3"),
        ("v1.2.3+dirty", "v1.2.3+dirty"),
        ("v0.0.0-20250723164904-3b49fbaa5c2c+dirty", None),
        ("v0.0.1-test.0.20250723164904-3b49fbaa5c2c", None),
        ("v1.2.4-0.20250723164904-3b49fbaa5c2c", None),
        ("(devel)", None),
    ],
)
def test_a_programs_own_module_is_listed_with_a_releases_version(
    extract: Callable[..., Extraction], version: str, listed: str | None
) -> None:
    found = go(extract, "go1.24.3", f"mod\texample.com/app\t{version}\t\n")
    own = [package.version for package in found.packages if package.name == "example.com/app"]
    assert own == ([listed] if listed else [])


def test_the_linkers_version_goes_before_a_pseudo_version(
    extract: Callable[..., Extraction],
) -> None:
    text = "mod\texample.com/app\tv0.0.0-20250723164904-3b49fbaa5c2c\t\n"
    found = go(extract, "go1.24.3", text + 'build\t-ldflags="-X main.version=12.0.3"\n')
    assert [p.version for p in found.packages if p.name == "example.com/app"] == ["12.0.3"]


def test_a_dependencys_pseudo_version_is_listed(extract: Callable[..., Extraction]) -> None:
    found = go(extract, "go1.24.3", "dep\tgolang.org/x/a\tv0.0.0-20250723164904-3b49fbaa5c2c\n")
    assert "golang.org/x/a" in {package.name for package in found.packages}


def test_a_go_program_without_build_information_is_a_problem(
    extract: Callable[..., Extraction],
) -> None:
    found = extract(gobinary.EXTRACTOR, "app", elf({".text": b"x" * 64, ".gopclntab": b"x" * 64}))
    assert [problem.where for problem in found.problems] == ["/app"]


@pytest.mark.parametrize(
    "info",
    [
        gobinary.MAGIC + bytes([8, 2]),
        gobinary.MAGIC + bytes([8, 4]) + b"\0" * 16,
        gobinary.MAGIC + bytes([8, 2]) + b"\0" * 16 + b"\xff" * 12,
        gobinary.MAGIC + bytes([8, 0]) + b"\xff" * 16 + b"\0" * 16,
        gobinary.MAGIC + bytes([3, 0]) + b"\0" * 32,
    ],
)
def test_damaged_build_information_is_reported(
    extract: Callable[..., Extraction], info: bytes
) -> None:
    with pytest.raises(FormatError):
        extract(gobinary.EXTRACTOR, "app", elf({".go.buildinfo": info}))


def test_a_damaged_module_list_keeps_the_go_version(extract: Callable[..., Extraction]) -> None:
    info = inline("go1.22.0", MODULES).replace(b"\n" + b"\xf9" * 16, b"\0" * 17)
    found = extract(gobinary.EXTRACTOR, "app", elf({".go.buildinfo": info}))
    assert [p.name for p in found.packages] == ["stdlib"]
    assert found.problems


def test_a_program_that_is_not_go_is_not_searched(extract: Callable[..., Extraction]) -> None:
    data = elf({".text": b"x" * 64, ".data": inline("go1.22.0", MODULES)})
    assert not extract(gobinary.EXTRACTOR, "app", data).packages


REAL_GO = {
    ("stdlib", "1.22.0"),
    ("github.com/golang/xerrors", "v0.0.0-20220907171357-04be3eba64a2"),
}


@pytest.mark.conformance
def test_a_real_go_program(
    extract: Callable[..., Extraction],
    facts: Callable[[Extraction], set[tuple[str, str]]],
    manifests: Path,
) -> None:
    data = manifests / "golang/gobinary/testdata/binary_with_module_replacement-linux-amd64"
    assert facts(extract(gobinary.EXTRACTOR, "app", data)) == REAL_GO


@pytest.mark.conformance
def test_a_real_go_program_stripped(
    extract: Callable[..., Extraction],
    facts: Callable[[Extraction], set[tuple[str, str]]],
    manifests: Path,
    tmp_path: Path,
) -> None:
    source = manifests / "golang/gobinary/testdata/binary_with_module_replacement-linux-amd64"
    if which("strip"):
        copyfile(source, tmp_path / "app")
        subprocess.run(["strip", "-s", str(tmp_path / "app")], check=True)
        assert facts(extract(gobinary.EXTRACTOR, "app", tmp_path / "app")) == REAL_GO
    bare = bytearray(source.read_bytes())
    struct.pack_into("<Q", bare, 40, 0)  # no section headers at all
    struct.pack_into("<2H", bare, 60, 0, 0)
    assert facts(extract(gobinary.EXTRACTOR, "app", bytes(bare))) == REAL_GO
