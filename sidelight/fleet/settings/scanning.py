"""The settings of reading disks, and of findings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidelight.errors import UsageError
from sidelight.fleet.settings.definition import CALLERS, STAGES, Process, setting

NO_ADVISORIES: Final = (
    "no advisory database: name one with --advisories or SIDELIGHT_ADVISORIES. To make one: "
    "`sidelight advisories fetch --into feeds`, then "
    "`sidelight advisories build --out advisories.db feeds`"
)


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
        "SIDELIGHT_ADVISORIES", "", unit="path",
        readers=(Process.MACHINE, *CALLERS),
        meaning="The advisory database, made by `sidelight advisories build`",
    )  # fmt: skip
    publish: str = setting(
        "SIDELIGHT_PUBLISH", "", unit="target", readers=(Process.DISPATCHER,),
        meaning="Send events to `eventbridge:BUS`, `sns:ARN`, `securityhub`, `webhook:URL`,"
        " `slack:URL`, `jira:URL` or `file:PATH`; several are separated by blanks; empty: nowhere",
    )  # fmt: skip

    @property
    def advisories_path(self) -> Path:
        """Return the advisory database's path. Raises UsageError where none is set."""
        if not self.advisories:
            raise UsageError(NO_ADVISORIES)
        return Path(self.advisories)
