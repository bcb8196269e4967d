"""Programs of any language: servers by their strings, formats of other systems, damage."""

from __future__ import annotations

import contextlib
import re
import struct
import subprocess
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import FormatError, LimitError, NotRecognisedError
from sidelight.inventory.language import cargoauditable, executable, gobinary, version_strings
from tests.fixtures.elf_files import BASE, elf
from tests.fixtures.hypothesis_profiles import many
from tests.inventory.language.program_sections import GO_FACTS, MODULES, by_pointer, dep, inline

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extraction


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
