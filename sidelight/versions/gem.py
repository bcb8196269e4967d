"""RubyGems versions (`Gem::Version`): numbers and letters in turn, a letter makes a pre-release.

Segments compare in turn, letters below numbers; what is missing is 0; zeros at the end, and before
the first letter, do not count; a hyphen stands for `.pre.`.

Key: a tag and value a segment. A zero inside is less than the end where letters follow it, and
more where a number does, so its tag looks ahead.
"""

from __future__ import annotations

import re

from sidelight.versions.encoding import checked, number, refused

_VERSION = re.compile(r"[0-9]+(?:\.[0-9a-zA-Z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?", re.ASCII)
_SEGMENTS = re.compile(r"[0-9]+|[a-zA-Z]+", re.ASCII)
_LETTERS, _ZERO_THEN_LETTERS, _END, _ZERO_THEN_NUMBER, _NUMBER = (
    bytes((tag,)) for tag in range(1, 6)
)


def key(version: str) -> bytes:
    """Bytes that order as RubyGems does; raises FormatError for a malformed version."""
    text = checked(version, "gem version")
    if _VERSION.fullmatch(text) is None:
        raise refused(version, "gem version", "is malformed")
    segments = [part.lstrip("0") for part in _SEGMENTS.findall(text.replace("-", ".pre."))]
    out: list[bytes] = []
    after = ""  # the first segment to the right that is not zero
    for place in range(len(segments) - 1, -1, -1):
        segment = segments[place]
        if segment.isalpha():
            out.append(_LETTERS + segment.encode("ascii") + b"\0")
        elif segment:
            out.append(_NUMBER + number(segment))
        elif not after or _is_first_letter(segments, place, after):
            continue  # a zero at the end, or right before the first letter
        else:
            out.append(_ZERO_THEN_LETTERS if after.isalpha() else _ZERO_THEN_NUMBER)
        after = segment or after
    return b"".join(reversed(out)) + _END


def _is_first_letter(segments: list[str], place: int, after: str) -> bool:
    return after.isalpha() and not any(part.isalpha() for part in segments[:place])
