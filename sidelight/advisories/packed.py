"""Compressed files and archives of feeds, read within limits: what they hold, not what it says."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, Self, cast

import zstandard

from sidelight.advisories.formats.shape import MAX_TEXT
from sidelight.errors import DamagedError, LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_RECORD = 64 << 20  # bytes of one line, or of one file of an archive
MAX_STREAM = 4 << 30  # bytes of one XML or CSV document, or of NVD's, unpacked
MAX_MEMBERS = 2_000_000  # files of one archive

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
# What the libraries raise for what is cut off or damaged.
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
    """The file's content, decompressed where its ending says that it is compressed."""
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
    """All of a stream. Raises LimitError past so many bytes."""
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise LimitError(f"longer than {limit >> 20} MiB", where=where)
    return data


def members(path: Path, kind: str) -> Iterator[tuple[str, str, bytes]]:
    """(name, `.json` or `.yml`, content) of each file of a `.zip` or `.tar` that may be a record.

    Raises DamagedError where there is none: an archive of something else must not pass for a feed
    that has nothing to say.
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
    """A file's header. One that is damaged, or missing, is no end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # its stubs lack it
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a file's header, or the end: {error}") from error


def _superseded(archive: Path) -> frozenset[str]:
    """The members that do not count any more, as a download of later documents notes them."""
    note = archive.with_name(f".{archive.name}.superseded")
    return frozenset(note.read_text().splitlines()) if note.is_file() else frozenset()


# What the repositories of FriendsOfPHP and RubySec hold besides advisories, as they are checked out
# and in the archives that their hosts make of them.
_BESIDES = re.compile(r"([^/]+/)?(composer\.json|spec/schemas/[^/]+)")


def may_be(name: str) -> bool:
    """Whether a path below a feed's top may be a part of the feed: hidden ones are not."""
    is_hidden = any(part.startswith(".") and part != "." for part in name.split("/"))
    return not (is_hidden or _BESIDES.fullmatch(name.removeprefix("./")))


def _member_kind(name: str) -> str:
    """`.json` or `.yml` for a member of an archive that may be a record, else ""."""
    kind = name.lower().rpartition(".")[2] if may_be(name) else ""
    return {"json": ".json", "yml": ".yml", "yaml": ".yml"}.get(kind, "")


class Capped(io.RawIOBase):
    """A stream that ends with a LimitError where it is longer than it may be.

    So does a run without the mark: of XML, one text or tag, which is kept in memory as a whole.
    """

    def __init__(self, stream: IO[bytes], mark: bytes = b"") -> None:
        """A stream of at most MAX_STREAM bytes."""
        self._stream = stream
        self._left = MAX_STREAM
        self._mark = mark
        self._run = 0  # bytes since the last mark

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As any raw stream's."""
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise LimitError(f"unpacks to more than {MAX_STREAM >> 20} MiB")
        if self._mark:
            at = data.rfind(self._mark)
            self._run = self._run + len(data) if at < 0 else len(data) - at
            if self._run > MAX_TEXT:
                raise LimitError(f"a text or a tag of more than {MAX_TEXT >> 20} MiB")
        buffer[: len(data)] = data
        return len(data)
