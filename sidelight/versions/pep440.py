"""Python versions (PEP 440), and below all of them the older, unregulated ones.

Key of a PEP 440 version: epoch; release numbers without trailing zeros; then the phase before,
after and in development, and the local label. What PEP 440 does not accept sorts as setuptools
once did (pkg_resources' legacy scheme), below every accepted version.
"""

from __future__ import annotations

import re

from sidelight.versions.encoding import checked, number

_VERSION = re.compile(
    r"""v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)
    (?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_n>[0-9]*))?
    (?P<post>-(?P<post_n1>[0-9]+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_n2>[0-9]*))?
    (?P<dev>[-_.]?dev[-_.]?(?P<dev_n>[0-9]*))?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?""",
    re.VERBOSE | re.ASCII,
)
_PRE = {"a": 2, "alpha": 2, "b": 3, "beta": 3, "c": 4, "rc": 4, "pre": 4, "preview": 4}
_DEV_ONLY, _NO_PRE = b"\x01", b"\x05"
_LEGACY, _REGULAR = b"\x01", b"\x02"
_END, _MORE, _AFTER_LOCAL = b"\0", b"\x01", b"\x02"
_LOCAL_TEXT, _LOCAL_NUMBER = b"\x01", b"\x02"


def key(version: str) -> bytes:
    """Bytes that order as `packaging.version` does, legacy versions below.

    Raises FormatError for an empty or unprintable version.
    """
    text = checked(version, "Python version").lower()
    match = _VERSION.fullmatch(text)
    if match is None:
        return _LEGACY + _legacy(text)
    release = match["release"].split(".")
    while len(release) > 1 and not release[-1].strip("0"):
        release.pop()
    out = bytearray(_REGULAR + number(match["epoch"] or ""))
    out += b"".join(_MORE + number(part) for part in release) + _END
    return bytes(out) + _phase(match) + _local(match["local"])


def last_build(version: str) -> bytes:
    """A key above those of all builds of a public version, whatever their local labels.

    PEP 440 ignores a candidate's local label where a specifier has none: `<= 2.0.1` and `== 2.0.1`
    have `2.0.1+cu118`, and `> 2.0.1` has not. Of a version with a label of its own, its key.
    """
    sort_key = key(version)
    is_public = sort_key[:1] == _REGULAR and "+" not in version
    return sort_key[: -len(_END)] + _AFTER_LOCAL if is_public else sort_key


def regular_beginning(version: str) -> str:
    """The beginning of a version that PEP 440 refuses which it accepts: `1.9.0` of `1.9.0ubuntu2`.

    Empty where it accepts all of it, or none.
    """
    text = version.strip()
    match = _VERSION.match(text.lower())
    return "" if match is None or match.end() == len(text) else text[: match.end()]


def _phase(match: re.Match[str]) -> bytes:
    pre, post, dev = match["pre"], match["post"], match["dev"]
    if pre is not None:
        out = bytes((_PRE[pre],)) + number(match["pre_n"])
    elif post is None and dev is not None:
        out = _DEV_ONLY
    else:
        out = _NO_PRE
    if post is None:
        out += b"\x01"
    else:
        out += b"\x02" + number(match["post_n1"] or match["post_n2"] or "")
    # A development release comes before what it leads to.
    return out + (b"\x02" if dev is None else b"\x01" + number(match["dev_n"]))


def _local(label: str | None) -> bytes:
    if label is None:
        return _END
    out = bytearray(_MORE)
    for part in re.split(r"[-_.]", label):
        if part.isdigit():
            out += _LOCAL_NUMBER + number(part)
        else:
            out += _LOCAL_TEXT + part.encode("ascii") + _END
    return bytes(out) + _END


_LEGACY_PARTS = re.compile(r"([0-9]+|[a-z]+|\.|-)")
_LEGACY_NAMES = {"pre": "c", "preview": "c", "-": "final-", "rc": "c", "dev": "@"}
_ZERO = "0" * 8


def _legacy(text: str) -> bytes:
    parts: list[str] = []
    for raw in _LEGACY_PARTS.split(text):
        part = _LEGACY_NAMES.get(raw, raw)
        if not part or part == ".":
            continue
        parts.append(part.zfill(8) if part[0] in "0123456789" else "*" + part)
    parts.append("*final")
    kept: list[str] = []
    for part in parts:
        if part.startswith("*"):
            if part < "*final":
                while kept and kept[-1] == "*final-":
                    kept.pop()
            while kept and kept[-1] == _ZERO:
                kept.pop()
        kept.append(part)
    return b"".join(part.encode("utf-8", "surrogateescape") + _END for part in kept)
