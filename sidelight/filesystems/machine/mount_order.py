"""The order in which lines of an fstab are mounted, so that each finds what it needs."""

from __future__ import annotations

from collections import Counter
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.filesystems.machine.fstab import Line


_SLASH = ord("/")


def ordered(lines: Sequence[Line]) -> Iterator[Line]:
    """Each line after those that mount above its target or its source, else in the given order.

    Of lines that need each other the first goes first. The work grows as the lines' text, not as
    the pairs of lines.
    """
    pending = Counter(line.target for line in lines)
    lengths = sorted({len(target) for target in pending if target})
    needs = [_needs(line, pending, lengths) for line in lines]
    needed_by: dict[bytes, list[int]] = {}
    for at, targets in enumerate(needs):
        for target in targets:
            needed_by.setdefault(target, []).append(at)
    ready = [at for at, targets in enumerate(needs) if not targets]
    heapify(ready)
    left = dict.fromkeys(range(len(lines)))
    while left:
        at = heappop(ready) if ready else next(iter(left))
        if at not in left:
            continue  # it was taken out of a circle
        del left[at]
        target = lines[at].target
        pending[target] -= 1
        # A line whose source lies below its own target waits for all others of that target.
        for other in needed_by.get(target, ()) if pending[target] < 2 else ():
            is_free = not pending[target] or lines[other].target == target
            if other in left and target in needs[other] and is_free:
                needs[other].remove(target)
                if not needs[other]:
                    heappush(ready, other)
        yield lines[at]


def _needs(line: Line, targets: Counter[bytes], lengths: Sequence[int]) -> set[bytes]:
    """The targets of other lines that lie above this line's target, or above or at its source."""
    above = set(above_of_lengths(line.target, lengths))
    if line.device.startswith("/") and not line.device.startswith("/dev/"):
        source = line.device.encode("utf-8", "surrogateescape").strip(b"/")
        above |= {source, *above_of_lengths(source, lengths)}
    if targets[line.target] == 1:
        above.discard(line.target)
    return {target for target in above if target in targets}


def above_of_lengths(path: bytes, lengths: Sequence[int]) -> Iterator[bytes]:
    """The paths above one that have these lengths, which are sorted.

    Those of all lengths take memory as the square of a path's length: one of 64 KiB has 1 GiB.
    """
    for length in lengths:
        if length >= len(path):
            return
        if path[length] == _SLASH:
            yield path[:length]
