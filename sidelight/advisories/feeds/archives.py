"""Read compressed files and archives of feeds within limits, without parsing their contents."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Self, cast

import zstandard

from sidelight.advisories.feeds.formats.shape import MAX_TEXT
from sidelight.errors import DamagedError, LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

MAX_RECORD = 64 << 20  # bytes of one line, or of one file of an archive
MAX_STREAM = 4 << 30  # bytes of one XML or CSV document, or of NVD's, unpacked
MAX_MEMBERS = 2_000_000  # files of one archive

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
# The libraries' exceptions for truncated or damaged files.
BROKEN = (
    OSError,
    EOFError,
    lzma.LZMAError,
    zlib.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    RuntimeError,
    zstandard.ZstdError,
)


def unpacked(path: Path) -> IO[bytes]:
    """Open the file, decompressed if its ending is that of a compression."""
    ending = path.suffix.lower()
    if ending == ".gz":
        return cast("IO[bytes]", gzip.open(path))
    if ending == ".bz2":
        return cast("IO[bytes]", bz2.open(path))
    if ending == ".xz":
        return cast("IO[bytes]", lzma.open(path))
    if ending == ".zst":
        return cast("IO[bytes]", zstandard.open(path))
    return path.open("rb")


def limited(stream: IO[bytes], limit: int, where: str) -> bytes:
    """Read all of a stream. Raises LimitError beyond `limit` bytes."""
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise LimitError(f"longer than {limit >> 20} MiB", where=where)
    return data


def members(path: Path, kind: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield (name, `.json` or `.yml`, content) of each possible record in a `.zip` or `.tar`.

    Raises DamagedError if there is none: another kind of archive must not look like an empty feed.
    """
    records = 0
    for record in (_of_zip if kind == ".zip" else _of_tar)(path):
        records += 1
        yield record
    if not records:
        raise DamagedError("no JSON or YAML record in this archive", where=str(path))


def _of_zip(path: Path) -> Iterator[tuple[str, str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        listed = sorted(archive.infolist(), key=lambda member: member.filename)
        if len(listed) > MAX_MEMBERS:
            raise LimitError(f"{len(listed)} files in one archive", where=str(path))
        for member in listed:
            name = member.filename
            if kind := _member_kind(name):
                with archive.open(member) as stream:
                    yield name, kind, limited(stream, MAX_RECORD, f"{path}: {name}")


def _of_tar(path: Path) -> Iterator[tuple[str, str, bytes]]:
    superseded = _superseded(path)
    with unpacked(path) as raw, tarfile.open(fileobj=raw, mode="r|", tarinfo=_Member) as archive:
        for number, member in enumerate(archive):
            if number > MAX_MEMBERS:
                raise LimitError(f"more than {MAX_MEMBERS} files in one archive", where=str(path))
            kind = _member_kind(member.name)
            if member.name.removeprefix("./") in superseded:
                kind = ""
            stream = archive.extractfile(member) if kind and member.isfile() else None
            if stream is not None:
                place = f"{path}: {member.name}"
                yield member.name, kind, limited(stream, MAX_RECORD, place)


class _Member(tarfile.TarInfo):
    """A file's header. A damaged or missing header is an error, not the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # its stubs lack it
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a file's header, or the end: {error}") from error


def _superseded(archive: Path) -> frozenset[str]:
    """Return the superseded members, as the download of later documents recorded them."""
    note = archive.with_name(f".{archive.name}.superseded")
    return frozenset(note.read_text().splitlines()) if note.is_file() else frozenset()


# Files other than advisories in the repositories of FriendsOfPHP and RubySec, as checked out and in
# their hosts' archives.
_BESIDES = re.compile(r"([^/]+/)?(composer\.json|spec/schemas/[^/]+)")


def may_be(name: str) -> bool:
    """Return whether a path below a feed's top may be part of the feed: hidden ones are not."""
    is_hidden = any(part.startswith(".") and part != "." for part in name.split("/"))
    return not (is_hidden or _BESIDES.fullmatch(name.removeprefix("./")))


def _member_kind(name: str) -> str:
    """Return `.json` or `.yml` for an archive's member that may be a record, else ""."""
    kind = name.lower().rpartition(".")[2] if may_be(name) else ""
    return {"json": ".json", "yml": ".yml", "yaml": ".yml"}.get(kind, "")


class Capped(io.RawIOBase):
    """A stream that raises LimitError beyond MAX_STREAM bytes.

    It also raises for a long run without the mark: in XML, one text or tag, which is in memory as
    a whole.
    """

    def __init__(self, stream: IO[bytes], mark: bytes = b"") -> None:
        """Wrap a stream; `mark` is the bytes that end a run, empty for no limit on runs."""
        self._stream = stream
        self._left = MAX_STREAM
        self._mark = mark
        self._run = 0  # bytes since the last mark

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read as any raw stream. Raises LimitError."""
        data = self._stream.read(memoryview(buffer).nbytes)
        self._left -= len(data)
        if self._left < 0:
            raise LimitError(f"unpacks to more than {MAX_STREAM >> 20} MiB")
        if self._mark:
            at = data.rfind(self._mark)
            self._run = self._run + len(data) if at < 0 else len(data) - at
            if self._run > MAX_TEXT:
                raise LimitError(f"a text or a tag of more than {MAX_TEXT >> 20} MiB")
        memoryview(buffer).cast("B")[: len(data)] = data
        return len(data)
