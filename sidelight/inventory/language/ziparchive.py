"""A zip archive by random access: the central directory, and single members.

Nothing but the directory and the members asked for is read. A stored member is an archive in place;
a deflated one is inflated into memory within a budget that all archives of one file share.
Source: PKWARE's APPNOTE 6.3 (4.3.7 local header, 4.3.12 central directory, 4.3.14-16 its end).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.errors import DamagedError, LimitError, NotRecognisedError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEMBER_LIMIT: Final = 200_000  # entries of one archive
# Entries of one file, all its archives together: ten times those of the largest Spring Boot
# programs, some hundred archives with some hundred entries each.
FILE_MEMBERS_LIMIT: Final = 1_000_000
DIRECTORY_LIMIT: Final = 32 << 20  # bytes of one central directory
RATIO_LIMIT: Final = 1100  # deflate cannot do better than 1032
_CHUNK: Final = 256 << 10  # bytes inflated or read at once
_AHEAD: Final = 512  # bytes that a local header's name and extra field hardly exceed

_END: Final = struct.Struct("<4s4H2LH")  # 4.3.16
_END64: Final = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_LOCATOR64: Final = struct.Struct("<4sLQL")  # 4.3.15
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")  # 4.3.12
_LOCAL: Final = struct.Struct("<4s5H3L2H")  # 4.3.7
_TAIL: Final = _END.size + 0xFFFF + _LOCATOR64.size  # bytes that have the end record
_STORED: Final = 0
_DEFLATED: Final = 8
_ENCRYPTED: Final = 1
_FULL: Final = 0xFFFFFFFF
_FULL16: Final = 0xFFFF
_END_MAGIC: Final = b"PK\x05\x06"
_CENTRAL_MAGIC: Final = b"PK\x01\x02"
_LOCAL_MAGIC: Final = b"PK\x03\x04"
_END_RECORDS: Final = 64  # that are looked at in one file's end


@dataclass(slots=True)
class InflateBudget:
    """Bytes and entries that one file of the machine may still cost, all its archives together."""

    left: int
    members_left: int = FILE_MEMBERS_LIMIT

    def spend(self, length: int) -> None:
        """Raises LimitError once it is spent."""
        self.left -= length
        if self.left < 0:
            raise LimitError("archives inflate to more than allowed for one file")

    def spend_member(self) -> None:
        """Raises LimitError once there were too many."""
        self.members_left -= 1
        if self.members_left < 0:
            raise LimitError(f"more than {FILE_MEMBERS_LIMIT} members of archives in one file")


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of the central directory. Sizes in bytes; `offset` of the local header."""

    name: str
    method: int
    flags: int
    compressed: int
    size: int
    offset: int


