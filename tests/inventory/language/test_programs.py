"""Go, Rust and server programs: what their sections show."""

from __future__ import annotations

import contextlib
import json
import re
import struct
import subprocess
import zlib
from pathlib import Path
from shutil import copyfile, which
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import DamagedError, FormatError, LimitError, NotRecognisedError
from sidelight.inventory.language import cargoauditable, executable, gobinary, version_strings
from tests.fixtures.elf_files import BASE, elf
from tests.fixtures.hypothesis_profiles import many

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extraction

MODULES = (
    "path\texample.com/app\nmod\texample.com/app\t(devel)\t\n"
    "dep\tgithub.com/a/b\tv1.2.3\th1:x=\n"
    "dep\tgithub.com/old/name\tv1.0.0\n=>\tgithub.com/new/name\tv2.0.0\th1:y=\n"
    "dep\tgithub.com/local/name\tv1.0.0\n=>\t./local\t(devel)\n"
)


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def inline(version: str, modules: str) -> bytes:
    """Build information since Go 1.18."""
    framed = b"\x30" * 16 + modules.encode() + b"\xf9" * 16
    head = gobinary.MAGIC + bytes([8, 2]) + b"\0" * 16
    return head + varint(len(version)) + version.encode() + varint(len(framed)) + framed


def by_pointer(version: str, modules: str, wide: bool) -> bytes:
    """A program of Go before 1.18, whose build information points to string headers."""
    code, size = ("<2Q", 8) if wide else ("<2L", 4)
    framed = b"\x30" * 16 + modules.encode() + b"\xf9" * 16
    start = 128 if wide else 96
    strings = b"".join((version.encode(), framed))
    headers_at = BASE + start + 32
    strings_at = headers_at + 4 * size
    info = gobinary.MAGIC + bytes([size, 0]) + struct.pack(code, headers_at, headers_at + 2 * size)
    info = info.ljust(32, b"\0")
    info += struct.pack(code, strings_at, len(version))
    info += struct.pack(code, strings_at + len(version), len(framed))
    return elf({".go.buildinfo": info + strings}, wide=wide)


GO_FACTS = {
    ("stdlib", "1.17.5"),
    ("github.com/a/b", "v1.2.3"),
    ("github.com/new/name", "v2.0.0"),
}


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


def go(extract: Callable[..., Extraction], version: str, modules: str) -> Extraction:
    return extract(gobinary.EXTRACTOR, "app", elf({".go.buildinfo": inline(version, modules)}))


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


def dep(packages: list[dict[str, object]]) -> bytes:
    return zlib.compress(json.dumps({"packages": packages}).encode())


def test_crates_of_an_auditable_program(extract: Callable[..., Extraction]) -> None:
    section = dep(
        [
            {"name": "app", "version": "0.1.0", "root": True, "dependencies": [1, 2]},
            {"name": "serde", "version": "1.0.0", "dependencies": [3]},
            {"name": "cc", "version": "1.1.0", "kind": "build"},
            {"name": "itoa", "version": "2.0.0"},
        ]
    )
    found = extract(cargoauditable.EXTRACTOR, "app", elf({".dep-v0": section}))
    assert {(p.name, p.direct) for p in found.packages} == {
        ("app", False),
        ("serde", True),
        ("itoa", False),
    }


