"""Why a package is in one scanner's list and not in another's: the headings of docs/compare.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Files that a package manager put into an installed package, below the package's own directory.
_INSIDE = re.compile(r"(?:^|/)node_modules/(?:@[^/]+/)?[^/]+/(?!.*node_modules/).+/package\.json$")
_OWN = re.compile(r"(?:^|/)(?:package\.json|package-lock\.json)$")
_LOCKED_INSIDE = re.compile(r"(?:^|/)(?:node_modules|gems)/.*(?:\.lock|-lock\.json)$")
_LOCK = re.compile(
    r"\.(?:lock|toml|lockfile|yaml|txt)$|-lock\.json$|/(?:pom\.xml|go\.mod|go\.sum)$"
)

_RELEASED = re.compile(r"[0-9]+(?:\.[0-9]+)*(?:(?:rc|beta)[0-9]+)?")
# A module's version that Go derives from a commit: `0.0.0-`, or after the release before it.
_COMMIT = re.compile(r"-(?:0\.|.*\.)?[0-9]{14}-[0-9a-f]{12}(?:\+dirty)?$")
# Of the programs and lock files that were made for one fault each.
_LINKED = {("github.com/acme/a", "1.22.0"), ("github.com/acme/b", "0.26.11")}
_ALIASES = {("old-async", "0.9.2")}

OWNED: Final = "owned by an OS package"
LATER: Final = "in files that the other does not read"


def verdict(
    title: str, package: tuple[str, str, str], paths: Iterable[str], owned: Callable[[str], bool]
) -> str:
    """The heading of a difference; empty where there is none.

    `title` is `only trivy`, `only syft` or `only Sidelight`; `package` (type, name, version).
    """
    places = [part.lstrip("/") for path in paths for part in path.split(",")]
    kind, name, version = package
    if kind == "rpm" and name == "gpg-pubkey":
        return "an imported key, no package"
    if places and all(owned(place) for place in places):
        return OWNED
    if title == "only Sidelight":
        return _extra(kind, name, version, places)
    return _left_out(kind, name, version, places)


def _left_out(kind: str, name: str, version: str, places: list[str]) -> str:
    checks = (
        (
            kind == "github",
            "a workflow of a source repository, nothing that is installed",
        ),
        (version in {"", "(devel)", "devel", "redacted"}, "no version"),
        (
            name == "stdlib" and not _RELEASED.fullmatch(version),
            "a Go version with its builder's suffix",
        ),
        (
            kind == "golang" and _COMMIT.search(version) is not None,
            "a version made up from the commit",
        ),
        (
            (name, version) in _LINKED,
            "a version that the linker was given for something else",
        ),
        (
            kind == "nuget" and any(place.endswith((".dll", ".exe")) for place in places),
            "a Windows program's resource, no NuGet package",
        ),
        (
            kind == "npm" and all(map(_INSIDE.search, places)),
            "a package.json deep within an installed package",
        ),
        (
            kind == "npm" and (version.endswith("-use.local") or all(map(_OWN.search, places))),
            "the application itself",
        ),
        ((name, version) in _ALIASES, "an alias in place of the package that is installed"),
        (all(map(_LOCKED_INSIDE.search, places)), "a lock file within an installed package"),
        (
            kind == "maven" and (version.endswith("-jar-with-dependencies") or _no_group(name)),
            "a jar's name or version read wrongly",
        ),
        (
            kind == "gem" and not any("/specifications/" in place for place in places),
            "a gemspec outside a gem home: sources",
        ),
    )
    return next((reason for holds, reason in checks if holds), "")


def _extra(kind: str, name: str, version: str, places: list[str]) -> str:
    del version
    if kind == "maven":
        return "a jar's coordinates, read from its manifest, its nested archives or known names"
    if kind == "nuget":
        return "in the bundle of a .NET program of one file"
    if kind == "deb":
        return "in a package list that the other gives up"
    if kind == "generic" or name == "stdlib":
        return "built by hand, by its own version file"
    if any(_LOCK.search(place) for place in places):
        return LATER
    return ""


def _no_group(name: str) -> bool:
    """Whether the group is the artefact, a class or a package in place of a Maven group."""
    group, _, artifact = name.rpartition("/")
    parts = group.split(".")
    wrong = group == artifact or artifact in parts or parts[-1].endswith(f"-{artifact}")
    return wrong or group.count(".") > 3
