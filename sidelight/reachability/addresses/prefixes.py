"""IP addresses and CIDR blocks as numbers, and longest-prefix matching over them."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network, summarize_address_range
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.reachability.addresses.intervals import Interval, Intervals

IPV4: Final = 4
IPV6: Final = 6
ALL: Final[dict[int, Intervals]] = {
    IPV4: ((0, (1 << 32) - 1),),
    IPV6: ((0, (1 << 128) - 1),),
}
_TEXT_LIMIT: Final = 64  # characters: the longest IPv6 CIDR has 49
_LISTED_LIMIT: Final = 200  # CIDR blocks of a set that are written out

T = TypeVar("T")


class Prefix(NamedTuple):
    """A CIDR block: its family (4 or 6), first and last address as numbers, and its length."""

    family: int
    first: int
    last: int
    length: int


@lru_cache(maxsize=1 << 16)
def prefix(text: str) -> Prefix | None:
    """The CIDR block of a text as `10.0.0.0/8` or `2001:db8::/32`, None if it is none.

    Host bits are ignored, as EC2 does. A text without a length is not a block.
    """
    if len(text) > _TEXT_LIMIT or "/" not in text or "%" in text:
        return None
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    first, last = int(network.network_address), int(network.broadcast_address)
    return Prefix(network.version, first, last, network.prefixlen)


@lru_cache(maxsize=1 << 16)
def address(text: str) -> tuple[int, int] | None:
    """The family and the number of an IP address, None if the text is none."""
    if len(text) > _TEXT_LIMIT or "%" in text:
        return None
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    return parsed.version, int(parsed)


def text_of(family: int, number: int) -> str:
    """An address as people write it."""
    return str(IPv4Address(number) if family == IPV4 else IPv6Address(number))


def texts_of(family: int, members: Intervals) -> tuple[str, ...]:
    """A set of addresses as CIDR blocks, ascending; the last entry counts what is not shown."""
    texts: list[str] = []
    kind = IPv4Address if family == IPV4 else IPv6Address
    for number, (first, last) in enumerate(members):
        if len(texts) >= _LISTED_LIMIT:
            texts.append(f"and {len(members) - number} more ranges")
            break
        texts.extend(str(network) for network in summarize_address_range(kind(first), kind(last)))
    return tuple(texts)


class NamedPrefix(NamedTuple):
    """A CIDR block and its text."""

    prefix: Prefix
    text: str


def summarised(family: int, members: Intervals) -> list[NamedPrefix]:
    """The fewest CIDR blocks that make a set of addresses."""
    kind = IPv4Address if family == IPV4 else IPv6Address
    return [
        NamedPrefix(
            Prefix(
                family,
                int(network.network_address),
                int(network.broadcast_address),
                network.prefixlen,
            ),
            str(network),
        )
        for first, last in members
        for network in summarize_address_range(kind(first), kind(last))
    ]


class PrefixCell(NamedTuple, Generic[T]):
    """A range of addresses that one block decides."""

    first: int
    last: int
    value: T


class LongestPrefix(Generic[T]):
    """The value of the longest block that has an address; of equal blocks the first counts."""

    def __init__(self, blocks: Iterable[tuple[Prefix, T]]) -> None:
        unique: dict[tuple[int, int], T] = {}
        for block, value in blocks:
            unique.setdefault((block.first, -block.last), value)
        cells: list[PrefixCell[T]] = []
        open_blocks: list[tuple[int, T]] = []  # last address and value, outermost first
        at = 0
        for first, minus_last in sorted(unique):
            at = _close(open_blocks, cells, at, first)
            if open_blocks:
                _add(cells, at, first - 1, open_blocks[-1][1])
            open_blocks.append((-minus_last, unique[first, minus_last]))
            at = first
        _close(open_blocks, cells, at, None)
        self.cells: tuple[PrefixCell[T], ...] = tuple(cells)
        self._starts = [cell.first for cell in cells]

    def index(self, number: int) -> int:
        """The index of the cell that has the address, or -1."""
        at = bisect_right(self._starts, number) - 1
        return at if at >= 0 and self.cells[at].last >= number else -1

    def find(self, number: int) -> T | None:
        """The value of the longest block that has the address, None if no block has it."""
        at = self.index(number)
        return None if at < 0 else self.cells[at].value

    def within(self, members: Intervals) -> list[tuple[Interval, T | None]]:
        """The set cut into ranges with one value each, None where no block has them; ascending."""
        ranges: list[tuple[Interval, T | None]] = []
        for first, last in members:
            at = max(bisect_right(self._starts, first) - 1, 0)
            start = first
            while at < len(self.cells) and self.cells[at].first <= last:
                cell = self.cells[at]
                at += 1
                if cell.last < start:
                    continue
                if cell.first > start:
                    ranges.append(((start, cell.first - 1), None))
                ranges.append(((max(start, cell.first), min(last, cell.last)), cell.value))
                start = cell.last + 1
            if start <= last:
                ranges.append(((start, last), None))
        return ranges


def _close(
    open_blocks: list[tuple[int, T]], cells: list[PrefixCell[T]], at: int, before: int | None
) -> int:
    """End the blocks that end before an address (None: all); where the next cell starts."""
    while open_blocks and (before is None or open_blocks[-1][0] < before):
        last, value = open_blocks.pop()
        _add(cells, at, last, value)
        at = max(at, last + 1)
    return at


def _add(cells: list[PrefixCell[T]], first: int, last: int, value: T) -> None:
    if first <= last:
        cells.append(PrefixCell(first, last, value))
