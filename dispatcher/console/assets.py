"""Static files: each has its content's hash in its URL, and may be kept for ever."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

PREFIX: Final = "/assets/"
STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icons.svg": "image/svg+xml",
    "favicon.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file with its URL, and compressed."""

    url: str
    content_type: str
    body: bytes
    compressed: bytes


@lru_cache(maxsize=1)
def files() -> dict[str, StaticFile]:
    """Return the static files by name."""
    found = {}
    for name, content_type in _TYPES.items():
        body = (STATIC / name).read_bytes()
        digest = hashlib.sha256(body).hexdigest()[:16]
        found[name] = StaticFile(
            f"{PREFIX}{digest}/{name}", content_type, body, gzip.compress(body, 9, mtime=0)
        )
    return found


@lru_cache(maxsize=1)
def by_url() -> dict[str, StaticFile]:
    """Return the static files by URL."""
    return {file.url: file for file in files().values()}