class ZipArchive:
    """The central directory of an archive of `size` bytes that `read_at(offset, length)` reads.

    Raises NotRecognisedError where it has no end record, DamagedError or LimitError where the
    directory cannot be read.
    """

    def __init__(
        self,
        read_at: Callable[[int, int], bytes],
        size: int,
        budget: InflateBudget,
        *,
        held: int = 0,
        base: int = 0,
    ) -> None:
        self.held = held  # bytes of memory that the archive itself takes
        self._base = base  # where the archive begins in the file that it is stored in
        self._read_at = read_at
        self._size = size
        self._budget = budget
        self._tail_start, self._tail = size, b""
        self._doubt = ""  # what lets other readers see another directory
        self._start, self._length, self._shift = self._find_directory()

    def members(self) -> Iterator[Member]:
        """The entries in the directory's order; of several with one name the last, as Java has it.

        Raises DamagedError after the last entry before a broken one; and at the end where other
        readers may see another directory.
        """
        found: dict[str, Member] = {}
        try:
            for member in self._entries():
                found[member.name] = member
        except (DamagedError, LimitError):
            yield from found.values()
            raise
        yield from found.values()
        if self._doubt:
            raise DamagedError(self._doubt)

    def _entries(self) -> Iterator[Member]:
        self._budget.spend(self._length)
        data = self._directory()
        position = 0
        for _ in range(MEMBER_LIMIT):
            if position + _CENTRAL.size > len(data):
                return
            fields = _CENTRAL.unpack_from(data, position)
            if fields[0] != b"PK\x01\x02":
                if position == 0 and fields[0] == b"PK\x05\x06":
                    return
                raise DamagedError(f"zip: no directory entry at {self._start + position}")
            self._budget.spend_member()
            name_length, extra_length, comment_length = fields[10:13]
            after_name = position + _CENTRAL.size + name_length
            raw = data[position + _CENTRAL.size : after_name]
            extra = data[after_name : after_name + extra_length]
            compressed, size, offset = _wide(fields[8], fields[9], fields[16], extra)
            yield Member(
                raw.decode("utf-8", "replace"),
                fields[4],
                fields[3],
                compressed,
                size,
                offset + self._shift,
            )
            position = after_name + extra_length + comment_length
        raise LimitError(f"zip of more than {MEMBER_LIMIT} members")

    def _directory(self) -> bytes:
        """The central directory: of most archives it was read with its end record."""
        if self._start >= self._tail_start:
            start = self._start - self._tail_start
            return self._tail[start : start + self._length]
        return self._read_at(self._start, self._length)

    def read(self, member: Member, limit: int) -> bytes:
        """A member's contents, inflated. Raises LimitError where they are larger than `limit`."""
        if member.method == _DEFLATED:
            return bytes(self._inflate(member, limit))
        offset = self._data_offset(member)
        if member.compressed > limit:
            raise LimitError(f"zip: {member.name[-80:]} has more than {limit} bytes")
        self._budget.spend(member.compressed)
        return self._read_at(offset, member.compressed)

    def forget_directory(self) -> None:
        """Let go of the directory's bytes: `members` is not called again."""
        self._tail_start, self._tail = self._size, b""

    def contents_range(self, member: Member, limit: int) -> tuple[int, int]:
        """The `(offset, length)` in the file of what `read` reads: of contents up to `limit`."""
        length = _LOCAL.size + _AHEAD + min(member.compressed, limit)
        return self._base + max(0, member.offset), length

    def nested_ranges(self, member: Member, limit: int) -> list[tuple[int, int]]:
        """What `nested` reads of a member: of a stored one its begin and its end.

        Of a deflated one all that is compressed, unless it inflates to more than `limit`.
        """
        if member.method != _STORED:
            return [self.contents_range(member, limit)] if member.size <= limit else []
        begin = self.contents_range(member, 0)
        tail = min(member.compressed, _TAIL)
        end = begin[0] + _LOCAL.size + member.compressed  # and a name and an extra field
        return [begin, (end - tail, tail + len(member.name) + _AHEAD)]

    def is_stored(self, member: Member) -> bool:
        """Whether `nested` reads a member in place, and holds nothing of it in memory."""
        return member.method == _STORED and not member.flags & _ENCRYPTED

    def nested(self, member: Member, limit: int) -> ZipArchive:
        """A member as an archive of its own; one that is stored is read in place."""
        if self.is_stored(member):
            offset = self._data_offset(member)
            length = min(member.compressed, max(0, self._size - offset))
            read_at = self._read_at

            def within(start: int, count: int) -> bytes:
                count = min(count, length - start)
                return read_at(offset + start, count) if count > 0 else b""

            return ZipArchive(within, length, self._budget, base=self._base + offset)
        data = self._inflate(member, limit)
        return ZipArchive(
            lambda start, count: bytes(data[start : start + count]),
            len(data),
            self._budget,
            held=len(data),
        )

    def _data_offset(self, member: Member) -> int:
        return self._locate(member, 0)[0]

    def _locate(self, member: Member, ahead: int) -> tuple[int, bytes]:
        """(offset of the contents, their first bytes): up to `ahead` are read with the header."""
        if member.flags & _ENCRYPTED:
            raise UnsupportedError(f"zip: {member.name[-80:]} is encrypted")
        if member.method not in {_STORED, _DEFLATED}:
            raise UnsupportedError(f"zip: {member.name[-80:]} has method {member.method}")
        wanted = _LOCAL.size + ahead
        header = self._read_at(member.offset, wanted) if member.offset >= 0 else b""
        if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
            raise DamagedError(f"zip: {member.name[-80:]} has no local header")
        fields = _LOCAL.unpack_from(header)
        begin = _LOCAL.size + fields[9] + fields[10]
        return member.offset + begin, header[begin:]

    def _inflate(self, member: Member, limit: int) -> bytearray:
        if member.size > limit:
            raise LimitError(f"zip: {member.name[-80:]} has {member.size} bytes, limit {limit}")
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        inflated = bytearray()
        taken = 0
        left = member.compressed
        offset, piece = self._locate(member, min(left, _CHUNK) + _AHEAD)
        piece = piece[:left]
        try:
            while left > 0 and not inflater.eof:
                piece = piece or self._read_at(offset, min(left, _CHUNK))
                if not piece:
                    break
                offset, left, taken = offset + len(piece), left - len(piece), taken + len(piece)
                out = b""
                # A full chunk of output may leave more inside although all input is taken.
                while (piece or len(out) == _CHUNK) and not inflater.eof:
                    out = inflater.decompress(piece, _CHUNK)
                    piece = inflater.unconsumed_tail
                    self._budget.spend(len(out))
                    inflated += out
                    if len(inflated) > min(limit, taken * RATIO_LIMIT):
                        raise LimitError(f"zip: {member.name[-80:]} inflates to more than {limit}")
        except zlib.error as error:
            raise DamagedError(f"zip: {member.name[-80:]}: {error}") from None
        if not inflater.eof:
            raise DamagedError(f"zip: {member.name[-80:]} is cut short")
        return inflated

    def _find_directory(self) -> _Directory:
        """The directory that Java reads (jdk.zip's ZipFile.Source.findEND, JDK 8 to 21).

        From the end backwards, the first end record counts whose comment ends with the file, or
        whose directory and first member are where it says.
        """
        tail_length = min(self._size, _TAIL)
        base = self._size - tail_length
        self._budget.spend(tail_length)
        tail = self._read_at(base, tail_length)
        self._tail_start, self._tail = base, tail
        passed_over = looked_at = 0
        at = tail.rfind(_END_MAGIC)
        while at >= 0:
            end = _EndRecord(*_END.unpack_from(tail, at)[4:]) if _fits(tail, at) else None
            if end is not None and (
                at + _END.size + end.comment == len(tail) or self._is_sound(end, base + at)
            ):
                if passed_over or _other_end(tail, at):
                    self._doubt = "zip: another end record is in the comment or behind it"
                return self._directory_of(end, base + at)
            passed_over = looked_at = looked_at + 1
            if looked_at > _END_RECORDS:
                break
            at = tail.rfind(_END_MAGIC, 0, at + len(_END_MAGIC) - 1)
        if passed_over:
            raise DamagedError("zip: no end record agrees with the file's size or contents")
        raise NotRecognisedError("no zip archive: it has no end of central directory")

    def _is_sound(self, end: _EndRecord, position: int) -> bool:
        """Whether the directory and the first member are where an end record says."""
        start = position - end.length
        first = start - end.start
        if first < 0 or start < 0:
            return False
        return self._read_at(start, 4) == _CENTRAL_MAGIC and self._read_at(first, 4) == _LOCAL_MAGIC

    def _directory_of(self, end: _EndRecord, position: int) -> _Directory:
        """Where the directory lies that an end record speaks of, at this offset.

        The zip64 record counts wherever it is there and does not contradict the plain one: Python's
        zipfile writes one for archives above 2 GiB whose plain record holds all of it.
        """
        length, start = end.length, end.start
        wide = self._wide_end(position)
        if wide is not None and all(
            plain in {full, more}
            for plain, full, more in zip(end[:3], (_FULL16, _FULL, _FULL), wide[:3], strict=True)
        ):
            _, length, start, position = wide
        if length > DIRECTORY_LIMIT:
            raise LimitError(f"zip directory of {length} bytes, limit {DIRECTORY_LIMIT}")
        shift = position - length - start
        if shift < 0 or start + shift > self._size:
            raise DamagedError(f"zip: the directory cannot be at {start}")
        return _Directory(start + shift, length, shift)

    def _wide_end(self, position: int) -> tuple[int, int, int, int] | None:
        """(entries, length, offset of the directory, the record's own offset) of a zip64 record."""
        if position < _LOCATOR64.size:
            return None
        locator = self._read_at(position - _LOCATOR64.size, _LOCATOR64.size)
        if len(locator) < _LOCATOR64.size or locator[:4] != b"PK\x06\x07":
            return None
        where = _LOCATOR64.unpack(locator)[2]
        record = self._read_at(where, _END64.size) if where < self._size else b""
        if len(record) < _END64.size or record[:4] != b"PK\x06\x06":
            return None
        entries, length, start = _END64.unpack(record)[7:10]
        return entries, length, start, where


