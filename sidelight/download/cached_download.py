"""Keep a local copy of a publisher's file: download only changes, and resume after interruptions.

Next to the file is a hidden `.NAME.json` with the publisher's headers (ETag, Last-Modified) and the
file's SHA-256; a download in progress is `.NAME.part`. The file itself is only replaced atomically,
after its length, its digest if one is known, and its first bytes were checked.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import os
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sidelight.backoff import doubled
from sidelight.download.http import InterruptedBodyError, UnreachableError
from sidelight.download.signature import check
from sidelight.errors import DownloadError, LimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sidelight.documents.advisories import DownloadNote, PartialDownloadNote
    from sidelight.download.http import Client, FeedAnswer

MAX_FILE = 8 << 30  # bytes of one feed, also after its transfer's own compression
_CHUNK = 1 << 20
_ATTEMPTS = 5
_RESOLVING_ATTEMPTS = 2  # for a name without an address: being offline is reported at once
_WAIT = 2.0  # seconds before the second attempt; then twice as long each time
_LONGEST_WAIT = 120.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")


class Digest(NamedTuple):
    """The required digest of a file; `algorithm` is hashlib's name."""

    algorithm: str
    hexadecimal: str


class DownloadRequest(NamedTuple):
    """A file to keep: its URL, its path, and its known digest or revision.

    If the file in place has this digest or revision, no request is sent. `limit` is in bytes.
    `named_by`: the address of the publisher's document that names this one; empty for our own.
    """

    url: str
    path: Path
    digest: Digest | None = None
    limit: int = MAX_FILE
    revision: str = ""
    named_by: str = ""


@dataclass(slots=True)
class DownloadBudget:
    """The retries and the time that a whole run may use, and its counts. `sleep` takes seconds."""

    sleep: Callable[[float], None]
    tries: int = 60
    received: int = 0
    requests: int = 0
    notes: list[str] = field(default_factory=list)
    # Called with (expected, received): additional announced bytes, and additional received bytes.
    watch: Callable[[int, int], None] = lambda _expected, _received: None
    reached: bool = False  # whether any publisher sent an answer
    clock: Callable[[], float] = time.monotonic
    ends: float = math.inf  # as of `clock`

    def require_time(self, where: str) -> None:
        """Raise DownloadError where the run's time is over."""
        if self.clock() > self.ends:
            what = "its download takes too long; the next one goes on where it ends"
            raise DownloadError(what, where=where)

    def wait(self, attempt: int, error: DownloadError, retry_after: str = "") -> None:
        """Wait before a retry. Raises the error if no retry is left."""
        if attempt >= _ATTEMPTS or self.tries <= 0:
            raise error
        self.require_time(error.where)
        self.tries -= 1
        self.notes.append(str(error))
        seconds = float(retry_after) if retry_after.isdigit() else 0.0
        self.sleep(min(max(doubled(_WAIT, attempt - 1, _LONGEST_WAIT), seconds), _LONGEST_WAIT))


def keep(client: Client, wanted: DownloadRequest, budget: DownloadBudget) -> bool:
    """Bring the file up to date; return whether it changed.

    Raises DownloadError; then the file is unchanged.
    """
    try:
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        return _keep(client, wanted, budget)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise DownloadError(what, where=str(wanted.path)) from error


def _keep(client: Client, wanted: DownloadRequest, budget: DownloadBudget) -> bool:
    known = _known(wanted)
    if known and wanted.revision and known.get("revision") == wanted.revision:
        return False
    if known and wanted.digest:
        if _has(wanted.path, wanted.digest):
            return False
        known = {}  # the file has another digest: the server's validators do not count
    attempt = 0
    while True:
        attempt += 1
        budget.requests += 1
        try:
            return _try(client, wanted, known, budget)
        except _PassingError as error:
            budget.wait(attempt, error, error.retry_after)
        except UnreachableError as error:
            if attempt >= _RESOLVING_ATTEMPTS:
                raise
            budget.wait(attempt, error)
        except InterruptedBodyError as error:
            budget.wait(attempt, error)


class _PassingError(DownloadError):
    """An answer for which a retry may succeed."""

    def __init__(self, what: str, where: str, retry_after: str = "") -> None:
        super().__init__(what, where=where)
        self.retry_after = retry_after


def _try(
    client: Client, wanted: DownloadRequest, known: Mapping[str, object], budget: DownloadBudget
) -> bool:
    part = _Part(wanted)
    with client.get(wanted.url, _headers(wanted, known, part), wanted.named_by) as response:
        budget.reached = True
        status, headers = response.status, response.headers
        if status == 304 and known:
            return False
        if status in _PASSING:
            raise _PassingError(f"answered {status}", wanted.url, headers.get("Retry-After", ""))
        if status == 416:
            part.drop()
            raise _PassingError("has no such range any more", wanted.url)
        if status not in {200, 206}:
            raise DownloadError(f"answered {status}", where=wanted.url)
        part.receive(response, budget)
    part.finish(headers)
    return True


def _headers(wanted: DownloadRequest, known: Mapping[str, object], part: _Part) -> dict[str, str]:
    # Compressed files are requested without further compression.
    plain = wanted.path.name.endswith(_COMPRESSED)
    headers = {"Accept-Encoding": "identity" if plain else "gzip"}
    if part.offset:
        return headers | {"Range": f"bytes={part.offset}-", "If-Range": part.validator}
    if known.get("etag"):
        headers["If-None-Match"] = str(known["etag"])
    if known.get("last_modified"):
        headers["If-Modified-Since"] = str(known["last_modified"])
    return headers


