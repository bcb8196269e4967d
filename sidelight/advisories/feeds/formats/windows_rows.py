"""Rows of Microsoft's feeds in the database: affected builds of Windows Server, and updates.

All are of the ecosystem `Windows`. A product (`Windows Server 2022`) has a row for each fix: the
interval's end is the first fixed build, the stream the update with the fix (`KB5041160`). A row of
an update without a known build has no end. An update has a row for each one that it supersedes:
its name is the newer update's, its stream the older one's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.model import Affected, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator

ECOSYSTEM: Final = "Windows"
_SERVER = re.compile(
    r"Windows Server (\d{4}(?: R2)?)(?: for [\w-]+ Systems)?(?: Service Pack \d)?"
    r"(?:, (\w{1,8}) Edition)? {0,2}(?:\(Server Core installation\))?"
)
_CHANNEL = re.compile(r"Windows Server, version (\w{1,8}) {0,2}(?:\(Server Core installation\))?")
_BUILD = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4,6}\.[0-9]{1,6}")
_UPDATE = re.compile(r"[0-9]{6,8}")
_MAX_UPDATES = 100  # updates that one update supersedes, as a feed lists them
_NAME_LIMIT = 200  # characters of a product's name


def product(name: str) -> str:
    """Return the database's name of a Windows Server product, "" for any other product.

    A Server Core installation has the same updates as the full one. Hotpatch editions have builds
    of their own, and are not in the database.
    """
    bare = name.strip()[:_NAME_LIMIT]
    if match := _SERVER.fullmatch(bare):
        return f"Windows Server {match[2] or match[1]}"
    match = _CHANNEL.fullmatch(bare)
    return f"Windows Server {match[1]}" if match else ""


def update(text: str) -> str:
    """Return `KB5041160` for the number of an update, "" for another text."""
    number = text.strip().upper().removeprefix("KB")
    return f"KB{number}" if _UPDATE.fullmatch(number) else ""


def build(text: str) -> str:
    """Return the first of a text's builds, "" if there is none."""
    return next((part for part in re.split(r"[;,\s]+", text[:1000]) if _BUILD.fullmatch(part)), "")


def fixed_by(name: str, fixed_build: str, fixing_update: str) -> Affected:
    """Return a product's row: affected below the build, or until the update is installed."""
    return Affected(ECOSYSTEM, name, (Interval(end=fixed_build),), stream=fixing_update)


def supersedes(newer: str, older: str) -> Iterator[Affected]:
    """Yield a row for each update that the text `older` lists as superseded by `newer`."""
    for number in _UPDATE.findall(older)[:_MAX_UPDATES]:
        if f"KB{number}" != newer:
            yield Affected(ECOSYSTEM, newer, (Interval(end="0"),), stream=f"KB{number}")
