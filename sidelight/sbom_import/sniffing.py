"""Whether a file may be a bill of materials. Imports no reader: each scan asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.json_texts import MARK, MARKS_OF_UTF_16

if TYPE_CHECKING:
    from pathlib import Path

_SNIFFED: Final = 4096  # bytes


def is_sbom(path: Path) -> bool:
    """Whether a regular file begins as JSON or XML does, and has no NUL as disks have.

    UTF-16 is known by its mark.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(_SNIFFED)
    except (OSError, ValueError):
        return False
    if head.startswith(MARKS_OF_UTF_16):
        head = head.decode("utf-16", "replace").encode()
    head = head.removeprefix(MARK).lstrip()
    return head[:1] in {b"{", b"<"} and b"\0" not in head
