"""Composer versions: padded to four numbers, then compared as PHP's version_compare() does.

After the numbers come words and numbers in turn: any word it does not know < dev < alpha < beta
< RC < the end < a number < pl. A branch (`dev-main`) is less than every version; `1.x-dev` is the
end of its line.

Key: RELEASE, four or more numbers, END of them, then a tag and value each for what follows.
"""

from __future__ import annotations

import re

from sidelight.versions.encoding import checked, number, refused

_NUMBERS = re.compile(r"[vV]?((?:[0-9]+|[xX*])(?:\.(?:[0-9]+|[xX*]))*)(.*)", re.ASCII)
# `1.0adev` is `1.0-alpha-dev`.
_PARTS = re.compile(r"[0-9]+|(?:alpha|beta|patch|rc|pl|a|b|p)(?=dev(?![a-z]))|[a-z]+", re.ASCII)
_ALLOWED = re.compile(r"[0-9A-Za-z.*_+@~-]*", re.ASCII)
_RANKS = {
    "dev": 2, "alpha": 3, "a": 3, "beta": 4, "b": 4, "rc": 5, "c": 5,
    "pl": 8, "p": 8, "patch": 8,
}  # fmt: skip
_UNKNOWN, _END, _NUMBER = 1, 6, 7
_BRANCH, _RELEASE = b"\x01", b"\x02"
_LAST, _MORE = b"\0", b"\x01"
_WILDCARD = "9999999"  # what Composer itself writes for an x


def key(version: str) -> bytes:
    """Bytes that order as Composer does; raises FormatError for a malformed version."""
    text = checked(version, "Composer version")
    if text.lower().startswith("dev-"):
        return _BRANCH + text[4:].encode("utf-8", "surrogateescape") + _LAST
    text = text.partition("+")[0] or text
    match = _NUMBERS.fullmatch(text)
    if match is None or not _ALLOWED.fullmatch(match[2]):
        raise refused(version, "Composer version", "is malformed")
    numbers = [_WILDCARD if part in "xX*" else part for part in match[1].split(".")]
    if numbers[-1] == _WILDCARD:
        numbers += [_WILDCARD] * (4 - len(numbers))
    while len(numbers) > 1 and not numbers[-1].strip("0"):
        numbers.pop()
    out = bytearray(_RELEASE)
    out += b"".join(_MORE + number(part) for part in numbers) + _LAST
    for part in _PARTS.findall(match[2].lower()):
        if part.isdigit():
            out += bytes((_NUMBER,)) + number(part)
        elif part == "stable":
            break  # a number behind it does not count
        elif part in _RANKS:
            out.append(_RANKS[part])
        else:
            out += bytes((_UNKNOWN,)) + part.encode("ascii") + b"\0"
    out.append(_END)
    return bytes(out)