class _EndRecord(NamedTuple):
    """The fields of an end record that matter: entries, directory's length and offset, comment."""

    entries: int
    length: int
    start: int
    comment: int


class _Directory(NamedTuple):
    """`shift` is what comes before the archive, a launcher say."""

    start: int
    length: int
    shift: int


def _fits(tail: bytes, at: int) -> bool:
    return at + _END.size <= len(tail)


def _other_end(tail: bytes, at: int) -> bool:
    """Whether an end record before this one has a comment that ends with the file, too."""
    before = tail.rfind(_END_MAGIC, 0, at)
    for _ in range(_END_RECORDS):
        if before < 0:
            return False
        (comment,) = struct.unpack_from("<H", tail, before + _END.size - 2)
        if before + _END.size + comment == len(tail):
            return True
        before = tail.rfind(_END_MAGIC, 0, before)
    return True


def _wide(compressed: int, size: int, offset: int, extra: bytes) -> tuple[int, int, int]:
    """The sizes and the offset, from the zip64 extra field (4.5.3) where they do not fit."""
    if _FULL not in {compressed, size, offset}:
        return compressed, size, offset
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind == 1:
            body = extra[position + 4 : position + 4 + length]
            values = iter(struct.unpack(f"<{len(body) // 8}Q", body[: len(body) // 8 * 8]))
            size = next(values, size) if size == _FULL else size
            compressed = next(values, compressed) if compressed == _FULL else compressed
            offset = next(values, offset) if offset == _FULL else offset
            break
        position += 4 + length
    return compressed, size, offset