def _known(wanted: DownloadRequest) -> dict[str, object]:
    """Return the note on the file in place; empty if it is not the downloaded file."""
    note = _read_json(wanted.path.with_name(f".{wanted.path.name}.json"))
    try:
        size = wanted.path.stat().st_size
    except OSError:
        return {}
    return note if note.get("url") == wanted.url and note.get("size") == size else {}


def _has(path: Path, digest: Digest) -> bool:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, digest.algorithm).hexdigest() == digest.hexadecimal


def _read_json(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


class _Part:
    """The download in progress, and the note on the file it is part of."""

    def __init__(self, wanted: DownloadRequest) -> None:
        self._wanted = wanted
        name = wanted.path.name
        self._path = wanted.path.with_name(f".{name}.part")
        self._note = wanted.path.with_name(f".{name}.part.json")
        note = _read_json(self._note)
        self.validator = str(note.get("validator", "")) if note.get("url") == wanted.url else ""
        self.offset = self._path.stat().st_size if self.validator and self._path.exists() else 0

    def drop(self) -> None:
        """Delete the partial download."""
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def receive(self, response: FeedAnswer, budget: DownloadBudget) -> None:
        """Append the body to the partial file, and count its bytes as they arrive."""
        start = self._start(response)
        length = response.headers.get("Content-Length", "")
        limit = self._wanted.limit
        if length.isdigit() and start + int(length) > limit:
            raise DownloadError(f"has {start + int(length)} bytes", where=self._wanted.url)
        if length.isdigit():
            budget.watch(int(length), 0)
        received = 0
        with self._path.open("r+b" if start else "wb") as stream:
            stream.seek(start)
            # Each chunk is written at once: a stalled body is resumed from there.
            for chunk in response.chunks(_CHUNK):
                stream.write(chunk)
                received += len(chunk)
                budget.received += len(chunk)
                budget.watch(0, len(chunk))
                budget.require_time(self._wanted.url)
                if start + received > limit:
                    self.drop()
                    raise DownloadError(f"has more than {limit} bytes", where=self._wanted.url)
            stream.truncate()
            stream.flush()
            os.fsync(stream.fileno())

    def _start(self, response: FeedAnswer) -> int:
        """Return the offset of the body, and write the note by which it can be resumed."""
        if response.status == 206:
            content_range = response.headers.get("Content-Range", "")
            if content_range.startswith(f"bytes {self.offset}-"):
                return self.offset
            self.drop()
            raise InterruptedBodyError(f"sent the range {content_range!r}", where=self._wanted.url)
        self.drop()
        etag = response.headers.get("ETag", "")
        strong = etag if etag and not etag.startswith("W/") else ""
        validator = strong or response.headers.get("Last-Modified", "")
        if validator and response.headers.get("Accept-Ranges", "bytes") != "none":
            note: PartialDownloadNote = {"url": self._wanted.url, "validator": validator}
            self._note.write_text(json.dumps(note))
        return 0

    def finish(self, headers: Mapping[str, str]) -> None:
        """Check the download, and move it into place with a note of the publisher's headers."""
        path = self._wanted.path
        try:
            if headers.get("Content-Encoding", "identity") == "gzip":
                self._unpack()
            self._check(headers)
            check(self._path, path.name)
        except LimitError as error:
            self.drop()
            raise DownloadError(error.what, where=self._wanted.url) from error
        except DownloadError as error:
            # A resumed download would have the same error.
            self.drop()
            raise InterruptedBodyError(error.what, where=self._wanted.url) from error
        size = self._path.stat().st_size
        with self._path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        note: DownloadNote = {
            "url": self._wanted.url,
            "size": size,
            "sha256": digest,
            "etag": headers.get("ETag", ""),
            "last_modified": headers.get("Last-Modified", ""),
            "revision": self._wanted.revision,
        }
        self._path.replace(path)
        replace(path.with_name(f".{path.name}.json"), json.dumps(note).encode())
        self.drop()

    def _unpack(self) -> None:
        """Decompress the transfer's encoding."""
        unpacked = self._path.with_name(f"{self._path.name}.unpacked")
        size = 0
        try:
            with gzip.open(self._path) as packed, unpacked.open("wb") as out:
                while chunk := packed.read(_CHUNK):
                    size += len(chunk)
                    if size > self._wanted.limit:
                        raise LimitError(f"unpacks to more than {self._wanted.limit} bytes")
                    out.write(chunk)
            unpacked.replace(self._path)
        except (OSError, EOFError, zlib.error) as error:
            raise DownloadError(f"its transfer is damaged: {error}") from error
        finally:
            unpacked.unlink(missing_ok=True)

    def _check(self, headers: Mapping[str, str]) -> None:
        digest = self._wanted.digest or _google(headers)
        if digest is not None and not _has(self._path, digest):
            raise DownloadError(f"its {digest.algorithm} is not the one that the publisher states")


def _google(headers: Mapping[str, str]) -> Digest | None:
    """Return the MD5 that Google's storage sends for a stored file."""
    if headers.get("Content-Encoding", "identity") != "identity":
        return None
    for item in headers.get("x-goog-hash", "").replace(" ", "").split(","):
        if item.startswith("md5="):
            return Digest("md5", base64.b64decode(item[4:]).hex())
    return None


def replace(path: Path, data: bytes) -> None:
    """Write a small file atomically."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(data)
    fresh.replace(path)
