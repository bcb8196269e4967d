"""Mutated XFS images: only our own errors, no hang.

An input chooses one of the committed images and a list of changes to its metadata: so that
checksums do not hide everything behind them, they are made right again on half of the inputs.
"""

from __future__ import annotations

import struct
from contextlib import suppress

from sidelight.errors import SidelightError
from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.xfs import log_records
from sidelight.filesystems.xfs.reader import XfsFilesystem
from tests.images.xfs.fixtures import PIECE, SparseImage, load

# The large images take ten times as long, and have little that the tiny ones have not.
CHOICES = ("tiny", "tiny-dirty") * 12 + ("version4", "clean", "dirty")
UNIT = 64 << 10  # of a source whose blocks come by calls: half of the inputs
CHANGE = struct.Struct("<IHBB")  # which piece, where in it, how, with what

CHECKSUM_OK = log_records._checksum_ok  # noqa: SLF001 - put back after each input

# Where the CRC of a 512-byte structure is, by its first bytes; and of a block of 4096.
_CHECKED = {b"IN": (100, 512), b"XFSB": (224, 512)}
_CHECKED_BLOCKS = {b"XDB3": 4, b"XDD3": 4, b"BMA3": 64, b"XSLM": 12}


def mutate(data: bytes) -> SparseImage:
    """The image that these bytes stand for."""
    image = load(CHOICES[data[0] % len(CHOICES)] if data else CHOICES[0])
    fix = len(data) > 1 and data[1] & 1
    pieces = dict(image.pieces)
    order = _metadata(image)
    touched = set()
    for piece, where, how, what in CHANGE.iter_unpack(data[2 : 2 + (len(data) - 2) // 8 * 8]):
        index = order[piece % len(order)]
        content = bytearray(pieces[index])
        at = where % PIECE
        if how % 4 == 0:
            content[at] ^= 1 << what % 8
        elif how % 4 == 1:
            content[at] = what
        elif how % 4 == 2:
            content[at : at + 4] = bytes((what,)) * min(4, PIECE - at)
        else:
            other = pieces[order[what % len(order)]]
            content[at : at + 64] = other[at : at + 64]
        pieces[index] = bytes(content)
        touched.add(index)
    if fix:
        for index in touched:
            pieces[index] = sealed(pieces[index])
    size = image.size
    if len(data) > 1 and data[1] & 6 == 6:
        size = size * data[1] // 256 // 512 * 512
    unit = UNIT if len(data) > 1 and data[1] & 8 else 0
    return SparseImage(image.name, size, pieces, unit)


_ORDERS: dict[str, list[int]] = {}


def _metadata(image: SparseImage) -> list[int]:
    """Pieces that begin like metadata or log records; file contents are of no interest."""
    if image.name not in _ORDERS:
        starts = (b"IN", b"XFSB", b"XD", b"BMA", b"XSLM", b"\xfe\xed\xba\xbe")
        _ORDERS[image.name] = [
            index
            for index, content in sorted(image.pieces.items())
            if any(content[at:].startswith(starts) for at in range(0, PIECE, 512))
        ]
    return _ORDERS[image.name]


def sealed(piece: bytes) -> bytes:
    """Right checksums of the inodes, superblocks, directory and tree blocks in a piece."""
    content = bytearray(piece)
    if (field := _CHECKED_BLOCKS.get(bytes(content[:4]))) is not None:
        _sealed(content, 0, PIECE, field)
        return bytes(content)
    for at in range(0, PIECE, 512):
        for magic, (field, length) in _CHECKED.items():
            if content[at : at + len(magic)] == magic:
                _sealed(content, at, length, at + field)
    return bytes(content)


def _sealed(content: bytearray, start: int, length: int, field: int) -> None:
    content[field : field + 4] = bytes(4)
    register = crc32c(bytes(content[start : start + length])) ^ 0xFFFFFFFF
    content[field : field + 4] = register.to_bytes(4, "little")


def use(image: SparseImage) -> None:
    """Read all there is. Raises what a reader must not raise."""
    try:
        filesystem = XfsFilesystem(image)
    except SidelightError:
        return
    filesystem.read_ahead()
    found = {filesystem.root: InodeKind.DIRECTORY}
    level, paths = [filesystem.root], 0
    while level and paths < 20_000:
        below = []
        for _, entries in filesystem.directories(level):
            paths += len(entries)
            for name, number, kind in entries:
                if b"/" in name or not name or b"\0" in name:
                    raise AssertionError(f"a name no path can have: {name!r}")
                if number not in found and kind == InodeKind.DIRECTORY:
                    below.append(number)
                found.setdefault(number, InodeKind(kind))
        level = below
    filesystem.inodes(list(found))
    files = [number for number, kind in found.items() if kind is InodeKind.REGULAR]
    for _ in filesystem.contents(files, 1 << 20):
        pass
    for number in files[:5]:
        with suppress(SidelightError):
            filesystem.read(number, 1000, 5000)
    for number in [number for number, kind in found.items() if kind is InodeKind.SYMLINK][:20]:
        with suppress(SidelightError):
            filesystem.readlink(number)


def one(data: bytes) -> int:
    """One input."""
    image = mutate(data)
    # A record's checksum covers many pieces; let what was changed in the log through as well.
    if data[1:2] and data[1] & 1:
        log_records._checksum_ok = any_checksum  # noqa: SLF001
    try:
        use(image)
    finally:
        log_records._checksum_ok = CHECKSUM_OK  # noqa: SLF001
    return 1


def any_checksum(
    heads: bytes,  # noqa: ARG001 - as the function that it stands for
    data: bytes,  # noqa: ARG001
    length: int,  # noqa: ARG001
    stored: bytes,  # noqa: ARG001
) -> bool:
    """As if every record's checksum were right."""
    return True