@pytest.mark.parametrize(
    ("section", "error"),
    [
        (b"no zlib", DamagedError),
        (dep([])[:-3], DamagedError),
        (zlib.compress(b" " * (cargoauditable.JSON_LIMIT + 1)), LimitError),
        (b"\0" * (cargoauditable.COMPRESSED_LIMIT + 1), LimitError),
        (zlib.compress(b"[1]"), DamagedError),
        (zlib.compress(b'{"packages": [[]]}'), DamagedError),
    ],
)
def test_a_damaged_list_of_crates_is_reported(
    extract: Callable[..., Extraction], section: bytes, error: type[FormatError]
) -> None:
    with pytest.raises(error):
        extract(cargoauditable.EXTRACTOR, "app", elf({".dep-v0": section}))


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("opt/nginx/sbin/nginx", b"nginx version: nginx/1.25.3\0", ("nginx", "1.25.3")),
        ("usr/local/apache2/bin/httpd", b"\0Apache/2.4.58 (Unix)\0", ("apache-httpd", "2.4.58")),
        ("opt/lighttpd/sbin/lighttpd", b"\0lighttpd/1.4.69 (ssl)\0", ("lighttpd", "1.4.69")),
        ("opt/node/bin/node", b"/v20.1.0/node-v20.1.0.tar.gz\0", ("node", "20.1.0")),
        ("usr/local/bin/php", b"X-Powered-By: PHP/8.2.7\0", ("php", "8.2.7")),
        ("usr/local/sbin/php-fpm8.3", b"X-Powered-By: PHP/8.3.1\0", ("php", "8.3.1")),
        ("usr/local/sbin/sshd", b"\0OpenSSH_9.2\0OpenSSH_9.2p1\0", ("openssh", "9.2p1")),
        ("usr/local/bin/openssl", b"\0OpenSSL 3.0.11 19 Sep 2023\0", ("openssl", "3.0.11")),
        ("opt/lib/libcrypto.so.1.1", b"OpenSSL 1.1.1w  11 Sep 2023\0", ("openssl", "1.1.1w")),
        ("usr/local/bin/curl", b"\0curl/8.14.1\0", ("curl", "8.14.1")),
        ("usr/local/lib/libcurl.so.4.8.0", b"libcurl/8.5.0\0", ("libcurl", "8.5.0")),
        ("opt/pg/bin/postgres", b"PostgreSQL 15.3 on x86_64\0", ("postgresql", "15.3")),
        ("opt/maria/bin/mariadbd", b"\x0010.11.4-MariaDB\0", ("mariadb", "10.11.4")),
        ("opt/maria/bin/mysqld", b"\x0010.6.4-MariaDB\0", ("mariadb", "10.6.4")),
        ("opt/mysql/bin/mysqld", b"/build/mysql-8.0.34/sql/a.cc\0", ("mysql", "8.0.34")),
        ("usr/local/bin/memcached", b"\0memcached 1.6.18\0", ("memcached", "1.6.18")),
        ("opt/proftpd/sbin/proftpd", b"ProFTPD 1.3.8b standalone\0", ("proftpd", "1.3.8b")),
        ("opt/haproxy/haproxy", b"2.6.12-1a2b3c4\0\0\0HAProxy version %s", ("haproxy", "2.6.12")),
        ("usr/local/bin/bash", b"@(#)Bash version 5.2.15(1) release", ("bash", "5.2.15")),
        ("opt/bin/busybox", b"BusyBox v1.36.1 (2023-05-19)\0", ("busybox", "1.36.1")),
        (
            "u01/app/oracle/bin/oracle",
            b"RDBMS_23.7.0.25.01DBRU_LINUX.X64_240304\0",
            ("oracle-database", "23.7.0.25.01"),
        ),
        (
            "usr/local/bin/redis-server",
            b"\x006.2.0\x007.2.4\0A7.2.4buildhost-17053230710000000000\0",
            ("redis", "7.2.4"),
        ),
        (
            "usr/local/bin/valkey-server",
            b"A9.1.21790282056000000000000000000\x009.1.2\x009.1.0\0",
            ("valkey", "9.1.2"),
        ),
    ],
)
def test_a_server_built_by_hand_shows_its_version(
    extract: Callable[..., Extraction], path: str, text: bytes, expected: tuple[str, str]
) -> None:
    filler = b"\0" * (version_strings.CHUNK - 8)  # the string is across two chunks
    [package] = extract(version_strings.EXTRACTOR, path, elf({".rodata": filler + text})).packages
    assert (package.name, package.version) == expected


def test_other_programs_are_not_searched(extract: Callable[..., Extraction]) -> None:
    data = elf({".rodata": b"nginx/1.25.3\0"})
    assert not extract(version_strings.EXTRACTOR, "usr/local/bin/wget", data).packages


@pytest.mark.parametrize(
    ("command", "package", "shown"),
    [
        (("redis-server", "--version"), "redis", r"v=([0-9.]+)"),
        (("openssl", "version"), "openssl", r"OpenSSL (\S+)"),
        (("curl", "--version"), "curl", r"curl (\S+)"),
        (("bash", "--version"), "bash", r"version ([0-9.]+)"),
    ],
    ids=str,
)
def test_a_real_program_equals_what_it_says_itself(
    extract: Callable[..., Extraction], command: tuple[str, ...], package: str, shown: str
) -> None:
    path = which(command[0])
    if path is None:
        pytest.skip(f"no {command[0]}")
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    version = re.search(shown, output)
    assert version is not None
    program = Path(path).resolve()
    name = f"usr/local/bin/{command[0]}"  # Debian's redis-server is a link to redis-check-rdb
    [found] = extract(version_strings.EXTRACTOR, name, program.read_bytes()).packages
    assert (found.name, found.version) == (package, version[1])


