"""Open and check a command's output file."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from sidelight.errors import SidelightError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Errors that are the user's path's fault, and not the machine's.
_PATH = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS,
     errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
)  # fmt: skip


def check_writable(path: Path | None) -> None:
    """Raise UsageError for a file that cannot be written, before the work starts."""
    if path is None:
        return
    parent = path.parent
    if path.is_dir():
        raise UsageError("cannot be written: is a directory", where=str(path))
    if not parent.is_dir():
        raise UsageError(f"cannot be written: there is no directory {parent}", where=str(path))
    if not os.access(path if path.exists() else parent, os.W_OK):
        raise UsageError("cannot be written: Permission denied", where=str(path))


@contextmanager
def opened(path: Path | None) -> Iterator[TextIO]:
    """Yield standard output, or the file. A name that is not UTF-8 is written with escapes.

    Raises UsageError where the file cannot be opened, SidelightError where it cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    try:
        file = path.open("w", encoding="utf-8", errors="backslashreplace")
    except (OSError, ValueError) as error:
        raise _unwritable(error, path) from error
    try:
        with file:
            yield file
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise _unwritable(error, path) from error


def _unwritable(error: OSError | ValueError, path: Path) -> SidelightError:
    why = error.strerror if isinstance(error, OSError) else str(error)
    wrong = not isinstance(error, OSError) or error.errno in _PATH
    kind = UsageError if wrong else SidelightError
    return kind(f"cannot be written: {why}", where=str(path))
