"""What is found in a network drawn by hand: its findings, and their sources by edge and ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.reachability import Network

if TYPE_CHECKING:
    from sidelight.reachability import ReachabilityFinding
    from tests.reachability.drawing import Drawing


Found = dict[tuple[str, int, int], tuple[str, ...]]


def network_of(drawing: Drawing) -> Network:
    return Network.from_answers(drawing.answers())


def findings_of(drawing: Drawing, instance: str = "") -> list[ReachabilityFinding]:
    return [
        finding
        for finding in network_of(drawing).findings()
        if instance in ("", finding.instance_id)
    ]


def open_ports(drawing: Drawing, instance: str = "") -> Found:
    """The sources by edge and ports."""
    return {
        (finding.edge_id, finding.port_begin, finding.port_end): finding.sources
        for finding in findings_of(drawing, instance)
    }
