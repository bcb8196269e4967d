"""Debian's security tracker as JSON (security-tracker.debian.org/tracker/data/json).

`{source package: {CVE: {"description", "releases": {codename: {"status", "fixed_version",
"urgency", "nodsa", "nodsa_reason"}}}}}`. Status `open` is affected without a fix, also where there
will be no DSA (state `no-dsa`, or its reason: `ignored`, `postponed`); `undetermined` says nothing
and matches nothing; fixed version "0" was never affected. Urgency `unimportant` is a vulnerability
that Debian's build does not expose: informational. `end-of-life` is affected without a fix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidelight.advisories import severity as severities
from sidelight.advisories.formats.shape import is_rejected, mapping, text
from sidelight.errors import DamagedError
from sidelight.model import Advisory, Affected, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def recognises(record: dict[str, Any]) -> bool:
    """Whether a JSON object is the tracker's: all that it holds are packages of vulnerabilities."""
    first = next(iter(record.values()), None)
    if not isinstance(first, dict):
        return False
    inner = next(iter(first.values()), None)
    return isinstance(inner, dict) and isinstance(inner.get("releases"), dict)


def parse(record: dict[str, Any]) -> Iterator[Advisory]:
    """An advisory a vulnerability. Raises DamagedError for another shape."""
    rows: dict[str, list[Affected]] = {}
    titles: dict[str, str] = {}
    for package in record:
        vulnerabilities = mapping(record, package)
        for name in vulnerabilities:
            entry = mapping(vulnerabilities, name)
            titles.setdefault(name, text(entry, "description"))
            releases = mapping(entry, "releases")
            for codename in releases:
                row = _row(package, codename, mapping(releases, codename))
                if row is not None:
                    rows.setdefault(name, []).append(row)
    for name, found in rows.items():
        cves = (name,) if name.startswith("CVE-") else ()
        title = titles[name]
        if is_rejected(title):
            yield Advisory(name, "Debian", withdrawn=True)
            continue
        yield Advisory(
            name,
            "Debian",
            vulnerabilities=cves,
            title=title if len(title) <= 240 else title[:239] + "…",
            affected=tuple(found),
        )


def _row(package: str, codename: str, told: dict[str, Any]) -> Affected | None:
    status, fixed = text(told, "status"), text(told, "fixed_version")
    if status not in _STATUSES:
        raise DamagedError(f"the status of {package} in {codename} is {status[:40]!r}")
    if codename not in CODENAMES or status == "undetermined" or fixed == "0":
        return None
    if status == "resolved" and not fixed:
        return None
    urgency = text(told, "urgency")
    state = text(told, "nodsa_reason") or ("no-dsa" if "nodsa" in told else "")
    return Affected(
        ecosystem=f"Debian:{CODENAMES[codename]}",
        name=package,
        intervals=(Interval(end=fixed if status == "resolved" else ""),),
        severity=severities.of_word(urgency),
        state="end-of-life" if urgency == "end-of-life" else state,
    )
