"""Numbers as bytes whose order is their order.

Every key in this package is a byte string made of tags and of the numbers and texts below; a tag
is chosen so that, where two versions first differ, comparing one byte decides.
"""

from __future__ import annotations

from sidelight.errors import FormatError

MAX_LENGTH = 1024  # characters of a version; a longer one is hostile, not a version
_LONG = 0xFF


def number(digits: str) -> bytes:
    """A run of ASCII digits: how many there are without leading zeros, then these digits.

    Any two runs compare as their integers do, with no limit on size; "" is 0.
    """
    stripped = digits.lstrip("0")
    size = len(stripped)
    if size < _LONG:
        return bytes((size,)) + stripped.encode("ascii")
    return bytes((_LONG,)) + size.to_bytes(4, "big") + stripped.encode("ascii")


def checked(version: str, what: str) -> str:
    """The version stripped of outer blanks.

    Raises FormatError where it is empty, too long, or has control characters.
    """
    if len(version) > MAX_LENGTH:
        raise FormatError(f"a version of {len(version)} characters", where=what)
    stripped = version.strip()
    if not stripped:
        raise FormatError("an empty version", where=what)
    if not stripped.isprintable():
        raise FormatError(f"control characters in {stripped[:80]!r}", where=what)
    return stripped


def refused(version: str, what: str, why: str) -> FormatError:
    """The error for a version that its ecosystem does not accept."""
    return FormatError(f"{version[:80]!r} {why}", where=what)
