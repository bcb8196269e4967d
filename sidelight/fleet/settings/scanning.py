"""The settings of reading disks, and of findings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidelight.errors import UsageError
from sidelight.fleet.settings.definition import CALLERS, QUEUES, STAGES, Process, setting

if TYPE_CHECKING:
    from collections.abc import Callable

_VARIABLE: Final = "SIDELIGHT_ADVISORIES"
NO_ADVISORIES: Final = (
    "no advisory database: make one with `sidelight advisories update`, or name one with "
    "--advisories or SIDELIGHT_ADVISORIES"
)


def default_advisories() -> Path:
    """Return where the advisory database is if no setting names one: in the user's data."""
    home = os.environ.get("XDG_DATA_HOME", "")
    # The specification lets a relative path be ignored.
    data = Path(home) if home.startswith("/") else Path.home() / ".local" / "share"
    return data / "sidelight" / "advisories.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingSettings:
    """How the disks of a machine are read."""

    in_flight: int = setting(
        "SIDELIGHT_IN_FLIGHT", 64, unit="count", positive=True, most=1024,
        readers=(Process.MACHINE, *CALLERS), meaning="Block reads of one scan at once",
    )  # fmt: skip
    # As sidelight.blocks.cache.DEFAULT_BUDGET, which help doesn't import. With less, more blocks
    # are paid for twice.
    cache_mib: int = setting(
        "SIDELIGHT_CACHE_MIB", 144, unit="MiB", positive=True, readers=(Process.MACHINE, *STAGES),
        meaning="Blocks kept in memory for each machine that is read",
    )  # fmt: skip
    # It costs the blocks of these files, some blocks a layer (docs/cost-model.md).
    containers: bool = setting(
        "SIDELIGHT_CONTAINERS", False, readers=(Process.MACHINE, *STAGES),
        meaning="Also read container runtimes' storage (/var/lib/docker and the like)",
    )  # fmt: skip
    skip_dirs: str = setting(
        "SIDELIGHT_SKIP_DIRS", "", unit="globs", readers=(Process.MACHINE, *STAGES),
        meaning="Directories in which no language packages are looked for: globs from the root,"
        " separated by colons, as `/opt/**/node_modules` (docs/cli.md); coverage reports them",
    )  # fmt: skip
    # docs/threat-model.md has what these hold against whom.
    cage: bool = setting(
        "SIDELIGHT_CAGE", True, readers=(Process.MACHINE, *STAGES),
        meaning="Read disks in a process without credentials, network and files; without it,"
        " a fault in a parser opens this process and its credentials to the disk's owner",
    )  # fmt: skip
    cage_required: bool = setting(
        "SIDELIGHT_CAGE_REQUIRED", False, readers=(Process.MACHINE, *STAGES),
        meaning="Refuse to scan where this machine lacks a part of the cage (seccomp, Landlock);"
        " without it, the lack is a warning",
    )  # fmt: skip
    # The blocks are the instances' data. If a worker dies and no other continues its scan on this
    # machine, they stay until newer blocks replace them.
    block_cache: str = setting(
        "SIDELIGHT_BLOCK_CACHE", "", unit="directory", readers=(Process.MACHINE, *STAGES),
        meaning="Keep snapshot blocks on disk until their scan has read all, so that a scan whose"
        " worker died does not pay twice; empty: none",
    )  # fmt: skip
    block_cache_gib: float = setting(
        "SIDELIGHT_BLOCK_CACHE_GIB", 10.0, unit="GiB", readers=(Process.MACHINE, *STAGES),
        meaning="The most that this directory holds",
    )  # fmt: skip

    @property
    def skipped_globs(self) -> tuple[str, ...]:
        """Return the globs of `skip_dirs`. Raises UsageError for what is not one."""
        from sidelight.inventory.directory_globs import split_globs

        try:
            return split_globs(self.skip_dirs)
        except UsageError as error:
            raise UsageError(error.what, where="SIDELIGHT_SKIP_DIRS") from None

    @property
    def block_cache_bytes(self) -> int:
        """Return the size limit of the disk cache of blocks, in bytes."""
        return int(self.block_cache_gib * (1 << 30))


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingSettings:
    """The advisories that findings are based on, and the target of their events."""

    advisories: str = setting(
        _VARIABLE, "", unit="path",
        readers=(Process.MACHINE, Process.ADVISORIES, *QUEUES),
        meaning="The advisory database, made by `sidelight advisories update`; empty:"
        " `sidelight/advisories.db` in $XDG_DATA_HOME or ~/.local/share, where it is there",
    )  # fmt: skip
    publish: str = setting(
        "SIDELIGHT_PUBLISH", "", unit="target", readers=(Process.DISPATCHER,),
        meaning="Send events to `eventbridge:BUS`, `sns:ARN`, `securityhub`, `webhook:URL`,"
        " `slack:URL`, `jira:URL` or `file:PATH`; several are separated by blanks; empty: nowhere",
    )  # fmt: skip
    event_types: str = setting(
        "SIDELIGHT_EVENT_TYPES", "findings,coverage,scans", unit="names",
        readers=(Process.FLEET, Process.DISPATCHER),
        meaning="The events that are sent and shown: of findings, of changed coverage, of an"
        " instance's first scan; separated by commas",
    )  # fmt: skip
    event_dates: str = setting(
        "SIDELIGHT_EVENT_DATES", "iso", unit="`iso` or `inspector`",
        readers=(Process.FLEET, Process.DISPATCHER),
        meaning="The dates in events of findings: `2026-01-31T09:30:00+00:00`, or as Inspector"
        " writes them to EventBridge, `Sat Jan 31 09:30:00.000 UTC 2026`",
    )  # fmt: skip

    @property
    def has_advisories(self) -> bool:
        """Whether an advisory database is named, or is at its default place."""
        return bool(self.advisories) or _exists(default_advisories)

    @property
    def advisories_path(self) -> Path:
        """Return the advisory database's path. Raises UsageError where none is set or made."""
        if not self.has_advisories:
            raise UsageError(NO_ADVISORIES)
        return self.advisories_place

    @property
    def advisories_place(self) -> Path:
        """Return the path where an update writes the advisory database.

        Raises UsageError where no place is named and there is no home directory.
        """
        try:
            return Path(self.advisories) if self.advisories else default_advisories()
        except RuntimeError as error:
            raise UsageError("there is no home directory: name a file", where=_VARIABLE) from error


def _exists(place: Callable[[], Path]) -> bool:
    try:
        return place().is_file()
    except (OSError, RuntimeError):  # no home directory
        return False
