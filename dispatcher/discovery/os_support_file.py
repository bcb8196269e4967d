"""The operator's own table of operating systems (SIDELIGHT_OS_SUPPORT), over the included one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from dispatcher.planning.os_support import included, table_of
from sidelight.user_files import read_user_text

if TYPE_CHECKING:
    from dispatcher.planning.os_support import OsSupportTable

_MOST: Final = 1 << 20  # bytes


def support_table(path: str) -> OsSupportTable:
    """Return the file's table over the included one; without a path the included one.

    Raises UsageError where the file cannot be read, or is not a table.
    """
    if not path:
        return included()
    text = read_user_text(Path(path), _MOST, f"has more than {_MOST} bytes")
    return table_of(text, path).above(included())
