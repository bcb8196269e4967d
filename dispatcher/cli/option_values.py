"""The values of options that several functions use, as click passes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sidelight.model import Severity


class FindingValues(TypedDict, total=False):
    """The values of `finding_options`, and of `sidelight fleet findings`."""

    severity: frozenset[Severity]
    ignore_unfixed: bool
    limit: int | None
    order: str
    wanted: str | None
    kind: str
    instance: str
    account: str
    template: str | None


class ReadValues(TypedDict, total=False):
    """The values of the commands that read a machine's disks."""

    targets: Sequence[str]
    reader: str
    volumes: tuple[str, ...]
    region: str | None
    form: str
    output: Path | None
    stats: Path | None
    severity: frozenset[Severity]
    ignore_unfixed: bool
    advisories: Path | None
    vex: tuple[Path, ...]
    ignore_file: Path | None
    template: str | None


class PlaceValues(TypedDict, total=False):
    """The values of `place_options`."""

    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    organization: bool
    units: tuple[str, ...]
    all_regions: bool


class FleetValues(PlaceValues, total=False):
    """The values of `sidelight fleet scan`, `run` and `sweep`."""

    exclusion_tag: str
    max_volumes: int
    max_gib: int
    running_only: bool
    form: str
    instances: tuple[str, ...]
    tags: tuple[str, ...]
    vpcs: tuple[str, ...]
    due: bool
    wait: bool
    snapshots: tuple[str, ...]
    yes: bool


class QueueValues(TypedDict):
    """The queues that a worker serves."""

    regions: tuple[str, ...]
    stages: tuple[str, ...]


class UpdateValues(TypedDict):
    """The options of `advisories update`."""

    mirrors: tuple[str, ...]
    accept_smaller: bool
    allow_older: bool
    form: str
