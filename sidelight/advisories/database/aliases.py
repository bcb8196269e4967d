"""Resolve the vulnerabilities of an advisory by the aliases of all feeds.

The result is a CVE if any advisory with the same alias names one. Otherwise it is the best known
name: GitHub's, then the first of the others in order. So two feeds with records of the same
vulnerability give one finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import Advisory


class Aliases:
    """The names of the same vulnerability in different feeds."""

    def __init__(self) -> None:
        self._cves: dict[str, tuple[str, ...]] = {}
        self._others: dict[str, tuple[str, ...]] = {}

    def add(self, advisory: Advisory) -> None:
        """Add an advisory's names."""
        names = {advisory.id, *advisory.aliases}
        if not advisory.vulnerabilities:
            if advisory.aliases:
                everyone = tuple(sorted(names))
                for name in names:
                    known = self._others.get(name, everyone)
                    self._others[name] = (
                        everyone if known == everyone else tuple(sorted({*known, *names}))
                    )
            return
        for name in names:
            if not name.startswith("CVE-"):
                known = self._cves.get(name, ())
                self._cves[name] = tuple(sorted({*known, *advisory.vulnerabilities}))

    def vulnerabilities(self, name: str, aliases: Iterable[str], known: Iterable[str]) -> list[str]:
        """Return an advisory's vulnerabilities, sorted: its own CVEs (`known`), or its aliases'."""
        own = sorted(set(known))
        if own:
            return own
        names = {name, *aliases}
        for item in (name, *aliases):
            names.update(self._others.get(item, ()))
        cves: set[str] = set()
        for item in names:
            cves.update(self._cves.get(item, ()))
        return sorted(cves) if cves else [min(names, key=_preference)]


def _preference(name: str) -> tuple[bool, str]:
    return not name.startswith("GHSA-"), name
