"""One file kept as its publisher has it: asked for only if changed, gone on with where cut off.

Beside the file lies a hidden `.NAME.json` with what the publisher said of it (ETag, Last-Modified)
and its SHA-256; a download under way is `.NAME.part`. The file itself is only ever replaced whole,
after its length, its digest where one is known, and its first bytes were checked.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sidelight.download.http import InterruptedBodyError
from sidelight.download.signature import check
from sidelight.errors import DownloadError, LimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from urllib3.response import BaseHTTPResponse

    from sidelight.download.http import Client

MAX_FILE = 8 << 30  # bytes of one feed, also after its transfer's own compression
_CHUNK = 1 << 20
_ATTEMPTS = 5
_WAIT = 2.0  # seconds before the second attempt; then twice as long each time
_LONGEST_WAIT = 120.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")


class Digest(NamedTuple):
    """What a file's digest has to be; `algorithm` is hashlib's name of it."""

    algorithm: str
    hexadecimal: str


class Wanted(NamedTuple):
    """A file to keep: where it is had, where it goes, and what is known of it before.

    With the digest or the revision of the file in place, nothing is asked. `limit` is in bytes.
    """

    url: str
    path: Path
    digest: Digest | None = None
    limit: int = MAX_FILE
    revision: str = ""


@dataclass(slots=True)
class Budget:
    """What a whole run may spend: on new tries, and in bytes. `sleep` takes seconds."""

    sleep: Callable[[float], None]
    tries: int = 60
    received: int = 0
    requests: int = 0
    notes: list[str] = field(default_factory=list)

    def wait(self, attempt: int, error: DownloadError, retry_after: str = "") -> None:
        """Before a new try. Raises the error where no try is left."""
        if attempt >= _ATTEMPTS or self.tries <= 0:
            raise error
        self.tries -= 1
        self.notes.append(str(error))
        asked = float(retry_after) if retry_after.isdigit() else 0.0
        self.sleep(min(max(_WAIT * 2 ** (attempt - 1), asked), _LONGEST_WAIT))


def keep(client: Client, wanted: Wanted, budget: Budget) -> bool:
    """Bring the file up to date; whether it changed.

    Raises DownloadError, and then the file is as it was.
    """
    try:
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        return _keep(client, wanted, budget)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise DownloadError(what, where=str(wanted.path)) from error


def _keep(client: Client, wanted: Wanted, budget: Budget) -> bool:
    known = _known(wanted)
    if known and wanted.revision and known.get("revision") == wanted.revision:
        return False
    if known and wanted.digest:
        if _has(wanted.path, wanted.digest):
            return False
        known = {}  # whatever the server thinks of it, it is not the one
    attempt = 0
    while True:
        attempt += 1
        budget.requests += 1
        try:
            return _try(client, wanted, known, budget)
        except _PassingError as error:
            budget.wait(attempt, error, error.retry_after)
        except InterruptedBodyError as error:
            budget.wait(attempt, error)


class _PassingError(DownloadError):
    """An answer that another try may better."""

    def __init__(self, what: str, where: str, retry_after: str = "") -> None:
        super().__init__(what, where=where)
        self.retry_after = retry_after


def _try(client: Client, wanted: Wanted, known: Mapping[str, Any], budget: Budget) -> bool:
    part = _Part(wanted)
    with client.get(wanted.url, _headers(wanted, known, part)) as response:
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
        budget.received += part.receive(response)
    part.finish(headers)
    return True


def _headers(wanted: Wanted, known: Mapping[str, Any], part: _Part) -> dict[str, str]:
    # What is compressed already is asked for as it is.
    plain = wanted.path.name.endswith(_COMPRESSED)
    headers = {"Accept-Encoding": "identity" if plain else "gzip"}
    if part.offset:
        return headers | {"Range": f"bytes={part.offset}-", "If-Range": part.validator}
    if known.get("etag"):
        headers["If-None-Match"] = str(known["etag"])
    if known.get("last_modified"):
        headers["If-Modified-Since"] = str(known["last_modified"])
    return headers


def _known(wanted: Wanted) -> dict[str, Any]:
    """What is known of the file in place; nothing if it is not what was downloaded."""
    found = _read_json(wanted.path.with_name(f".{wanted.path.name}.json"))
    try:
        size = wanted.path.stat().st_size
    except OSError:
        return {}
    return found if found.get("url") == wanted.url and found.get("size") == size else {}


def _has(path: Path, digest: Digest) -> bool:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, digest.algorithm).hexdigest() == digest.hexadecimal


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class _Part:
    """The download under way, and what it is a part of."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        name = wanted.path.name
        self._path = wanted.path.with_name(f".{name}.part")
        self._note = wanted.path.with_name(f".{name}.part.json")
        said = _read_json(self._note)
        self.validator = str(said.get("validator", "")) if said.get("url") == wanted.url else ""
        self.offset = self._path.stat().st_size if self.validator and self._path.exists() else 0

    def drop(self) -> None:
        """Forget it."""
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def receive(self, response: BaseHTTPResponse) -> int:
        """Write the body behind what is there already; how many bytes came."""
        start = self._start(response)
        length = response.headers.get("Content-Length", "")
        limit = self._wanted.limit
        if length.isdigit() and start + int(length) > limit:
            raise DownloadError(f"has {start + int(length)} bytes", where=self._wanted.url)
        received = 0
        with self._path.open("r+b" if start else "wb") as stream:
            stream.seek(start)
            # What has come is written at once: a body that stalls is gone on with from there.
            while chunk := response.read1(_CHUNK, decode_content=False):
                stream.write(chunk)
                received += len(chunk)
                if start + received > limit:
                    self.drop()
                    raise DownloadError(f"has more than {limit} bytes", where=self._wanted.url)
            stream.truncate()
            stream.flush()
            os.fsync(stream.fileno())
        return received

    def _start(self, response: BaseHTTPResponse) -> int:
        """Where the body goes on; also notes what it is of, so that it can be gone on with."""
        if response.status == 206:
            told = response.headers.get("Content-Range", "")
            if told.startswith(f"bytes {self.offset}-"):
                return self.offset
            self.drop()
            raise InterruptedBodyError(f"sent the range {told!r}", where=self._wanted.url)
        self.drop()
        etag = response.headers.get("ETag", "")
        strong = etag if etag and not etag.startswith("W/") else ""
        validator = strong or response.headers.get("Last-Modified", "")
        if validator and response.headers.get("Accept-Ranges", "bytes") != "none":
            note = {"url": self._wanted.url, "validator": validator}
            self._note.write_text(json.dumps(note))
        return 0

    def finish(self, headers: Mapping[str, str]) -> None:
        """Check what came, and put it in its place with what the publisher said of it."""
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
            # Whatever was wrong, going on with it cannot mend it.
            self.drop()
            raise InterruptedBodyError(error.what, where=self._wanted.url) from error
        size = self._path.stat().st_size
        with self._path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        note = {
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
        """Undo the compression of the transfer."""
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
            raise DownloadError(f"its {digest.algorithm} is not the one that the publisher tells")


def _google(headers: Mapping[str, str]) -> Digest | None:
    """The MD5 that Google's storage sends of a file as it is stored."""
    if headers.get("Content-Encoding", "identity") != "identity":
        return None
    for item in headers.get("x-goog-hash", "").replace(" ", "").split(","):
        if item.startswith("md5="):
            return Digest("md5", base64.b64decode(item[4:]).hex())
    return None


def replace(path: Path, data: bytes) -> None:
    """Write a small file whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(data)
    fresh.replace(path)
