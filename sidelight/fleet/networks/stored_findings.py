"""The model's findings as the fleet stores them: one for both families of addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from sidelight.findings import key_of
from sidelight.model import NetworkFinding, NetworkStep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.reachability import PathComponent, ReachabilityFinding

T = TypeVar("T")

MOST_OF_INSTANCE = 10_000  # findings of one instance; a hostile network may have more


class InstanceFindings(NamedTuple):
    """The findings of one instance; `complete` is False if it has more than are kept."""

    findings: list[NetworkFinding]
    complete: bool


def by_instance(found: Iterable[ReachabilityFinding]) -> dict[str, InstanceFindings]:
    """Return the findings of each instance, in order.

    IPv4 and IPv6 by the same path to the same ports are one finding, with the sources of both.
    """
    instances: dict[str, dict[str, NetworkFinding]] = {}
    cut: set[str] = set()
    for item in found:
        own = instances.setdefault(item.instance_id, {})
        if len(own) >= MOST_OF_INSTANCE:
            cut.add(item.instance_id)
            continue
        finding = stored(item)
        key = key_of(finding)
        own[key] = _joined(own[key], finding) if key in own else finding
    return {
        instance: InstanceFindings(list(own.values()), instance not in cut)
        for instance, own in instances.items()
    }


def stored(found: ReachabilityFinding) -> NetworkFinding:
    """Return one finding as it is stored."""
    return NetworkFinding(
        protocol=found.protocol,
        port_begin=found.port_begin,
        port_end=found.port_end,
        edge_id=found.edge_id,
        edge_kind=found.edge_kind.value,
        interface=found.interface_id,
        severity=found.severity,
        title=found.title,
        description=found.description,
        remediation=found.remediation,
        steps=_steps(found.steps),
        full_path=_steps(found.full_path),
        sources=found.sources,
        anywhere=found.anywhere,
        families=(found.family,),
        notes=found.notes,
    )


def _steps(components: Iterable[PathComponent]) -> tuple[NetworkStep, ...]:
    return tuple(NetworkStep(item.id, item.type, item.rule) for item in components)


def _joined(one: NetworkFinding, other: NetworkFinding) -> NetworkFinding:
    first, second = sorted((one, other), key=lambda item: item.families)
    return NetworkFinding(
        protocol=first.protocol,
        port_begin=first.port_begin,
        port_end=first.port_end,
        edge_id=first.edge_id,
        edge_kind=first.edge_kind,
        interface=first.interface,
        severity=max(first.severity, second.severity, key=lambda level: level.rank),
        title=first.title,
        description=first.description,
        remediation=first.remediation,
        steps=first.steps,
        full_path=_merged(first.full_path, second.full_path),
        sources=_merged(first.sources, second.sources),
        anywhere=first.anywhere or second.anywhere,
        families=tuple(sorted({*first.families, *second.families})),
        notes=_merged(first.notes, second.notes),
    )


def _merged(first: tuple[T, ...], second: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*first, *second)))
