"""RPM versions: `[epoch:]version[-release]` (rpm-version(7)).

Within version and release, runs of digits and of letters count and everything else only
separates. At one place: tilde < the end < caret < letters < digits; digits are integers, letters
compare as ASCII.

Key: epoch, version, release; each of the last two is a tag and value for each run, then END.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sidelight.versions.encoding import checked, number

_RUNS = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")
_EPOCH = re.compile(r"([0-9]*):(.*)", re.DOTALL)
_TILDE, _END, _CARET, _LETTERS, _DIGITS = (bytes((tag,)) for tag in range(1, 6))


def key(version: str) -> bytes:
    """Bytes that order as rpm orders epoch, version and release.

    An absent epoch is 0, as rpm takes it; an absent release is less than any other.
    Raises FormatError for an empty or unprintable version.
    """
    text = checked(version, "rpm version")
    match = _EPOCH.fullmatch(text)
    epoch, rest = match.groups() if match else ("0", text)
    upstream, hyphen, release = rest.rpartition("-")
    if not hyphen:
        return number(epoch) + _part(rest)
    return number(epoch) + _part(upstream) + _part(release)


def without_epoch(version: str) -> str:
    """The version as feeds write it that never state an epoch."""
    match = _EPOCH.fullmatch(version.strip())
    return match[2] if match else version


def _part(text: str) -> bytes:
    return b"".join(map(_run, _RUNS.findall(text))) + _END


@lru_cache(maxsize=1 << 12)  # few are distinct: `1`, `el9`, ...
def _run(run: str) -> bytes:
    if run == "~":
        return _TILDE
    if run == "^":
        return _CARET
    if run[0].isdigit():
        return _DIGITS + number(run)
    return _LETTERS + run.encode("ascii") + b"\0"
