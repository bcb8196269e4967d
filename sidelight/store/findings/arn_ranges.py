"""A finding's ARN, or the beginning of one, as the columns of a finding. PURE.

An ARN has the form of Inspector's. Its service is `sidelight` in events, and `inspector2` in the
API, whose model allows no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVICES: Final = ("sidelight", "inspector2")
_DIGITS: Final = 32  # hexadecimal, of the id
_LARGEST: Final = (1 << 63) - 1
_FINDING: Final = "finding/"
_HEX: Final = frozenset("0123456789abcdef")


class ArnRange(NamedTuple):
    """Findings by the beginning of their ARN.

    `open` names the part in which it ends: `region`, `account` or `id`; ids are from `first` to
    `last`.
    """

    open: str
    region: str
    account: str = ""
    first: int = 0
    last: int = _LARGEST


def exact(arn: str) -> ArnRange | None:
    """Return the finding of a whole ARN; None if no finding can have it."""
    found = [item for item in prefixed(arn) if item.open == "id" and item.first == item.last]
    digits = arn.rpartition("/")[2]
    return found[0] if found and len(digits) == _DIGITS else None


def prefixed(text: str) -> Iterator[ArnRange]:
    """Yield the findings whose ARN begins with a text."""
    for service in _SERVICES:
        start = f"arn:aws:{service}:"
        if start.startswith(text):
            yield ArnRange("region", "")
        elif text.startswith(start):
            yield from _after_service(text.removeprefix(start))


def _after_service(text: str) -> Iterator[ArnRange]:
    region, colon, rest = text.partition(":")
    if not colon:
        yield ArnRange("region", region)
        return
    account, colon, rest = rest.partition(":")
    if not colon:
        yield ArnRange("account", region, account)
    elif _FINDING.startswith(rest):
        yield ArnRange("id", region, account)
    elif rest.startswith(_FINDING):
        digits = rest.removeprefix(_FINDING)
        if len(digits) <= _DIGITS and set(digits) <= _HEX:
            shift = 4 * (_DIGITS - len(digits))
            first = int(digits, 16) << shift
            if first <= _LARGEST:
                last = min(first + (1 << shift) - 1, _LARGEST)
                yield ArnRange("id", region, account, first, last)
