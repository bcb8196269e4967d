"""The methods that can read an operating system, by a table. PURE but for its own data.

os_support.json is Sidelight's own table; a file of the operator's goes before it, so that a table
changes without a release. An operating system that is in neither is tried by each method that its
platform has: a machine without advisories is PARTIAL, which never looks clean.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from dispatcher.planning.facts import OsSupport
from sidelight.errors import UsageError
from sidelight.model import PlatformType

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_ROWS: Final = 1_000
_LONGEST: Final = 200  # characters of a text
_METHODS: Final = {
    (True, True): OsSupport.BOTH,
    (True, False): OsSupport.AGENT_BASED,
    (False, True): OsSupport.AGENTLESS,
    (False, False): OsSupport.NEITHER,
}


@dataclass(frozen=True, slots=True)
class OsSupportRow:
    """The methods for systems whose name and version (`Ubuntu 22.04`) begin with `prefix`."""

    prefix: str
    support: OsSupport
    platform: PlatformType = PlatformType.LINUX

    def includes(self, platform: PlatformType, system: str) -> bool:
        """Whether a system's name and version begin so; `Debian 1` is not Debian 12."""
        start, whole = self.prefix.casefold(), system.casefold()
        is_cut = start[-1:].isdigit() and whole[len(start) :][:1].isdigit()
        return platform is self.platform and whole.startswith(start) and not is_cut


@dataclass(frozen=True, slots=True)
class OsSupportTable:
    """Which methods read which system. `source` and `checked` say where that is from, and when."""

    source: str
    checked: date
    platforms: Mapping[PlatformType, OsSupport]
    systems: tuple[OsSupportRow, ...] = ()

    def of(self, platform: PlatformType, name: str = "", version: str = "") -> OsSupport:
        """Return the methods for a platform, and the agent's name and version, if it sent any.

        Of the rows that include the system the longest decides, then the first.
        """
        system = f"{name} {version}".strip()
        rows = [row for row in self.systems if row.includes(platform, system)]
        longest = max(rows, key=lambda row: len(row.prefix), default=None)
        return self.platforms[platform] if longest is None else longest.support

    def above(self, other: OsSupportTable) -> OsSupportTable:
        """Return this table over another: its platforms, and its rows of a prefix, go before."""
        own = {(row.platform, row.prefix.casefold()) for row in self.systems}
        others = (row for row in other.systems if (row.platform, row.prefix.casefold()) not in own)
        return replace(
            self,
            platforms={**other.platforms, **self.platforms},
            systems=(*self.systems, *others),
        )


@cache
def included() -> OsSupportTable:
    """Return the table that Sidelight includes."""
    text = files("dispatcher.planning").joinpath("os_support.json").read_text("utf-8")
    return table_of(text, "os_support.json")


def table_of(text: str, where: str) -> OsSupportTable:
    """Parse a table. Raises UsageError, with where in the file, for another shape."""
    try:
        document = _object(json.loads(text), "the file")
        platforms = _object(document.get("platforms", {}), "platforms")
        rows = document.get("operating_systems", [])
        if not isinstance(rows, list) or len(rows) > MOST_ROWS:
            raise ValueError(f"operating_systems is not a list of at most {MOST_ROWS} rows")  # noqa: TRY301
        return OsSupportTable(
            source=_text(document, "source", "the file"),
            checked=date.fromisoformat(_text(document, "checked", "the file")),
            platforms={
                PlatformType(name): _support(_object(row, name), name)
                for name, row in platforms.items()
            },
            systems=tuple(
                _row(_object(row, f"row {number}"), f"row {number}")
                for number, row in enumerate(rows)
            ),
        )
    except (ValueError, RecursionError) as error:
        what = f"not a table of operating systems: {error}"
        raise UsageError(f"{what[:300]} (docs/eligibility.md)", where=where) from error


def _row(row: Mapping[str, object], where: str) -> OsSupportRow:
    platform = PlatformType(str(row.get("platform", PlatformType.LINUX.value)))
    return OsSupportRow(_text(row, "prefix", where), _support(row, where), platform)


def _support(row: Mapping[str, object], where: str) -> OsSupport:
    agent_based, agentless = row.get("agent_based"), row.get("agentless")
    if not isinstance(agent_based, bool) or not isinstance(agentless, bool):
        raise ValueError(f"{where}: agent_based and agentless are true or false")  # noqa: TRY004
    return _METHODS[agent_based, agentless]


def _object(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is not an object")  # noqa: TRY004 - a fault of the file
    return value


def _text(row: Mapping[str, object], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _LONGEST:
        raise ValueError(f"{where}: {name} is not text of at most {_LONGEST} characters")
    return value.strip()
