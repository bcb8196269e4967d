"""Debian's security tracker as JSON (security-tracker.debian.org/tracker/data/json).

`{source package: {CVE: {"description", "releases": {codename: {"status", "fixed_version",
"urgency", "nodsa", "nodsa_reason"}}}}}`. Status `open` is affected without a fix, also if there
will be no DSA (state `no-dsa`, or its reason: `ignored`, `postponed`). `undetermined` is unknown
and matches nothing; fixed version "0" was never affected. Urgency `unimportant` is a vulnerability
that Debian's build does not expose: informational. `end-of-life` is affected without a fix.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.advisories.feeds.formats.shape import is_rejected, mapping, text
from sidelight.advisories.rating import severity as severities
from sidelight.errors import DamagedError, LimitError
from sidelight.model import Advisory, Affected, Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

HEAD = 4096  # bytes at the beginning of a document that identify the tracker
# The real tracker has 300,000 rows of 60,000 vulnerabilities.
MAX_ROWS = 1_000_000
MAX_VULNERABILITIES = 300_000
_BEGIN = re.compile(rb'\s*\{\s*"[^"\\]*"\s*:\s*\{\s*"(?:CVE|TEMP)-[^"\\]*"\s*:\s*\{')
CODENAMES = {
    "jessie": "8",
    "stretch": "9",
    "buster": "10",
    "bullseye": "11",
    "bookworm": "12",
    "trixie": "13",
    "forky": "14",
}
_STATUSES = frozenset({"open", "resolved", "undetermined"})


def begins(head: bytes) -> bool:
    """Return whether a document with this beginning is the tracker's, by its first package."""
    return _BEGIN.match(head) is not None


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether a JSON object is the tracker's: it has only packages with vulnerabilities."""
    first = next(iter(record.values()), None)
    if not isinstance(first, dict):
        return False
    inner = next(iter(first.values()), None)
    return isinstance(inner, dict) and isinstance(inner.get("releases"), dict)


def parse(record: Mapping[str, object]) -> Iterator[Advisory]:
    """Yield one advisory per vulnerability. Raises DamagedError for another shape."""
    yield from parse_packages((package, mapping(record, package)) for package in record)


def parse_packages(packages: Iterable[tuple[str, dict[str, object]]]) -> Iterator[Advisory]:
    """Yield the same from packages one by one. Raises LimitError for too many rows."""
    rows: dict[str, list[Affected]] = {}
    titles: dict[str, str] = {}
    count = 0
    for package, vulnerabilities in packages:
        for name in vulnerabilities:
            entry = mapping(vulnerabilities, name)
            releases = mapping(entry, "releases")
            titles.setdefault(name, _title(text(entry, "description")))
            for codename in releases:
                row = _row(package, codename, mapping(releases, codename))
                if row is not None:
                    rows.setdefault(name, []).append(row)
                    count += 1
        if count > MAX_ROWS or len(titles) > MAX_VULNERABILITIES:
            what = f"more than {MAX_ROWS} rows or {MAX_VULNERABILITIES} vulnerabilities"
            raise LimitError(what)
    for name, name_rows in rows.items():
        cves = (name,) if name.startswith("CVE-") else ()
        title = titles[name]
        if is_rejected(title):
            yield Advisory(name, "Debian", withdrawn=True)
            continue
        yield Advisory(
            name,
            "Debian",
            vulnerabilities=cves,
            title=title,
            affected=tuple(name_rows),
        )


def _title(description: str) -> str:
    return description if len(description) <= 240 else description[:239] + "…"


def _row(package: str, codename: str, release: Mapping[str, object]) -> Affected | None:
    status, fixed = text(release, "status"), text(release, "fixed_version")
    if status not in _STATUSES:
        raise DamagedError(f"the status of {package} in {codename} is {status[:40]!r}")
    if codename not in CODENAMES or status == "undetermined" or fixed == "0":
        return None
    if status == "resolved" and not fixed:
        return None
    urgency = text(release, "urgency")
    state = text(release, "nodsa_reason") or ("no-dsa" if "nodsa" in release else "")
    return Affected(
        ecosystem=f"Debian:{CODENAMES[codename]}",
        name=package,
        intervals=(Interval(end=fixed if status == "resolved" else ""),),
        severity=severities.of_word(urgency),
        state="end-of-life" if urgency == "end-of-life" else state,
    )
