"""Sets of (address, port) pairs: for each range of ports, the addresses. Exact and canonical.

A PortMap is a tuple of `(first port, last port, addresses)`, ascending and disjoint in ports, never
with an empty set of addresses, and two neighbours without a gap have different addresses. Two sets
are equal if and only if their tuples are.
"""

from __future__ import annotations

from bisect import bisect_left
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.reachability.addresses import intervals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sidelight.reachability.addresses.intervals import Intervals

PortMap = tuple[tuple[int, int, "Intervals"], ...]

LAST_PORT: Final = 65535
NOTHING: Final[PortMap] = ()


class Box(NamedTuple):
    """A range of ports times a range of addresses, all inclusive; allowed or denied."""

    first_port: int
    last_port: int
    first: int
    last: int
    allow: bool = True


def everything(addresses: Intervals) -> PortMap:
    """All ports of these addresses."""
    return ((0, LAST_PORT, addresses),) if addresses else ()


def on_ports(ports: Intervals, addresses: Intervals) -> PortMap:
    """These ports of these addresses."""
    return tuple((low, high, addresses) for low, high in ports) if addresses else ()


def union(left: PortMap, right: PortMap) -> PortMap:
    """The pairs in either set."""
    if not left or left == right:
        return right
    return _combined(left, right, intervals.union) if right else left


def union_all(parts: Iterable[PortMap]) -> PortMap:
    """The pairs in any of the sets, joined two by two: n log n for n sets, and not n squared."""
    pending = list(parts)
    while len(pending) > 1:
        odd = pending[-1:] if len(pending) % 2 else []
        pending = [
            union(left, right) for left, right in zip(pending[::2], pending[1::2], strict=False)
        ] + odd
    return pending[0] if pending else NOTHING


def intersection(left: PortMap, right: PortMap) -> PortMap:
    """The pairs in both sets."""
    if left == right:
        return left
    pieces: list[tuple[int, int, Intervals]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        low = max(left[i][0], right[j][0])
        high = min(left[i][1], right[j][1])
        if low <= high:
            _append(pieces, low, high, intervals.intersection(left[i][2], right[j][2]))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(pieces)


def difference(left: PortMap, right: PortMap) -> PortMap:
    """The pairs in `left` that are not in `right`."""
    return _combined(left, right, intervals.difference) if left and right else left


def at_port(ports: PortMap, port: int) -> Intervals:
    """The addresses that the set has at one port."""
    for low, high, found in ports:
        if low <= port <= high:
            return found
    return ()


def cost(boxes: Sequence[Box]) -> int:
    """How many (port range, box) cells the boxes have: what `union_of` and `first_match` cost."""
    edges = _edges(boxes)
    return sum(
        bisect_left(edges, box.last_port + 1) - bisect_left(edges, box.first_port) for box in boxes
    )


def union_of(boxes: Sequence[Box]) -> PortMap:
    """The union of all boxes, allowed or not."""
    return _swept(boxes, _all_of)


def first_match(boxes: Sequence[Box]) -> PortMap:
    """The pairs whose first box allows them, as in an ordered list of rules; others are denied."""
    return _swept(boxes, _first_of)


def _edges(boxes: Iterable[Box]) -> list[int]:
    return sorted({edge for box in boxes for edge in (box.first_port, box.last_port + 1)})


def _swept(boxes: Sequence[Box], addresses: Callable[[list[Box]], Intervals]) -> PortMap:
    edges = _edges(boxes)
    cells: list[list[Box]] = [[] for _ in edges]
    for box in boxes:
        low = bisect_left(edges, box.first_port)
        for at in range(low, bisect_left(edges, box.last_port + 1, low)):
            cells[at].append(box)
    pieces: list[tuple[int, int, Intervals]] = []
    for at, cell in enumerate(cells):
        if cell:
            _append(pieces, edges[at], edges[at + 1] - 1, addresses(cell))
    return tuple(pieces)


def _all_of(cell: list[Box]) -> Intervals:
    return intervals.of((box.first, box.last) for box in cell)


def _first_of(cell: list[Box]) -> Intervals:
    """The addresses whose first box of the cell allows: a sweep with the active boxes in a heap."""
    starts = sorted(range(len(cell)), key=lambda index: cell[index].first)
    points = sorted({edge for box in cell for edge in (box.first, box.last + 1)})
    active: list[int] = []
    allowed: list[tuple[int, int]] = []
    begun = 0
    for at, point in enumerate(points[:-1]):
        while begun < len(starts) and cell[starts[begun]].first <= point:
            heappush(active, starts[begun])
            begun += 1
        while active and cell[active[0]].last < point:
            heappop(active)
        if active and cell[active[0]].allow:
            allowed.append((point, points[at + 1] - 1))
    return intervals.of(allowed)


def _combined(
    left: PortMap, right: PortMap, combine: Callable[[Intervals, Intervals], Intervals]
) -> PortMap:
    edges = sorted({edge for low, high, _ in (*left, *right) for edge in (low, high + 1)})
    pieces: list[tuple[int, int, Intervals]] = []
    i = j = 0
    for at, low in enumerate(edges[:-1]):
        while i < len(left) and left[i][1] < low:
            i += 1
        while j < len(right) and right[j][1] < low:
            j += 1
        one = left[i][2] if i < len(left) and left[i][0] <= low else ()
        other = right[j][2] if j < len(right) and right[j][0] <= low else ()
        _append(pieces, low, edges[at + 1] - 1, combine(one, other))
    return tuple(pieces)


def _append(
    pieces: list[tuple[int, int, Intervals]], low: int, high: int, addresses: Intervals
) -> None:
    """Add a piece behind the others; empty ones are left out, equal neighbours joined."""
    if not addresses:
        return
    if pieces and pieces[-1][1] + 1 == low and pieces[-1][2] == addresses:
        pieces[-1] = (pieces[-1][0], high, addresses)
    else:
        pieces.append((low, high, addresses))
