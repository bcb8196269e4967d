"""Versions that are numbers alone: R's packages on CRAN (`1.2-3`) and Haskell's on Hackage.

Numbers compare in turn, and what is missing is less than any: `0.1.0` is below `0.1.0.0`. A hyphen
parts them as a dot does (R's `numeric_version`).

Key: a tag and the number for each, then END.
"""

from __future__ import annotations

import re

from sidelight.versions.encoding import checked, number, refused

_VERSION = re.compile(r"[0-9]+(?:[.-][0-9]+)*", re.ASCII)
_END, _MORE = b"\0", b"\x01"


def key(version: str) -> bytes:
    """Bytes that order as the numbers do; raises FormatError for anything but numbers."""
    text = checked(version, "version of numbers")
    if _VERSION.fullmatch(text) is None:
        raise refused(version, "version of numbers", "is malformed")
    return b"".join(_MORE + number(part) for part in re.split(r"[.-]", text)) + _END
