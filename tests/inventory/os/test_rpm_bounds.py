"""Bounds of rpm's headers and databases: shared, circular, oversized and late."""

from __future__ import annotations

import struct
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import FormatError, LimitError
from sidelight.inventory.os import rpm_berkeley, rpm_header, rpm_ndb, rpm_sqlite
from sidelight.inventory.os.rpm import RpmBerkeley, RpmNdb, RpmSqlite, extraction
from sidelight.inventory.os.rpm_manifest import RpmManifest
from sidelight.inventory.os.sqlite_recovery import committed_frames
from tests.fakes.memory_file import MemoryFile
from tests.fixtures import rpm_databases as rpm_stores
from tests.inventory.os.dpkg_stanzas import DEBIAN_12, DEBIAN_MACHINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.protocol import Extractor


def test_strings_of_a_header_are_counted_before_they_are_split() -> None:
    count = rpm_header.MAX_FILES + 1
    blob = rpm_stores.header("n", [(1117, 8, count)], bytes(count))
    tracemalloc.start()
    with pytest.raises(LimitError):
        rpm_header.decode(blob)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_long_directory_of_a_header_is_not_copied_for_each_file() -> None:
    names, directory = b"f\0" * 10, b"d" * 5000 + b"\0"
    first = len(b"n\x001\x002\0")
    blob = bytearray(rpm_stores.header("n", [(1117, 8, 10)], names + directory + bytes(40)))
    rest = [(1118, 8, first + len(names), 1), (1116, 4, first + len(names) + len(directory), 10)]
    packed = b"".join(struct.pack(">4I", *entry) for entry in rest)
    struct.pack_into(">I", blob, 0, 6)
    blob[8 + 16 * 4 : 8 + 16 * 4] = packed
    with pytest.raises(LimitError):
        rpm_header.decode(bytes(blob))


def _names(extractor: Extractor, data: bytes, path: str = "a/b") -> tuple[list[str], list[str]]:
    found = extractor.extract(MemoryFile(data, path), DEBIAN_MACHINE)
    return [p.name for p in found.packages], [p.what for p in found.problems]


def test_values_that_share_a_chain_are_one_value_and_a_problem() -> None:
    blob = rpm_stores.header("n")
    items = [rpm_stores.KEY, rpm_stores.off_page(2, len(blob))] * 3
    data = rpm_stores.berkeley([rpm_stores.hash_page(items), rpm_stores.overflow_page(0, blob)])
    names, problems = _names(RpmBerkeley(), data)
    assert names == ["n"]
    assert len(problems) == 2
    assert "two values" in problems[0]


def test_a_chain_that_follows_itself_ends() -> None:
    first = rpm_stores.hash_page([rpm_stores.KEY, rpm_stores.off_page(2, 1400)])
    data = rpm_stores.berkeley([first, rpm_stores.overflow_page(2, bytes(400)), b"", b""])
    file = MemoryFile(data)
    [fault] = rpm_berkeley.header_blobs(file)
    assert isinstance(fault, FormatError)


def test_items_that_lie_one_in_another_are_damage() -> None:
    page = bytearray(rpm_stores.hash_page([rpm_stores.KEY, b"\1" + bytes(60)]))
    struct.pack_into("<H", page, 20, 200)
    for number in range(200):
        struct.pack_into("<H", page, 26 + 2 * number, 490 - number % 2)
    [fault] = rpm_berkeley.header_blobs(MemoryFile(rpm_stores.berkeley([bytes(page)])))
    assert isinstance(fault, FormatError)


def test_slots_that_share_a_blob_are_one_package_and_problems() -> None:
    data = rpm_stores.ndb([rpm_stores.header("n")], slots=[(1, 0)] * 50)
    names, problems = _names(RpmNdb(), data)
    assert names == ["n"]
    assert len(problems) == 50


