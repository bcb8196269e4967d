"""Debian versions: `[epoch:]upstream[-revision]` (deb-version(7), Debian Policy 5.6.12).

The order is that of `dpkg --compare-versions`: runs of non-digits and of digits in turn, where a
tilde is less than the end of a run, the end is less than a letter, and letters are less than all
other characters; runs of digits are integers, and an absent one is 0.

Key: epoch, upstream, revision; each part is its runs and then END. A run of non-digits is its
characters (tilde 0x01, letters themselves, others moved above the letters) and END (0x02); a run
of digits is an ordered number. A run of non-digits inside a part is never empty, except the first,
so that the END of a part never meets an empty run.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sidelight.versions.encoding import checked, number, refused

_RUNS = re.compile(r"([^0-9]*)([0-9]*)")
# A rebuild without a change of the source: `1.2-3+b1` is built from 1.2-3 (deb-version(7)).
_REBUILD = re.compile(r"\+b[0-9]{1,4}$")
_EPOCH_LIMIT = 2**31 - 1  # dpkg keeps it in an int
_RUN_END = _PART_END = b"\x02"


def _weight(char: int) -> int:
    if char == 0x7E:  # the tilde
        return 0x01
    if 0x41 <= char <= 0x5A or 0x61 <= char <= 0x7A:
        return char
    return char + 0x80


_WEIGHTS = bytes(_weight(char) if 0x21 <= char < 0x7F else 0 for char in range(256))


def key(version: str) -> bytes:
    """Bytes that order as dpkg orders versions.

    Characters that dpkg only warns about are accepted. Raises FormatError for what it refuses:
    an empty version or revision, an epoch that is not a number, blanks; and for anything but ASCII.
    """
    text = checked(version, "dpkg version")
    if not text.isascii() or " " in text:
        raise refused(version, "dpkg version", "has characters that no Debian version has")
    epoch, colon, rest = text.partition(":")
    if not colon:
        epoch, rest = "0", text
    elif not epoch.isdigit() or int(epoch) > _EPOCH_LIMIT:
        raise refused(version, "dpkg version", "has an epoch that is not a number")
    if not rest:
        raise refused(version, "dpkg version", "has nothing after its epoch")
    upstream, hyphen, revision = rest.rpartition("-")
    if not hyphen:
        upstream, revision = rest, ""
    elif not revision:
        raise refused(version, "dpkg version", "has an empty revision")
    elif not upstream:
        raise refused(version, "dpkg version", "has an empty upstream version")
    return number(epoch) + _part(upstream) + _part(revision)


def _part(text: str) -> bytes:
    # Where the text ends the expression matches once more, nothing.
    return b"".join(map(_run, _RUNS.findall(text or "0")[:-1])) + _PART_END


@lru_cache(maxsize=1 << 12)  # few are distinct
def _run(run: tuple[str, str]) -> bytes:
    letters, digits = run
    return letters.encode("ascii").translate(_WEIGHTS) + _RUN_END + number(digits)


def without_rebuild(version: str) -> str:
    """Return the version of the source from which a binary of this version was built."""
    return _REBUILD.sub("", version)
