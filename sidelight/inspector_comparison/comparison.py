"""Compare the two sides, instance by instance."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from sidelight.inspector_comparison.causes import Cause, ReportedBy
from sidelight.inspector_comparison.differences import (
    PACKAGE_PASSES,
    PORT_PASSES,
    ComparedFinding,
    InspectorPackage,
    SidelightPackage,
    SidelightPort,
    package_differences,
    port_differences,
)
from sidelight.inspector_comparison.instances import InstanceSides, compared_coverage
from sidelight.inspector_comparison.one_sided import (
    is_open,
    only_inspector,
    only_sidelight,
    port_only_inspector,
    port_only_sidelight,
    sides_text,
)
from sidelight.inspector_comparison.pairing import Pass, pair
from sidelight.inspector_comparison.reported import (
    NETWORK,
    PACKAGE,
    InspectorSide,
    ReportedFinding,
    ReportedPackage,
)
from sidelight.model import Finding, FindingType, InstanceRef, NetworkFinding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sidelight.inspector_comparison.causes import StatedCause
    from sidelight.inspector_comparison.instances import ComparedCoverage
    from sidelight.inspector_comparison.reported import ReportedCoverage
    from sidelight.model import Coverage, FindingRow, Inventory

L = TypeVar("L")
R = TypeVar("R")
NO_PACKAGE = ReportedPackage("", "")


@dataclass(frozen=True, slots=True)
class SidelightSide:
    """All of Sidelight's records. `findings` are of all states.

    `inventory` returns an instance's newest one, None if it has none; it is called for instances
    that have a finding on one side alone. `ssm_names` as in InstanceSides.
    """

    findings: Sequence[FindingRow]
    coverage: Sequence[Coverage]
    inventory: Callable[[InstanceRef], Inventory | None] = lambda _: None
    ssm_names: Callable[[InstanceRef], Collection[str] | None] = lambda _: None
    advisories_newest: datetime | None = None
    custom_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """The open findings of both sides, each once, and the coverage of each instance."""

    findings: Sequence[ComparedFinding]
    coverage: Sequence[ComparedCoverage] = field(default_factory=list)

    def totals(self) -> Counter[tuple[ReportedBy, Cause]]:
        """Count the findings by verdict and first cause."""
        return Counter((found.verdict, found.cause) for found in self.findings)


def compare(sidelight: SidelightSide, inspector: InspectorSide) -> Comparison:
    """Compare the open findings and the coverage of all instances that either side names."""
    rows: defaultdict[InstanceRef, list[FindingRow]] = defaultdict(list)
    for row in sidelight.findings:
        rows[InstanceRef(row.account, row.region, row.instance)].append(row)
    reported: defaultdict[InstanceRef, list[ReportedFinding]] = defaultdict(list)
    for finding in inspector.findings.values():
        reported[finding.place].append(finding)
    instances = list(_instances(sidelight, inspector, {*rows, *reported}, reported))
    findings: list[ComparedFinding] = []
    for sides in instances:
        findings += _Instance(sidelight, sides, rows[sides.place], reported[sides.place]).all()
    findings.sort(key=_order)
    return Comparison(findings, compared_coverage(instances))


def _order(found: ComparedFinding) -> tuple[object, ...]:
    """Return the key of the order: by verdict, cause, instance and name."""
    verdict, cause = list(ReportedBy).index(found.verdict), list(Cause).index(found.cause)
    if found.row is not None:
        name = found.row.finding.headline
    else:
        name = found.reported.title if found.reported else ""
    return (-verdict, -cause, found.place, name)


def _instances(
    sidelight: SidelightSide,
    inspector: InspectorSide,
    found: set[InstanceRef],
    reported: Mapping[InstanceRef, Sequence[ReportedFinding]],
) -> Iterable[InstanceSides]:
    """Yield what both sides know of each instance, in order."""
    own: defaultdict[InstanceRef, dict[str, Coverage]] = defaultdict(dict)
    for row in sidelight.coverage:
        own[InstanceRef(row.account, row.region, row.instance)][row.scan_type] = row
    other: defaultdict[InstanceRef, dict[str, ReportedCoverage]] = defaultdict(dict)
    known = {(place.account, place.instance): place for place in {*found, *own}}
    for (place, scan_type), covered in inspector.coverage.items():
        # Answers without a Region: the instance's own, if it is known.
        full = place if place.region else known.get((place.account, place.instance), place)
        other[full][scan_type] = covered
    for place in sorted(found | {key for key in own if "*" not in key.instance} | set(other)):
        times = [item.last_observed for item in reported.get(place, ()) if item.last_observed]
        yield InstanceSides(
            place,
            own.get(place) or _of_all(own, place),
            other.get(place, {}),
            (place.account, place.region) not in inspector.unread,
            inspector_seen=max(times, default=None),
            advisories_newest=sidelight.advisories_newest,
            custom_paths=sidelight.custom_paths,
        )


def _of_all(
    own: Mapping[InstanceRef, dict[str, Coverage]], place: InstanceRef
) -> dict[str, Coverage]:
    """Return the coverage of an unknown instance's Region or account, if that is unreachable."""
    region = InstanceRef(place.account, place.region, f"{place.region}:*")
    account = InstanceRef(place.account, "", "*")
    return own.get(region) or own.get(account) or {}


