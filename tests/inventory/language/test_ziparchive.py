"""Which directory of an archive counts: the one that Java reads, or a Problem."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import DamagedError, FormatError, NotRecognisedError
from sidelight.inventory.language.ziparchive import InflateBudget, ZipArchive

_END = struct.Struct("<4s4H2LH")
_EMPTY = _END.pack(b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)


def _zip(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return out.getvalue()


def _open(data: bytes) -> ZipArchive:
    return ZipArchive(lambda at, n: data[at : at + n], len(data), InflateBudget(1 << 30))


def _names(data: bytes) -> tuple[list[str], str]:
    """The members, and the Problem that comes after them."""
    names = []
    try:
        for member in _open(data).members():
            names.append(member.name)  # noqa: PERF401 - what comes before an error counts
    except FormatError as error:
        return names, error.what
    return names, ""


def _with_comment(data: bytes, comment: bytes) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<H", changed, len(data) - 2, len(comment))
    return bytes(changed) + comment


@pytest.mark.parametrize(
    "comment", [_EMPTY + b"zz", b"xx" + _EMPTY[:-2] + b"\x09\0", b"PK\5\6", _EMPTY[:-1]]
)
def test_an_end_record_in_the_comment_does_not_hide_the_members(comment: bytes) -> None:
    names, problem = _names(_with_comment(_zip("a", "b"), comment))
    assert names == ["a", "b"]
    assert "another end record" in problem


def test_two_end_records_that_fit_are_a_problem() -> None:
    """Java takes the last one; a reader from the front the other."""
    names, problem = _names(_with_comment(_zip("a"), b"xxxx" + _EMPTY))
    assert names == []
    assert "another end record" in problem


def test_a_plain_comment_and_bytes_before_or_behind_are_no_problem() -> None:
    data = _zip("a")
    for changed in (_with_comment(data, b"hello"), b"#!/bin/sh\n" + data, data + b"\0" * 300):
        assert _names(changed) == (["a"], "")


def test_a_stored_archive_near_the_end_is_no_problem() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("inner.jar", _zip("a"))
    assert _names(out.getvalue()) == (["inner.jar"], "")


def test_the_last_of_several_members_with_one_name_counts() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", "first")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", "second")
    opened = _open(out.getvalue())
    [member] = opened.members()
    assert opened.read(member, 100) == b"second"


def _with_zip64(data: bytes, length: int | None = None, where: int | None = None) -> bytes:
    """A zip64 record and its locator before a plain record that holds everything."""
    at = len(data) - _END.size
    _, _, _, entries, _, size, start, _ = _END.unpack_from(data, at)
    size = size if length is None else length
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at if where is None else where, 1)
    return data[:at] + record + locator + data[at:]


def test_a_zip64_record_beside_a_plain_one_that_is_not_full_counts() -> None:
    """As Python's zipfile writes archives of 2 to 4 GiB."""
    data = _with_zip64(_zip("a", "b"))
    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["a", "b"]
    assert _names(data) == (["a", "b"], "")


@pytest.mark.parametrize(("length", "where"), [(3, None), (None, 1 << 63), (None, 5)])
def test_a_zip64_record_that_lies_does_not_count(length: int | None, where: int | None) -> None:
    """The plain record then says where the directory would be, which is not there."""
    with pytest.raises(DamagedError):
        list(_open(_with_zip64(_zip("a"), length, where)).members())


def test_a_sparse_archive_of_three_gibibytes_is_read() -> None:
    """Its plain record is not full, its offsets are above 2 GiB."""
    data, hole = _zip("a"), 3 << 30
    at = len(data) - _END.size
    end = list(_END.unpack_from(data, at))
    directory = bytearray(data[end[6] : end[6] + end[5]])
    struct.pack_into("<L", directory, 42, hole)
    start = hole + end[6]
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(directory), start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + len(directory), 1)
    end[6] = start
    tail = data[: data.index(b"PK\1\2")] + bytes(directory) + record + locator + _END.pack(*end)
    size = hole + len(tail)

    def read_at(offset: int, length: int) -> bytes:
        before = bytes(max(0, min(length, hole - offset)))
        at = max(0, offset - hole)
        return before + tail[at : at + length - len(before)]

    archive = ZipArchive(read_at, size, InflateBudget(1 << 20))
    [member] = archive.members()
    assert archive.read(member, 10) == b"a"


def test_many_end_records_are_looked_at_a_few_times_only() -> None:
    reads = 0
    data = _zip("a") + _END.pack(b"PK\5\6", 0, 0, 1, 1, 46, 0, 9) * 2900

    def read_at(offset: int, length: int) -> bytes:
        nonlocal reads
        reads += 1
        return data[offset : offset + length]

    with pytest.raises(DamagedError):
        ZipArchive(read_at, len(data), InflateBudget(1 << 30))
    assert reads < 300


@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 70))
def test_any_comment_leaves_the_members_or_a_problem(before: bytes, after: bytes, n: int) -> None:
    comment = before + _END.pack(b"PK\5\6", 0, 0, 0, 0, 0, 0, n) + after
    names, problem = _names(_with_comment(_zip("a"), comment))
    assert names == ["a"] or problem
    assert problem


def test_no_end_record_is_no_archive() -> None:
    with pytest.raises(NotRecognisedError):
        _open(b"PK" * 50)
