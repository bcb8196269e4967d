"""Which vulnerability an advisory is about, over all feeds' aliases.

A CVE where any advisory of the same thing names one; else the best known of the names: GitHub's,
then any other, the first in order. So two feeds that speak of the same thing make one finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import Advisory


class Aliases:
    """The names under which feeds know the same thing."""

    def __init__(self) -> None:
        self._cves: dict[str, tuple[str, ...]] = {}
        self._others: dict[str, tuple[str, ...]] = {}

    def add(self, advisory: Advisory) -> None:
        """Learn an advisory's names."""
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
        """What an advisory is about, sorted: `known`, its own CVEs, or what the others tell."""
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
