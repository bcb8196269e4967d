"""Mutated databases: only the project's own errors, no hang, bounded memory."""

from __future__ import annotations

import json
import lzma
import random
import sqlite3
import struct
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import FormatError
from sidelight.inventory.os import rpm_header
from sidelight.inventory.os.sqlite_recovery import committed_frames, original_pages
from sidelight.inventory.protocol import Machine
from sidelight.inventory.registry import OS_EXTRACTORS
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sidelight.inventory.protocol import Extractor

_MACHINE = Machine(OperatingSystem(id="fedora", version_id="40"))
_BY_NAME = {extractor.name: extractor for extractor in OS_EXTRACTORS}


def _run(extractor: Extractor, data: bytes, siblings: dict[str, bytes] | None = None) -> None:
    """A pass is an extraction or a FormatError; anything else is a failure of the test."""
    path = {
        "os/portage": "var/db/pkg/a/b-1/PF",
        "os/pacman": "var/lib/pacman/local/a-1-1/desc",
        "os/dpkg": "var/lib/dpkg/status",
    }.get(extractor.name, "a/b")
    file = MemoryFile(data, path, siblings or {}, time_left=100_000)
    try:
        found = extractor.extract(file, _MACHINE)
    except FormatError:
        return
    for package in found.packages:
        assert package.name
        assert package.purl.isascii()


@given(st.sampled_from(OS_EXTRACTORS), st.binary(max_size=2000))
def test_any_bytes(extractor: Extractor, data: bytes) -> None:
    _run(extractor, data)


@given(st.binary(max_size=600))
def test_any_header(data: bytes) -> None:
    for blob in (data, struct.pack(">II", 3, max(0, len(data) - 56)) + data):
        try:
            rpm_header.decode(blob)
        except FormatError:
            continue


@given(st.binary(max_size=600))
def test_any_log_and_journal(data: bytes) -> None:
    head = struct.pack(">4I", 0x377F0682, 3007000, 512, 0)
    assert committed_frames(head + data) == {}
    original_pages(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + data)


def _mutants(data: bytes, count: int, seed: int) -> list[bytes]:
    """Flipped bits, overwritten numbers, cut and repeated pieces; mostly near the start."""
    rng = random.Random(seed)
    mutants = []
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 8, 64))):
            at = min(int(rng.expovariate(4) * len(changed)), len(changed) - 5)
            match rng.randrange(4):
                case 0:
                    changed[at] ^= 1 << rng.randrange(8)
                case 1:
                    changed[at : at + 4] = rng.choice(
                        (b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff")
                    )
                case 2:
                    changed[at : at + 2] = rng.randbytes(2)
                case _:
                    other = rng.randrange(len(changed) - 4)
                    changed[at : at + 4] = changed[other : other + 4]
        mutants.append(
            bytes(changed[: rng.randrange(1, len(changed))] if rng.random() < 0.1 else changed)
        )
    return mutants


def _header(number: int) -> bytes:
    names = b"".join(f"file{n}\0".encode() for n in range(20))
    text = f"name{number}\x001.{number}\x001\0/usr/share/\0".encode()
    text += bytes(-len(text) % 4)
    data = text + names + bytes(-len(names) % 4) + bytes(80)
    entries = [
        (1000, 6, 0, 1),
        (1001, 6, text.index(b"\0") + 1, 1),
        (1002, 6, text.index(b"\x001\0") + 1, 1),
        (1118, 8, text.index(b"/"), 1),
        (1117, 8, len(text), 20),
        (1116, 4, len(data) - 80, 20),
    ]
    index = b"".join(struct.pack(">4I", *entry) for entry in entries)
    return struct.pack(">II", len(entries), len(data)) + index + data


@pytest.fixture(scope="module")
def headers() -> list[bytes]:
    blobs = [_header(number) for number in range(60)]
    assert [rpm_header.decode(blob).name for blob in blobs[:2]] == ["name0", "name1"]
    return blobs


def _sqlite(directory: Path, headers: Sequence[bytes]) -> bytes:
    connection = sqlite3.connect(directory / "x")
    connection.execute("PRAGMA page_size = 512")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in headers])
    connection.commit()
    connection.close()
    return (directory / "x").read_bytes()


