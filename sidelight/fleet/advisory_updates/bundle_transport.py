"""Bundles from where they are: a file, HTTPS, or S3. What was downloaded is kept and resumed."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sidelight.aws.bundle_objects import download_object
from sidelight.download.cached_download import DownloadBudget, DownloadRequest, keep
from sidelight.download.http import Client
from sidelight.errors import DownloadError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.aws.session import Session


def local_bundle(address: str, kept: Path, session: Callable[[], Session]) -> Path:
    """Return the path of a bundle: a file's own, or of its download in the directory `kept`.

    Only a changed bundle is downloaded. Raises UsageError for another kind of address,
    DownloadError, AccessDeniedError, CloudError.
    """
    scheme = urlsplit(address).scheme if "://" in address else ""
    if not scheme:
        return Path(address)
    digest = hashlib.sha256(address.encode()).hexdigest()[:16]
    path = kept / f"{digest}.bundle"
    if scheme == "s3":
        bucket, _, key = address.removeprefix("s3://").partition("/")
        if not bucket or not key:
            raise UsageError("write s3://BUCKET/KEY", where=address)
        _make(kept)
        download_object(session(), bucket, key, path)
    elif scheme in {"http", "https"}:
        _make(kept)
        keep(Client(), DownloadRequest(address, path), DownloadBudget(time.sleep))
    else:
        raise UsageError("a bundle is a file, https://… or s3://BUCKET/KEY", where=address)
    return path


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"cannot be written: {error.strerror}", where=str(folder)) from error