class _Instance:
    """The comparison of one instance's findings."""

    def __init__(
        self,
        sidelight: SidelightSide,
        sides: InstanceSides,
        rows: Sequence[FindingRow],
        reported: Sequence[ReportedFinding],
    ) -> None:
        self._sidelight = sidelight
        self._sides = sides
        self._packages = [
            SidelightPackage(row, row.finding) for row in rows if isinstance(row.finding, Finding)
        ]
        self._ports = [
            SidelightPort(row, row.finding)
            for row in rows
            if isinstance(row.finding, NetworkFinding)
        ]
        self._reported = [
            InspectorPackage(finding, package)
            for finding in reported
            if finding.type == PACKAGE
            for package in finding.packages or (NO_PACKAGE,)
        ]
        self._reported_ports = [finding for finding in reported if finding.type == NETWORK]

    def all(self) -> list[ComparedFinding]:
        """Return all open findings of the instance."""
        return [*self._compared_packages(), *self._compared_ports()]

    def _compared_packages(self) -> list[ComparedFinding]:
        open_ = _by_state(
            self._packages, self._reported,
            lambda own: own.row.status.value, lambda other: other.finding.status, PACKAGE_PASSES,
        )  # fmt: skip
        scans = sides_text(self._sides, "PACKAGE")
        found = [
            self._found(
                ReportedBy.BOTH, package_differences(own, other, scans), own.row, other.finding,
                other.package,
            )
            for own, other in open_.pairs
        ]  # fmt: skip
        if open_.left or open_.right:
            found += self._one_sided_packages(open_)
        return found

    def _one_sided_packages(
        self, open_: _ByState[SidelightPackage, InspectorPackage]
    ) -> Iterable[ComparedFinding]:
        place = self._sides.place
        sides = replace(
            self._sides,
            inventory=self._sidelight.inventory(place),
            ssm_names=self._sidelight.ssm_names(place),
        )
        copies = _Copies(self._packages, self._reported)
        for own in open_.left:
            past = open_.closed_right.get(id(own))
            causes = only_sidelight(
                sides, own, past.finding if past else None, copies.of_inspector(own.ids)
            )
            yield self._found(ReportedBy.ONLY_SIDELIGHT, causes, own.row)
        for other in open_.right:
            closed = open_.closed_left.get(id(other))
            causes = only_inspector(
                sides, other, closed.row if closed else None, copies.of_sidelight(other.ids)
            )
            yield self._found(ReportedBy.ONLY_INSPECTOR, causes, None, other.finding, other.package)

    def _compared_ports(self) -> Iterable[ComparedFinding]:
        sides = self._sides
        open_ = _by_state(
            self._ports, self._reported_ports,
            lambda own: own.row.status.value, lambda other: other.status, PORT_PASSES,
        )  # fmt: skip
        paired = [*open_.pairs]
        left, right = _overlapping(open_.left, open_.right, paired)
        for own, other in paired:
            yield self._found(ReportedBy.BOTH, port_differences(own, other), own.row, other)
        for own in left:
            causes = port_only_sidelight(sides, own, open_.closed_right.get(id(own)))
            yield self._found(ReportedBy.ONLY_SIDELIGHT, causes, own.row)
        for reported in right:
            closed = open_.closed_left.get(id(reported))
            causes = port_only_inspector(sides, reported, closed.row if closed else None)
            yield self._found(ReportedBy.ONLY_INSPECTOR, causes, None, reported)

    def _found(
        self,
        verdict: ReportedBy,
        causes: tuple[StatedCause, ...],
        row: FindingRow | None,
        reported: ReportedFinding | None = None,
        package: ReportedPackage | None = None,
    ) -> ComparedFinding:
        kind = row.finding.type if row else FindingType(reported.type if reported else PACKAGE)
        return ComparedFinding(verdict, self._sides.place, kind, causes, row, reported, package)