def _ndb(headers: Sequence[bytes]) -> bytes:
    slots, blobs, block = b"", b"", 4096 // 16
    for number, header in enumerate(headers, 1):
        body = struct.pack("<4sIII", b"BlbS", number, 1, len(header)) + header
        body += bytes(-(len(body) + 12) % 16)
        body += struct.pack("<II4s", zlib.adler32(body), len(header), b"BlbE")
        slots += struct.pack("<4sIII", b"Slot", number, block, len(body) // 16)
        blobs, block = blobs + body, block + len(body) // 16
    head = struct.pack("<4s7I", b"RpmP", 0, 1, 1, len(headers) + 1, 0, 0, 0)
    empty = struct.pack("<4sIII", b"Slot", 0, 0, 0)
    table = head + slots
    return table + empty * ((4096 - len(table)) // 16) + blobs


@pytest.mark.slow
def test_mutated_sqlite(tmp_path: Path, headers: list[bytes]) -> None:
    data = _sqlite(tmp_path, headers)
    found = _BY_NAME["os/rpm-sqlite"].extract(MemoryFile(data), _MACHINE)
    assert (len(found.packages), found.problems) == (60, [])
    for mutant in _mutants(data, 400, seed=1):
        _run(_BY_NAME["os/rpm-sqlite"], mutant)


def test_mutated_ndb(headers: list[bytes]) -> None:
    data = _ndb(headers)
    found = _BY_NAME["os/rpm-ndb"].extract(MemoryFile(data), _MACHINE)
    assert (len(found.packages), found.problems) == (60, [])
    for mutant in _mutants(data, 400, seed=2):
        _run(_BY_NAME["os/rpm-ndb"], mutant)


@pytest.mark.conformance
def test_mutated_berkeley(shared_data: Path) -> None:
    source = shared_data / "manifests/osv-scalibr/os/rpm/testdata/Packages_epoch"
    for mutant in _mutants(source.read_bytes(), 1000, seed=3):
        _run(_BY_NAME["os/rpm-berkeley"], mutant)


@pytest.mark.slow
@pytest.mark.conformance
def test_mutated_real_databases(shared_data: Path) -> None:
    sources = {
        "os/rpm-sqlite": "sqlite/cbl-mariner-2.0.rpmdb.sqlite",
        "os/rpm-ndb": "ndb/sle15-bci.Packages.db",
        "os/rpm-berkeley": "bdb/fedora-27.Packages.xz",
    }
    for seed, (name, source) in enumerate(sources.items()):
        data = (shared_data / "rpmdb" / source).read_bytes()
        data = lzma.decompress(data) if source.endswith(".xz") else data
        for mutant in _mutants(data, 60, seed):
            _run(_BY_NAME[name], mutant)


def test_mutated_texts() -> None:
    samples = {
        "os/dpkg": b"Package: a\nStatus: install ok installed\nVersion: 1\nSource: b (2)\n\n" * 20,
        "os/apk": b"P:a\nV:1\nF:usr\nR:b\n\n" * 20,
        "os/pacman": b"%NAME%\na\n\n%VERSION%\n1\n\n",
        "os/portage": b"Getopt-Long-2.580.0",
        "os/rpm-manifest": b"a\t1-2\t3\t4\tv\t(none)\t5\tnoarch\t0\tb-1-2.src.rpm\n",
        "os/snap": b"name: a\nversion: '1'\narchitectures: [all]\n",
        "os/snap-state": json.dumps({"data": {"snaps": {"a": {"current": "1"}}}}).encode(),
        "os/flatpak": b"<component><id>a</id><releases><release version='1'/></releases>"
        b"</component>",
        "os/bottlerocket": json.dumps({"Content": [{"Name": "a", "Version": "1"}]}).encode(),
    }
    for name, data in samples.items():
        assert (
            _BY_NAME[name]
            .extract(
                MemoryFile(
                    data, "var/db/pkg/a/b/PF" if name == "os/portage" else "var/lib/dpkg/status"
                ),
                _MACHINE,
            )
            .packages
        )
        for mutant in _mutants(data, 150, seed=4):
            _run(_BY_NAME[name], mutant)


def _loop(pages: int = 4) -> bytes:
    """An sqlite database whose one large record's overflow chain never ends."""
    page = bytearray(4096)
    page[:16] = b"SQLite format 3\0"
    page[16:18] = (4096).to_bytes(2, "big")
    page[100:108] = bytes((0x0D, 0, 0, 0, 1, 0, 0, 0))
    page[108:110] = (200).to_bytes(2, "big")
    page[200:204] = b"\xff\xff\xff\x7f"  # a length of 256 MiB
    overflow = b"\0\0\0\2" + bytes(4092)
    return bytes(page) + overflow * pages


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("os/rpm-sqlite", _loop()),
        ("os/rpm-ndb", struct.pack("<4s7I", b"RpmP", 0, 1, 0xFFFFFFFF, 1, 0, 0, 0) + bytes(8192)),
        ("os/apk", b"P:" + b"a" * 1_000_000),
        ("os/dpkg", b"\n" * 1_000_000),
        ("os/dpkg", b"Source: ( \n" * 100_000),
        ("os/dpkg", b"Package: a\nVersion: 1\nStatus: x installed\nSource: " + b"(" * 200_000),
        ("os/portage", b"a-1" * 5_000),
        ("os/portage", b"a-1_p" + b"_p1" * 5_000 + b"!"),
        ("os/portage", b"a-" + b"1." * 5_000),
    ],
)
def test_built_to_harm(name: str, data: bytes) -> None:
    tracemalloc.start()
    try:
        _run(_BY_NAME[name], data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20
