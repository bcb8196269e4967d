"""Files that a user names: small ones, read whole, with errors that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def read_user_file(path: Path, most: int, too_long: str) -> bytes:
    """Return a file's bytes; what is longer is not read.

    Raises UsageError where it cannot be read, and `too_long` where it has more than `most` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot be read: {what}", where=str(path)) from error
    if len(data) > most:
        raise UsageError(too_long, where=str(path))
    return data


def read_user_text(path: Path, most: int, too_long: str) -> str:
    """Return a file's text. Raises UsageError as `read_user_file`, and where it is not UTF-8."""
    try:
        return read_user_file(path, most, too_long).decode()
    except UnicodeDecodeError as error:
        raise UsageError("is not UTF-8", where=str(path)) from error
