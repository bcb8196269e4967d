"""Check by its first bytes whether a download is of the type of its name.

A proxy's login page arrives with status 200: the earlier file is kept, and the error is reported at
once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.errors import DownloadError

if TYPE_CHECKING:
    from pathlib import Path

_BEGINNINGS = {
    ".gz": (b"\x1f\x8b",),
    ".bz2": (b"BZh",),
    ".xz": (b"\xfd7zXZ\x00",),
    ".zst": (b"\x28\xb5\x2f\xfd",),
    ".zip": (b"PK\x03\x04", b"PK\x05\x06"),
    ".json": (b"{", b"["),
    ".xml": (b"<",),
}
_BLANKS = b" \t\r\n\xef\xbb\xbf"


def check(path: Path, name: str) -> None:
    """Raise DownloadError if the file at `path` cannot be a file called `name`."""
    with path.open("rb") as stream:
        start = stream.read(256)
    ending = next((ending for ending in _BEGINNINGS if name.endswith(ending)), "")
    stripped = start.lstrip(_BLANKS)
    is_page = stripped[:14].lower().startswith((b"<!doctype html", b"<html"))
    if is_page or (ending and not stripped.startswith(_BEGINNINGS[ending])):
        what = "a web page" if is_page else f"no {ending[1:]} file"
        raise DownloadError(f"what came is {what}: {stripped[:40]!r}")
