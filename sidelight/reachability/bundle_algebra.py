"""Bundles as products of four sets, cut by rules that are such products too: exact, in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidelight.reachability import intervals

if TYPE_CHECKING:
    from sidelight.reachability.intervals import Intervals
    from sidelight.reachability.packets import Bundle


class Match(NamedTuple):
    """The packets that a rule has: a product of sets. None has everything."""

    src: Intervals | None = None
    dst: Intervals | None = None
    ports: Intervals | None = None
    src_ports: Intervals | None = None


def cut(bundle: Bundle, match: Match) -> tuple[Bundle | None, list[Bundle]]:
    """What of a bundle a rule has, and the rest in disjoint pieces (at most four)."""
    rest: list[Bundle] = []
    inside = bundle
    for field in Match._fields:
        wanted: Intervals | None = getattr(match, field)
        if wanted is None:
            continue
        own: Intervals = getattr(inside, field)
        common = intervals.intersection(own, wanted)
        if common == own:
            continue
        outside = intervals.difference(own, common)
        rest.append(inside._replace(**{field: outside}))
        if not common:
            return None, [bundle]
        inside = inside._replace(**{field: common})
    return inside, rest
