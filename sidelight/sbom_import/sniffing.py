"""Whether a file may be a bill of materials. Imports no reader: each scan asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.json_texts import MARK

if TYPE_CHECKING:
    from pathlib import Path

_SNIFFED: Final = 4096  # bytes


def is_sbom(path: Path) -> bool:
    """Whether a regular file begins as JSON or XML does, and has no NUL as disks have."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(_SNIFFED).removeprefix(MARK).lstrip()
    except (OSError, ValueError):
        return False
    return head[:1] in {b"{", b"<"} and b"\0" not in head
