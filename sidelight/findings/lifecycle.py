"""Open, keep, close and reopen the findings of instances by what is observed on them now.

The store loads what it knows of an instance, and applies the plan that is made here. A plan is for
one type of findings: the others of the same instance are not touched. A finding's `key` says what
it is about, its `detail` is the id of its details in the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sidelight.findings.retention import reopens
from sidelight.model import FindingChanges, FindingStatus, FindingType, InstanceRef, Judged, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    PackageKey = tuple[str, str, str]  # type, name, path
    SuppressionJudge = Callable[[Iterable[Judged]], Mapping[Judged, FindingStatus]]

CLOSED = FindingStatus.CLOSED.value


class StoredFinding(NamedTuple):
    """A finding as stored. `type` and `status` are the values of FindingType and FindingStatus.

    One that `follows` was last observed with its instance's inventory, not at `last_observed`.
    """

    id: int
    account: str
    region: str
    instance: str
    key: str
    detail: int
    status: str
    first_observed: datetime
    last_observed: datetime
    closed_at: datetime | None = None
    type: str = FindingType.PACKAGE_VULNERABILITY.value
    follows: bool = False

    @property
    def place(self) -> InstanceRef:
        """The instance with its account and region."""
        return InstanceRef(self.account, self.region, self.instance)


@dataclass(slots=True)
class Observation:
    """What is found on an instance now: the ids of the details, by key.

    `keys` are the keys that were compared, None for all. A key that was not compared says nothing.
    """

    place: InstanceRef
    details: Mapping[str, int]
    keys: frozenset[str] | None = None
    type: FindingType = FindingType.PACKAGE_VULNERABILITY


@dataclass(slots=True)
class NewFinding:
    """A finding to open."""

    place: InstanceRef
    key: str
    detail: int
    type: str
    status: str = FindingStatus.ACTIVE.value


@dataclass(slots=True)
class Reopened:
    """A closed finding to reopen, with its present details and status."""

    finding: StoredFinding
    detail: int
    status: str = FindingStatus.ACTIVE.value


@dataclass(slots=True)
class FindingPlan:
    """The changes to write, of many instances."""

    opened: list[NewFinding] = field(default_factory=list)
    reopened: list[Reopened] = field(default_factory=list)
    moved: list[tuple[int, int]] = field(default_factory=list)  # finding, and its new details
    kept: list[StoredFinding] = field(default_factory=list)
    closed: list[StoredFinding] = field(default_factory=list)

    def add(
        self, observed: Observation, known: Iterable[StoredFinding], now: datetime
    ) -> list[StoredFinding]:
        """Plan an instance's findings; return the open ones that were not found again.

        `known` are the instance's findings that are open, or that may be reopened. The caller
        decides which of the returned ones to close (`closable`).
        """
        latest = _latest(known, observed.type.value, now)
        for key, detail in observed.details.items():
            finding = latest.get(key)
            if finding is None:
                self.opened.append(NewFinding(observed.place, key, detail, observed.type.value))
                continue
            if finding.status == CLOSED:
                self.reopened.append(Reopened(finding, detail))
            else:
                self.kept.append(finding)
            if finding.detail != detail:
                self.moved.append((finding.id, detail))
        return [
            finding
            for key, finding in latest.items()
            if (observed.keys is None or key in observed.keys)
            and key not in observed.details
            and finding.status != CLOSED
        ]

    def judge(self, rules: SuppressionJudge, now: datetime) -> None:
        """Set the status of new and reopened findings by the suppression rules, all at once."""
        new = [(item, Judged(item.place, item.detail, now)) for item in self.opened]
        again = [
            (item, Judged(item.finding.place, item.detail, item.finding.first_observed))
            for item in self.reopened
        ]
        verdicts = rules([subject for _item, subject in [*new, *again]])
        for item, subject in new:
            item.status = verdicts.get(subject, FindingStatus.ACTIVE).value
        for reopened, subject in again:
            reopened.status = verdicts.get(subject, FindingStatus.ACTIVE).value

    def changes(self) -> FindingChanges:
        """Count the changes."""
        opened = len(self.opened) + len(self.reopened)
        return FindingChanges(opened, len(self.kept), len(self.closed))


def _latest(known: Iterable[StoredFinding], kind: str, now: datetime) -> dict[str, StoredFinding]:
    """Return the finding of each key: the open one, else the newest that may be reopened."""
    counted = [
        finding
        for finding in known
        if finding.type == kind and (finding.status != CLOSED or reopens(finding.closed_at, now))
    ]
    counted.sort(key=lambda finding: (finding.status != CLOSED, finding.id))
    return {finding.key: finding for finding in counted}


class ReadAgain(NamedTuple):
    """What was read of a machine that was read in part.

    `packages`: the package of each details id that is not found again; `read`: the packages that
    were read.
    """

    packages: Mapping[int, PackageKey]
    read: Collection[PackageKey]


def closable(
    missing: Sequence[StoredFinding], status: Status, evidence: Callable[[], ReadAgain]
) -> Sequence[StoredFinding]:
    """Return the findings to close, among those not found again on a machine of this status.

    An unreadable package is not a fixed one. On a machine that was read in part, a finding is
    closed only if its package was read again, from the same file, and is no longer vulnerable.
    `evidence` is called for such a machine alone.
    """
    if status is Status.COMPLETE or not missing:
        return missing
    if status is Status.FAILED:
        return []
    packages, read = evidence()
    return [finding for finding in missing if packages[finding.detail] in read]


def opening(finding: NewFinding, now: datetime, *, follows: bool = False) -> dict[str, Any]:
    """Return the fields of a new finding; it `follows` the inventory that it is of."""
    return {
        "account": finding.place.account,
        "region": finding.place.region,
        "instance": finding.place.instance,
        "type": finding.type,
        "key": finding.key,
        "detail": finding.detail,
        "status": finding.status,
        "first_observed": now,
        "last_observed": now,
        "updated_at": now,
        "closed_at": None,
        "expires_at": None,
        "follows": follows,
    }


def reopening(now: datetime, status: str, *, follows: bool = False) -> dict[str, object]:
    """Return the changed fields of a reopened finding. The first observation stays."""
    return {
        "status": status,
        "updated_at": now,
        "last_observed": now,
        "closed_at": None,
        "expires_at": None,
        "follows": follows,
    }


def observing(now: datetime) -> dict[str, object]:
    """Return the changed fields of a kept finding whose machine was read again.

    One that follows its inventory already has none.
    """
    return {"last_observed": now, "follows": True}


def missing_from(observed: datetime) -> dict[str, object]:
    """Return the changed fields of an open finding that the inventory does not have any more."""
    return {"last_observed": observed, "follows": False}


def closing(now: datetime, kept: timedelta) -> dict[str, Any]:
    """Return the changed fields of a closed finding; retention deletes it after `kept`."""
    return {
        "status": CLOSED,
        "closed_at": now,
        "updated_at": now,
        "expires_at": now + kept,
        "follows": False,
    }
