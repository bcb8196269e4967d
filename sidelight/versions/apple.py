"""Versions of Apple's systems: `14.5`, `13.4.1 (a)`.

Numbers compare in turn; a missing one is 0 (`14` is `14.0`). The letter of a rapid security
response or a background security improvement (`(a)`, `(b)`) is above the same version without one.

Key: a tag and the number for each up to the last that is not 0, then END, then the letter.
"""

from __future__ import annotations

import re

from sidelight.versions.encoding import checked, number, refused

_VERSION = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6}){0,3})(?: ?\(([a-z])\))?")
_END, _MORE = b"\0", b"\x01"


def key(version: str) -> bytes:
    """Bytes that order as Apple's versions do; raises FormatError for another form."""
    text = checked(version, "version of Apple's")
    match = _VERSION.fullmatch(text)
    if match is None:
        raise refused(version, "version of Apple's", "is malformed")
    parts = match[1].split(".")
    while parts and not parts[-1].strip("0"):
        parts.pop()
    letter = (match[2] or "").encode("ascii")
    return b"".join(_MORE + number(part) for part in parts) + _END + letter