def test_a_blob_larger_than_any_header_is_not_read() -> None:
    data = bytearray(rpm_stores.ndb([rpm_stores.header("n")]))
    struct.pack_into("<I", data, 32 + 12, (rpm_header.MAX_BLOB >> 4) + 1)
    reads: list[int] = []

    class _File(MemoryFile):
        size = 1 << 32

        def read_at(self, offset: int, length: int) -> bytes:
            reads.append(length)
            return super().read_at(offset, length).ljust(length, b"\0")

    list(rpm_ndb.header_blobs(_File(bytes(data))))
    assert sum(reads) <= 8 << 20


def test_an_overflow_page_of_sqlite_that_follows_itself_ends() -> None:
    data = bytearray(rpm_stores.sqlite([rpm_stores.header("n"), bytes(3000)]))
    page = rpm_stores.PAGE
    for at in range(page, len(data), page):
        following = int.from_bytes(data[at : at + 4], "big")
        if following and following * page <= len(data) and data[at] == 0:
            data[at : at + 4] = (at // page + 1).to_bytes(4, "big")
    names, problems = _names(RpmSqlite(), bytes(data))
    assert names == ["n"]
    assert any("second time" in what for what in problems)


def test_cells_that_share_their_bytes_end_with_the_page() -> None:
    data = bytearray(rpm_stores.sqlite([b"x" * 100]))
    page = bytearray(data[rpm_stores.PAGE :])
    page[3:5] = (150).to_bytes(2, "big")
    for number in range(150):
        page[8 + 2 * number : 10 + 2 * number] = page[8:10]
    data[rpm_stores.PAGE :] = page
    values = list(rpm_sqlite.header_blobs(MemoryFile(bytes(data))))
    assert len([value for value in values if isinstance(value, bytes)]) <= 5
    assert isinstance(values[-1], FormatError)


@pytest.mark.parametrize("store", ["berkeley", "ndb", "sqlite"])
def test_packages_read_before_the_time_was_spent_are_kept(store: str) -> None:
    blobs = [rpm_stores.header(f"n{number}") for number in range(60)]
    if store == "berkeley":
        pages = [rpm_stores.hash_page([rpm_stores.KEY, b"\1" + blob]) for blob in blobs]
        data = rpm_stores.berkeley(pages)
    elif store == "ndb":
        data = rpm_stores.ndb(blobs)
    else:
        data = rpm_stores.sqlite(blobs)
    extractors: dict[str, Extractor] = {
        "berkeley": RpmBerkeley(),
        "ndb": RpmNdb(),
        "sqlite": RpmSqlite(),
    }
    file = MemoryFile(data, time_left=9)
    found = extractors[store].extract(file, DEBIAN_MACHINE)
    assert 0 < len(found.packages) < 60
    assert "time is spent" in found.problems[-1].what


def test_an_epoch_of_thousands_of_digits_costs_one_line_alone() -> None:
    line = "bash\t5.1-1\t1\t1\tv\t(none)\t1\tx86_64\t{}\tbash.src.rpm\n"
    data = (line.format("9" * 5000) + line.format("(none)") + "x" * 9000 + "\n").encode()
    names, problems = _names(RpmManifest(), data)
    assert names == ["bash"]
    assert len(problems) == 2


def test_a_log_that_shrinks_at_every_commit_keeps_what_is_within() -> None:
    assert committed_frames(b"") == {}
    from sidelight.inventory.os.sqlite_recovery import _last_frames

    log = memoryview(bytes(range(8)))
    frames = [(5, 9, 0), (7, 0, 1), (2, 4, 2), (3, 6, 3), (5, 8, 4), (8, 0, 5), (9, 7, 6)]
    pages = _last_frames(frames, log, 1)
    assert {number: bytes(page)[0] for number, page in pages.items()} == {2: 2, 3: 3, 5: 4}


def test_a_store_that_cannot_be_read_at_all_says_why() -> None:
    with pytest.raises(LimitError):
        extraction(_raising(), "/x", DEBIAN_12)


def _raising() -> Iterator[bytes]:
    yield from ()
    raise LimitError("the time is spent")
