"""A bundle: a built advisory database in one signed file, for other machines.

    8 bytes   MAGIC
    u32       FORMAT, little-endian
    u32       size of the manifest
    manifest  JSON: BundleManifestDocument
    64 bytes  Ed25519 signature of CONTEXT and the manifest
    payload   the database, compressed with Zstandard

The manifest has the sizes and SHA-256 of the payload and of the database. So the signature is
checked before anything is decompressed, and the payload before the database is opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import zstandard

from sidelight.errors import DatabaseError
from sidelight.fleet.advisory_updates.update_state import (
    UpdateState,
    count_of,
    feed_document,
    state_of,
)
from sidelight.user_files import behind_links

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from sidelight.advisories import DatabaseInfo
    from sidelight.documents.advisories import BundleManifestDocument

MAGIC: Final = b"SLBUNDLE"
FORMAT: Final = 1
HEAD: Final = struct.Struct("<8sII")
CONTEXT: Final = b"Sidelight advisory bundle 1\n"
SIGNATURE: Final = 64  # bytes
MAX_MANIFEST: Final = 1 << 20  # bytes
MAX_DATABASE: Final = 16 << 30  # bytes
MAX_WINDOW: Final = 1 << 27  # bytes of memory that a frame's decompression may take
_CHUNK: Final = 1 << 20
_LEVEL: Final = 10


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """What the signer states of a bundle. Sizes are in bytes.

    `file_sha256` and `size` are of the database's whole file; `state` has the SHA-256 by which
    databases are identified, the time of the build and the feeds.
    """

    state: UpdateState
    schema: int
    newest: str
    size: int
    file_sha256: str
    payload_size: int
    payload_sha256: str

    @property
    def built_at(self) -> datetime:
        """When the database was built."""
        return self.state.built_at


def write_bundle(
    info: DatabaseInfo, state: UpdateState, out: Path, sign: Callable[[bytes], bytes]
) -> BundleManifest:
    """Write a bundle of a database, atomically. `sign` returns the signature of its argument.

    Raises DatabaseError where a file cannot be read or written, UsageError for a link to nowhere.
    """
    out = behind_links(out)
    payload = out.with_name(f".{out.name}.{os.getpid()}.payload")
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        file_sha256 = _compress(info.path, payload)
        with payload.open("rb") as stream:
            payload_sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            manifest = BundleManifest(
                state, info.schema, info.newest, info.size, file_sha256,
                payload.stat().st_size, payload_sha256,
            )  # fmt: skip
            encoded = json.dumps(_document(manifest), sort_keys=True).encode()
            stream.seek(0)
            with part.open("wb") as target:
                target.write(HEAD.pack(MAGIC, FORMAT, len(encoded)))
                target.write(encoded)
                target.write(sign(CONTEXT + encoded))
                while chunk := stream.read(_CHUNK):
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
        part.replace(out)
    except OSError as error:
        raise DatabaseError(f"cannot be written: {error.strerror}", where=str(out)) from error
    finally:
        payload.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    return manifest


def _compress(database: Path, payload: Path) -> str:
    digest = hashlib.sha256()
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    with (
        database.open("rb") as source,
        payload.open("wb") as target,
        compressor.stream_writer(target) as packed,
    ):
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            packed.write(chunk)
    return digest.hexdigest()


def read_manifest(
    stream: BinaryIO, verify: Callable[[bytes, bytes], None], where: str
) -> BundleManifest:
    """Return the manifest, whose signature is right; the stream is then at the payload.

    `verify` gets the signed bytes and the signature, and raises DatabaseError. Raises DatabaseError
    for a file that is not a bundle, is truncated, or has another format.
    """
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size or not head.startswith(MAGIC):
        raise DatabaseError("is not a bundle of advisories", where=where)
    _magic, version, size = HEAD.unpack(head)
    if version != FORMAT:
        what = f"its format is {version}, this version reads {FORMAT}: update Sidelight"
        raise DatabaseError(what, where=where)
    if size > MAX_MANIFEST:
        raise DatabaseError(f"its manifest has {size} bytes", where=where)
    encoded, signature = stream.read(size), stream.read(SIGNATURE)
    if len(encoded) < size or len(signature) < SIGNATURE:
        raise DatabaseError("is truncated within its manifest", where=where)
    verify(CONTEXT + encoded, signature)
    try:
        return _manifest(json.loads(encoded))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DatabaseError("its manifest has another form", where=where) from error


def unpack(stream: BinaryIO, manifest: BundleManifest, out: Path, where: str) -> None:
    """Write the database of a bundle. Raises DatabaseError, also for another digest."""
    begin = stream.tell()
    payload = hashlib.sha256()
    size = 0
    while chunk := stream.read(_CHUNK):
        payload.update(chunk)
        size += len(chunk)
        if size > manifest.payload_size:
            break
    if size < manifest.payload_size:
        what = f"is truncated: its payload has {size} of {manifest.payload_size} bytes"
        raise DatabaseError(what, where=where)
    if size > manifest.payload_size or payload.hexdigest() != manifest.payload_sha256:
        raise DatabaseError("its payload is not the one that was signed", where=where)
    stream.seek(begin)
    try:
        digest, written = _decompress(stream, manifest, out)
    except OSError as error:
        raise DatabaseError(f"cannot be written: {error.strerror}", where=str(out)) from error
    except zstandard.ZstdError as error:
        raise DatabaseError(f"its payload cannot be unpacked: {error}", where=where) from error
    if written != manifest.size or digest != manifest.file_sha256:
        raise DatabaseError("its database is not the one that was signed", where=where)


def _decompress(stream: BinaryIO, manifest: BundleManifest, out: Path) -> tuple[str, int]:
    digest, written = hashlib.sha256(), 0
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    with out.open("wb") as target, decompressor.stream_reader(stream, closefd=False) as reader:
        while (chunk := reader.read(_CHUNK)) and written <= manifest.size:
            digest.update(chunk)
            target.write(chunk)
            written += len(chunk)
        target.flush()
        os.fsync(target.fileno())
    return digest.hexdigest(), written


def _document(manifest: BundleManifest) -> BundleManifestDocument:
    state = manifest.state
    return {
        "sha256": state.sha256,
        "built_at": state.built_at.isoformat(),
        "checked_at": state.checked_at.isoformat(),
        "schema": manifest.schema,
        "newest": manifest.newest,
        "size": manifest.size,
        "file_sha256": manifest.file_sha256,
        "payload_size": manifest.payload_size,
        "payload_sha256": manifest.payload_sha256,
        "feeds": [feed_document(feed) for feed in state.feeds],
    }


def _manifest(document: dict[str, Any]) -> BundleManifest:
    size, payload_size = count_of(document["size"]), count_of(document["payload_size"])
    if not 0 < size <= MAX_DATABASE or not 0 < payload_size <= MAX_DATABASE:
        raise ValueError("size")
    return BundleManifest(
        state=state_of({**document, "inputs": "", "bundle": ""}),
        schema=count_of(document["schema"]),
        newest=str(document["newest"])[:64],
        size=size,
        file_sha256=str(document["file_sha256"]),
        payload_size=payload_size,
        payload_sha256=str(document["payload_sha256"]),
    )
