"""A bundle of advisories in S3: downloaded if it changed, and resumed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sidelight.aws.faults import CONNECTION, translate
from sidelight.errors import CloudError, LimitError

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.aws.session import Session

MAX_OBJECT: Final = 8 << 30  # bytes
_CHUNK: Final = 1 << 20
_NOT_MODIFIED, _PRECONDITION, _RANGE = 304, 412, 416


def download_object(session: Session, bucket: str, key: str, path: Path) -> bool:
    """Bring a local copy of an object up to date; return whether it changed.

    Needs s3:GetObject. Raises AccessDeniedError, CloudError, LimitError; then the copy is
    unchanged, and the next call continues the download.
    """
    where = f"s3://{bucket}/{key}"
    client = session.client("s3")
    part, note = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.etag")
    started, etag = _begun(part)
    request: dict[str, Any] = {"Bucket": bucket, "Key": key}
    if started:
        request |= {"IfMatch": etag, "Range": f"bytes={started}-"}
    elif path.exists() and (known := _read(note)):
        request["IfNoneMatch"] = known
    try:
        answer = client.get_object(**request)
        etag = str(answer["ETag"])
        _receive(answer, part, started, where)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status == _NOT_MODIFIED:
            return False
        if started and status in {_PRECONDITION, _RANGE}:  # another edition was published
            part.unlink(missing_ok=True)
            return download_object(session, bucket, key, path)
        raise translate(error, where=where) from error
    except CONNECTION as error:
        raise translate(error, where=where) from error
    part.replace(path)
    note.write_text(json.dumps(etag))
    _part_note(part).unlink(missing_ok=True)
    return True


def _receive(answer: dict[str, Any], part: Path, started: int, where: str) -> None:
    length = int(answer["ContentLength"])
    if started + length > MAX_OBJECT:
        raise LimitError(f"larger than {MAX_OBJECT} bytes", where=where)
    _part_note(part).write_text(json.dumps(str(answer["ETag"])))
    received = 0
    with part.open("ab" if started else "wb") as stream:
        for chunk in answer["Body"].iter_chunks(_CHUNK):
            stream.write(chunk)
            received += len(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    if received != length:
        raise CloudError(f"the answer ended after {received} of {length} bytes", where=where)


def _begun(part: Path) -> tuple[int, str]:
    """Return the size and the ETag of an interrupted download; 0 and "" without one."""
    etag = _read(_part_note(part))
    return (part.stat().st_size, etag) if etag and part.exists() else (0, "")


def _part_note(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _read(note: Path) -> str:
    try:
        value = json.loads(note.read_bytes())
    except (OSError, ValueError):
        return ""
    return value if isinstance(value, str) else ""