def pe(name: bytes, data: bytes) -> bytes:
    """A PE program of 64 bits with one section."""
    optional = struct.pack("<H22xQ", 0x20B, BASE).ljust(112, b"\0")
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<L", 64)
    head += b"PE\0\0" + struct.pack("<2H12x2H", 0x8664, 1, len(optional), 2) + optional
    start = len(head) + 40
    start += -start % 16
    section = struct.pack("<8s4L12xL", name, len(data), 0x1000, len(data), start, 0xC0000040)
    return (head + section).ljust(start, b"\0") + data


def macho(name: bytes, data: bytes) -> bytes:
    """A Mach-O program of 64 bits with one segment of one section."""
    start = 32 + 72 + 80
    start += -start % 16
    section = struct.pack("<16s16s2QL28x", name, b"__DATA", BASE + start, len(data), start)
    command = struct.pack(
        "<2L16s4Q4L",
        0x19,
        72 + 80,
        b"__DATA",
        BASE,
        start + len(data),
        0,
        start + len(data),
        3,
        3,
        1,
        0,
    )
    head = struct.pack("<8L", 0xFEEDFACF, 0x1000007, 3, 2, 1, len(command) + 80, 0, 0)
    return (head + command + section).ljust(start, b"\0") + data


@pytest.mark.parametrize(
    "data",
    [
        pe(b".data", inline("go1.17.5", MODULES)),
        macho(b"__go_buildinfo", inline("go1.17.5", MODULES)),
    ],
)
def test_programs_of_other_systems(
    extract: Callable[..., Extraction],
    facts: Callable[[Extraction], set[tuple[str, str]]],
    data: bytes,
) -> None:
    assert facts(extract(gobinary.EXTRACTOR, "app.exe", data)) == GO_FACTS


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\xca\xfe\xba\xbe" + b"\0" * 60])
def test_what_is_no_program_is_silent(extract: Callable[..., Extraction], data: bytes) -> None:
    for extractor in (gobinary.EXTRACTOR, cargoauditable.EXTRACTOR):
        assert not extract(extractor, "x.exe", data).packages
    with pytest.raises(NotRecognisedError):
        executable.program(lambda at, n: data[at : at + n])


def test_too_many_sections_are_a_limit() -> None:
    data = bytearray(elf({".text": b"x"}))
    struct.pack_into("<H", data, 60, executable.SECTION_LIMIT + 1)
    with pytest.raises(LimitError):
        executable.program(lambda at, n: bytes(data[at : at + n]))


PROGRAMS = [
    elf({".go.buildinfo": inline("go1.17.5", MODULES), ".dep-v0": dep([{"name": "a"}])}),
    by_pointer("go1.17.5", MODULES, wide=True),
    by_pointer("go1.17.5", MODULES, wide=False),
    pe(b".data", inline("go1.17.5", MODULES)),
    macho(b"__go_buildinfo", inline("go1.17.5", MODULES)),
]


@pytest.mark.slow
@many(400)
@given(
    number=st.integers(0, len(PROGRAMS) - 1),
    changes=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.integers(0, 1200),
)
def test_damaged_programs_raise_only_our_errors(
    extract: Callable[..., Extraction], number: int, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(PROGRAMS[number])
    for at, value in changes:
        data[at % len(data)] = value
    for extractor in (gobinary.EXTRACTOR, cargoauditable.EXTRACTOR, version_strings.EXTRACTOR):
        for attempt in (bytes(data), bytes(data[:cut])):
            with contextlib.suppress(FormatError):
                extract(extractor, "usr/local/bin/nginx", attempt)


@pytest.mark.conformance
def test_real_auditable_programs(
    extract: Callable[..., Extraction],
    facts: Callable[[Extraction], set[tuple[str, str]]],
    manifests: Path,
) -> None:
    data = manifests / "rust/cargoauditable/testdata/uses_serde_json/uses_serde_json"
    assert facts(extract(cargoauditable.EXTRACTOR, "app", data)) >= {
        ("itoa", "1.0.14"),
        ("memchr", "2.7.4"),
        ("ryu", "1.0.18"),
        ("serde", "1.0.217"),
        ("serde_json", "1.0.135"),
        ("uses_json", "0.1.0"),
    }


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