class _Copies:
    """The open findings of an instance by the ids of their vulnerabilities."""

    def __init__(
        self, packages: Sequence[SidelightPackage], reported: Sequence[InspectorPackage]
    ) -> None:
        self._own: defaultdict[str, list[str]] = defaultdict(list)
        for own in packages:
            if is_open(own.row.status.value):
                self._own[own.ids[0]].append(f"{own.name} {own.version}")
        self._other: defaultdict[str, list[str]] = defaultdict(list)
        for other in reported:
            if is_open(other.finding.status):
                text = f"{other.name} {other.package.version} {other.package.path}".rstrip()
                self._other[other.ids[0]].append(text)

    def of_inspector(self, ids: Iterable[str]) -> list[str]:
        return [text for name in ids for text in self._other.get(name, ())]

    def of_sidelight(self, ids: Iterable[str]) -> list[str]:
        return [text for name in ids for text in self._own.get(name, ())]


class _ByState(NamedTuple, Generic[L, R]):
    """Open findings in pairs, and alone. Of those alone the other side's closed one, by `id`."""

    pairs: list[tuple[L, R]]
    left: list[L]
    right: list[R]
    closed_left: dict[int, L]
    closed_right: dict[int, R]


def _by_state(
    own: Sequence[L],
    other: Sequence[R],
    own_status: Callable[[L], str],
    other_status: Callable[[R], str],
    passes: Sequence[Pass[L, R]],
) -> _ByState[L, R]:
    """Pair open findings; then each open one that is left with a closed one of the other side."""
    open_ = pair(
        [entry for entry in own if is_open(own_status(entry))],
        [entry for entry in other if is_open(other_status(entry))],
        passes,
    )
    closed_other = [entry for entry in other if not is_open(other_status(entry))]
    closed_own = [entry for entry in own if not is_open(own_status(entry))]
    there = {id(left): right for left, right in pair(open_.left, closed_other, passes).pairs}
    here = {id(right): left for left, right in pair(closed_own, open_.right, passes).pairs}
    return _ByState(open_.pairs, open_.left, open_.right, here, there)


def _overlapping(
    left: Sequence[SidelightPort],
    right: Sequence[ReportedFinding],
    paired: list[tuple[SidelightPort, ReportedFinding]],
) -> tuple[list[SidelightPort], list[ReportedFinding]]:
    """Pair findings of one protocol and interface whose port ranges overlap; return the others.

    In the order of their first ports, so that the time is that of sorting.
    """
    groups: defaultdict[tuple[str, str], list[SidelightPort]] = defaultdict(list)
    for own in sorted(left, key=lambda item: (item.finding.port_begin, item.finding.port_end)):
        groups[own.finding.protocol, own.finding.interface].append(own)
    starts: Counter[tuple[str, str]] = Counter()
    used: set[int] = set()
    rest: list[ReportedFinding] = []
    for reported in sorted(right, key=lambda item: item.port.begin if item.port else 0):
        port = reported.port
        key = (port.protocol, port.interface) if port else ("", "")
        group, at = groups.get(key, []), starts[key]
        while port and at < len(group) and group[at].finding.port_end < port.begin:
            at += 1
        starts[key] = at
        if port and at < len(group) and group[at].finding.port_begin <= port.end:
            paired.append((group[at], reported))
            used.add(id(group[at]))
            starts[key] = at + 1
        else:
            rest.append(reported)
    return [own for own in left if id(own) not in used], rest
