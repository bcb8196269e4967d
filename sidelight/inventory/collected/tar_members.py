"""The members of a tar archive that a machine sent: files and links, in memory, bounded.

Sources: POSIX's pax interchange format, and GNU tar's manual ("Basic Tar Format": long names). A
member whose header is damaged ends the reading; one with an impossible name is left out. Both are
faults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sidelight.inventory.protocol import MAX_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK: Final = 512
MAX_MEMBERS: Final = 200_000
MAX_PIECES: Final = 5_000  # of one file
MAX_DEPTH: Final = 128  # names in one path
MAX_SIZE: Final = 1 << 50  # bytes that a file may have had
MAX_FAULTS: Final = 100
_LINK: Final = b"2"
_FILES: Final = (b"0", b"\0")
_REFUSED: Final = frozenset((b"", b".", b".."))


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file or a link. `target` is None for a file.

    `pieces` are (offset in the file, offset in `data`, length) of what was sent of it; `size` is
    the file's own.
    """

    path: bytes
    mode: int
    size: int
    data: memoryview
    pieces: tuple[tuple[int, int, int], ...]
    target: bytes | None = None


@dataclass(slots=True)
class _Headers:
    """What extended headers say of the next member."""

    path: bytes = b""
    target: bytes = b""
    pax: dict[bytes, bytes] = field(default_factory=dict)


def members(archive: bytes, faults: list[str]) -> Iterator[TarMember]:
    """Yield the members; append to `faults` what is wrong."""
    view = memoryview(archive)
    at, headers, count, is_ended = 0, _Headers(), 0, False
    while count < MAX_MEMBERS * 2:
        block = bytes(view[at : at + BLOCK])
        if len(block) < BLOCK:
            if block or not is_ended:
                _fault(faults, "the files are cut short")
            return
        is_ended = not any(block)
        if is_ended:  # one archive may follow another, as `cat` joins them
            at += BLOCK
            continue
        count += 1
        size = _octal(block[124:136])
        if size is None or not _is_sound(block):
            _fault(faults, f"member {count} has a damaged header: what follows is not read")
            return
        data = view[at + BLOCK : at + BLOCK + size]
        if len(data) < size:
            _fault(faults, "the files are cut short")
            return
        at += BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK
        kind = block[156:157]
        if kind in (b"x", b"L", b"K"):
            _extend(headers, kind, bytes(data[: 4 * MAX_PATH]), faults)
            continue
        member = _member(block, kind, data, headers)
        headers = _Headers()
        if isinstance(member, TarMember):
            yield member
        else:
            _fault(faults, member)
    _fault(faults, f"more than {MAX_MEMBERS} files: the rest is not read")


def _fault(faults: list[str], what: str) -> None:
    if len(faults) < MAX_FAULTS:
        faults.append(what)


def _octal(field_: bytes) -> int | None:
    text = field_.rstrip(b" \0").lstrip(b" ")
    if not text:
        return 0
    return int(text, 8) if text.isdigit() and not set(text) & set(b"89") else None


def _is_sound(block: bytes) -> bool:
    """Whether the header's own sum is right: of its bytes, with blanks where the sum is."""
    return _octal(block[148:156]) == sum(block[:148]) + 8 * 32 + sum(block[156:])


def _extend(headers: _Headers, kind: bytes, data: bytes, faults: list[str]) -> None:
    if kind == b"L":
        headers.path = data.rstrip(b"\0")
    elif kind == b"K":
        headers.target = data.rstrip(b"\0")
    else:
        at = 0
        while at < len(data):
            length_text, blank, _rest = data[at : at + 20].partition(b" ")
            length = int(length_text) if length_text.isdigit() and blank else 0
            if length <= len(length_text) + 2 or at + length > len(data):
                _fault(faults, "a damaged pax header")
                return
            record = data[at + len(length_text) + 1 : at + length - 1]
            key, _equals, value = record.partition(b"=")
            headers.pax[key] = value
            at += length
        headers.path = headers.pax.get(b"path", headers.path)
        headers.target = headers.pax.get(b"linkpath", headers.target)


def _member(block: bytes, kind: bytes, data: memoryview, headers: _Headers) -> TarMember | str:
    """Return the member, or why it is none."""
    path = headers.path or block[:100].rstrip(b"\0")
    if block[257:262] == b"ustar" and block[262:263] == b"\0" and not headers.path:
        prefix = block[345:500].rstrip(b"\0")
        path = prefix + b"/" + path if prefix else path
    path = path.removeprefix(b"./")
    names = path.split(b"/")
    shown = path[:80].decode("utf-8", "backslashreplace")
    if len(path) > MAX_PATH or len(names) > MAX_DEPTH or _REFUSED & set(names) or b"\0" in path:
        return f"a file named {shown!r} is left out"
    mode = _octal(block[100:108]) or 0
    if kind == _LINK:
        target = headers.target or block[157:257].rstrip(b"\0")
        return TarMember(path, mode, len(target), data[:0], (), target[:MAX_PATH])
    if kind not in _FILES:
        return f"{shown!r} is neither a file nor a link, and is left out"
    if b"SIDELIGHT.size" not in headers.pax:
        whole = ((0, 0, len(data)),) if len(data) else ()
        return TarMember(path, mode, len(data), data, whole)
    size = _number(headers.pax[b"SIDELIGHT.size"])
    pieces = _pieces(headers.pax.get(b"SIDELIGHT.pieces", b""), size, len(data))
    if pieces is None:
        return f"{shown!r} has impossible pieces, and is left out"
    return TarMember(path, mode, size, data, pieces)


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) < 20 else MAX_SIZE + 1


def _pieces(text: bytes, size: int, length: int) -> tuple[tuple[int, int, int], ...] | None:
    """Return the pieces of `START+LENGTH,…`: ascending, within the file, all of the data."""
    found: list[tuple[int, int, int]] = []
    end = at = 0
    parts = text.split(b",", MAX_PIECES) if text else []
    if size > MAX_SIZE or len(parts) > MAX_PIECES:
        return None
    for part in parts:
        start_text, _plus, length_text = part.partition(b"+")
        start, count = _number(start_text), _number(length_text)
        if start < end or start + count > size or at + count > length:
            return None
        found.append((start, at, count))
        end, at = start + count, at + count
    return tuple(found)
