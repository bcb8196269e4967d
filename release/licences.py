"""The licences of all installed dependencies: `python -m release.licences`, a part of `make lint`.

A licence that is not in ALLOWED ends it. AGPL is allowed in the extra `reference` alone, whose
packages nothing else depends on. What the lock has for other systems is not installed here, and is
counted.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOCK: Final = Path(__file__).resolve().parents[1] / "requirements.lock"
LOCKED: Final = re.compile(r"^([A-Za-z0-9_.-]+)==([^ \\;]+)", re.MULTILINE)
# Texts of licences that need no more than their notice, as packages write them.
ALLOWED: Final = re.compile(
    r"apache|\bmit\b|mit-0|\bbsd\b|bsd-|0bsd|\bisc\b|\bpsf\b|python-2|python software|zlib|"
    r"unlicense|public domain|hpnd|cnri|\bmpl|mozilla|zpl|blueoak|cc0",
    re.IGNORECASE,
)
WEAK: Final = re.compile(r"lgpl|lesser general public", re.IGNORECASE)
STRONG: Final = re.compile(r"agpl|affero", re.IGNORECASE)
# LGPL libraries that stay apart: drivers that are imported, and what only tests use.
APART: Final = {
    "cvss": "a second opinion of the tests",
    "psycopg": "the extra `postgres`",
    "psycopg-binary": "the extra `postgres`",
    "pycurl": "LGPL-2.1 or MIT",
}
# Packages whose metadata state none, by the licence in their own files.
STATED: Final = {"atheris": "Apache-2.0", "axe-playwright-python": "MIT"}
STRONG_EXTRA: Final = "reference"


def licence_of(name: str) -> str:
    """Return what a package says of its licence: an expression, its classifiers, or a text."""
    known = metadata.metadata(name)
    if "License-Expression" in known:
        return known["License-Expression"]
    classifiers = [
        text.rpartition(":: ")[2]
        for text in known.get_all("Classifier") or ()
        if text.startswith("License ::") and not text.endswith("OSI Approved")
    ]
    text = known["License"] if "License" in known else STATED.get(name, "")
    return "; ".join(classifiers) or text.strip().split("\n")[0][:100]


def closure(distribution: str, extras: Iterable[str]) -> set[str]:
    """Return the names of what a distribution needs with these extras, in this environment."""
    found: set[str] = set()
    waiting = [(distribution, frozenset(extras))]
    while waiting:
        name, wanted = waiting.pop()
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in (wanted or {""})):
                continue
            needed = canonicalize_name(requirement.name)
            if needed not in found and needed in INSTALLED:
                found.add(needed)
                waiting.append((needed, frozenset(requirement.extras)))
    return found


INSTALLED: Final = {
    canonicalize_name(str(item.metadata["Name"])) for item in metadata.distributions()
}


def locked(path: Path = LOCK) -> dict[str, str]:
    """Return the versions of a lock's packages, by name."""
    return {canonicalize_name(name): version for name, version in LOCKED.findall(path.read_text())}


def refused(licences: Mapping[str, str], without_strong: set[str]) -> list[str]:
    """Return why packages may not be used, one line each.

    `without_strong` are the packages that are reached without the extra `reference`.
    """
    problems = []
    for name, text in sorted(licences.items()):
        if STRONG.search(text):
            if name in without_strong:
                problems.append(f"{name}: {text}: only the extra `{STRONG_EXTRA}` may need it")
        elif name not in APART and (WEAK.search(text) or not ALLOWED.search(text)):
            problems.append(f"{name}: {text or 'no licence is stated'}")
    return problems


def report() -> tuple[dict[str, str], list[str]]:
    """Return the licences of the locked packages that are installed, and the problems."""
    names = locked().keys() & INSTALLED
    licences = {name: licence_of(name) for name in names}
    extras = set(metadata.metadata("sidelight").get_all("Provides-Extra") or ())
    return licences, refused(licences, closure("sidelight", extras - {STRONG_EXTRA}))


def main() -> None:
    """Print the report; exit 1 where a licence is refused."""
    licences, problems = report()
    if "--all" in sys.argv[1:]:
        sys.stdout.writelines(f"{name}\t{text}\n" for name, text in sorted(licences.items()))
    others = len(locked()) - len(licences)
    sys.stdout.write(
        f"{len(licences)} licences, {others} packages of other systems not looked at\n"
    )
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
