"""Alpine versions: `digits{.digits}[letter]{_suffix[digits]}[~hash][-rN]` (apk-package(5)).

The order is that of apk-tools 3: components in turn; the first is an integer, later ones are
integers too unless one of the two has a leading zero, when they compare as text; suffixes alpha,
beta, pre, rc are less than none, and cvs, svn, git, hg, p are more. Where the kinds of token
differ, the earlier kind in the grammar is the greater version.

A number after a letter (`1.9.5p2`) is not in apk-tools 3's grammar. apk-tools 2, which Alpine has
up to 3.22, reads it as an integer, and Alpine's own list of fixes has such versions: so does this.

Key: a tag a token kind, chosen in that order, then its value. What the grammar does not allow
ends the version, just below a regular end, as apk does.
"""

from __future__ import annotations

import re

from sidelight.errors import FormatError
from sidelight.versions.encoding import checked, number, refused

_PRE = ("alpha", "beta", "pre", "rc")
_POST = ("cvs", "svn", "git", "hg", "p")
_BEFORE, _INVALID, _END, _REVISION, _HASH, _NUMBER, _AFTER, _LETTER, _DIGITS = (
    bytes((tag,)) for tag in range(1, 10)
)
_FIRST = re.compile(r"[0-9]+")
_TOKEN = re.compile(
    r"\.(?P<digits>[0-9]+)|(?P<letter>[a-z])|(?P<joined>[0-9]+)"
    r"|_(?P<suffix>[a-z]+)(?P<number>[0-9]+)?"
    r"|~(?P<hash>[0-9a-f]+)|-r(?P<revision>[0-9]*)"
)
# The kinds that may follow a kind; a revision is the last.
_FOLLOWS = {
    "digits": {"digits", "letter", "suffix", "hash", "revision"},
    "letter": {"joined", "suffix", "hash", "revision"},
    "joined": {"digits", "letter", "suffix", "hash", "revision"},
    "suffix": {"suffix", "hash", "revision"},
    "hash": {"revision"},
    "revision": set[str](),
}


def key(version: str) -> bytes:
    """Bytes that order as apk orders versions; raises FormatError where no digit comes first."""
    text = checked(version, "apk version")
    first = _FIRST.match(text)
    if first is None:
        raise refused(version, "apk version", "does not begin with a digit")
    out = bytearray(number(first[0]))
    kind, at = "digits", first.end()
    while at < len(text):
        match = _TOKEN.match(text, at)
        found = match.lastgroup if match else None
        found = "suffix" if found == "number" else found
        if match is None or found not in _FOLLOWS[kind]:
            return bytes(out) + _INVALID
        token = _token(found, match)
        if token is None:
            return bytes(out) + _INVALID
        out += token
        kind, at = found, match.end()
    return bytes(out) + _END


def is_valid(version: str) -> bool:
    """Whether apk's grammar allows the version as a whole."""
    try:
        return not key(version).endswith(_INVALID)
    except FormatError:
        return False


def _token(kind: str, match: re.Match[str]) -> bytes | None:
    value = match[kind]
    if kind == "digits":
        # A leading zero makes it text, which is less than any run that begins with 1 to 9.
        text = b"\x01" + value.encode() + b"\0"
        return _DIGITS + (text if value[0] == "0" else b"\x02" + number(value))
    if kind == "joined":
        return _DIGITS + b"\x02" + number(value)
    if kind == "letter":
        return _LETTER + value.encode()
    if kind == "suffix":
        return _suffix(value, match["number"])
    if kind == "hash":
        return _HASH + value.encode() + b"\0"
    return _REVISION + number(value)


def _suffix(name: str, digits: str | None) -> bytes | None:
    if name in _PRE:
        out = _BEFORE + bytes((_PRE.index(name),))
    elif name in _POST:
        out = _AFTER + bytes((_POST.index(name),))
    else:
        return None
    return out if digits is None else out + _NUMBER + number(digits)
