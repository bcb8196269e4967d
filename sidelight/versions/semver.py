"""Semantic versions: npm, Cargo and Go modules (semver.org 2.0.0, sections 9 to 11).

Accepted beyond the specification, because feeds and installed packages have it: a leading `v` or
`=`, fewer than three numbers (the rest are 0), a pre-release without its hyphen (`1.0.0beta`),
leading zeros, more than three numbers (the rest counts as build metadata, as npm's loose mode).
Build metadata does not count: Go's `+incompatible` neither. Pseudo-versions of Go are
pre-releases by design, and so need nothing of their own.

Key: three numbers; RELEASE, or PRE and its identifiers (numeric below alphanumeric), then END.
"""

from __future__ import annotations

import re

from sidelight.versions.encoding import checked, number, refused

_VERSION = re.compile(
    # Possessive: no digit of a number is taken for a pre-release without a dash.
    r"[v=V\s]*(?P<major>[0-9]++)(?:\.(?P<minor>[0-9]++))?(?:\.(?P<patch>[0-9]++))?"
    r"(?P<more>(?:\.[0-9]++)*)(?:-?(?P<pre>[0-9A-Za-z][0-9A-Za-z.-]*|-[0-9A-Za-z.-]*))?"
    r"(?:\+[0-9A-Za-z.+_~-]*)?"
)
_GO = re.compile(r"(?:go)?(?P<release>[0-9]+(?:\.[0-9]+)*)(?P<kind>alpha|beta|rc)(?P<n>[0-9]+)")
_END, _NUMERIC, _TEXT = b"\0", b"\x01", b"\x02"
_PRE, _RELEASE = b"\x01", b"\x02"


def key(version: str) -> bytes:
    """Bytes that order by precedence; raises FormatError for what is not a semantic version."""
    text = checked(version, "semantic version")
    match = _VERSION.fullmatch(text)
    if match is None or not text.isascii():
        raise refused(version, "semantic version", "is not a semantic version")
    out = b"".join(number(match[part] or "") for part in ("major", "minor", "patch"))
    return out + prerelease(match["pre"] or "")


def go_key(version: str) -> bytes:
    """As `key`, and also for the releases of Go itself (`go1.21rc2`)."""
    text = checked(version, "Go version")
    match = _GO.fullmatch(text)
    if match is not None:
        return key(f"{match['release']}-{match['kind']}.{match['n']}")
    return key(text.removeprefix("go"))


def pub_key(version: str) -> bytes:
    """As `key`, but build metadata counts last, as for Dart's packages (pub_semver)."""
    text = checked(version, "Dart version")
    build = text.partition("+")[2]
    return key(text) + (prerelease(build) if build else _END)


def prerelease(text: str) -> bytes:
    """The part of a key after the numbers; "" is a release."""
    if not text:
        return _RELEASE
    out = bytearray(_PRE)
    for identifier in text.split("."):
        if identifier.isdigit():
            out += _NUMERIC + number(identifier)
        else:
            out += _TEXT + identifier.encode("ascii") + _END
    return bytes(out) + _END
