"""Files that a user names: small ones are read whole, and links to large ones are kept."""

from __future__ import annotations

import os
from pathlib import Path

from sidelight.errors import UsageError


def behind_links(path: Path) -> Path:
    """Return the file that a path leads to: the path itself unless it is a symbolic link.

    A file that is replaced by a rename is replaced there, so that the link of somebody who keeps it
    on another volume stays. The file need not exist, but a link's directory must: otherwise its
    volume is probably not mounted. Raises UsageError.
    """
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise UsageError("is a link that leads to itself", where=str(path))
    if not target.parent.is_dir():
        what = f"is a link to {target}, whose directory does not exist: is its volume mounted?"
        raise UsageError(what, where=str(path))
    return target


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
