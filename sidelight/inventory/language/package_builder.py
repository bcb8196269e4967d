"""One found package of each ecosystem: its name as OSV spells it, and its purl.

Each function gives a Package, or a Problem where the name or the version cannot be one: so one
damaged entry of a file costs nothing of the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.inventory.dependencies.declarations import Declaration
from sidelight.inventory.purl import format_purl
from sidelight.model import Package, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME_LIMIT: Final = 1024  # characters; npm allows 214, Go module paths are the longest
VERSION_LIMIT: Final = 512
LICENCE_LIMIT: Final = 256

# Every ecosystem's names are printable ASCII; versions nearly so.
_NO_NAME = re.compile(r"[^\x21-\x7e]")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\ud800-\udfff\u2028\u2029\ufeff]")


_NO_SEGMENTS = frozenset(("", ".", ".."))
_PYPI_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PYPI_RUN = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class PackageDetails:
    """What a format says beyond the name and the version. None where it does not say.

    `origin` are purl qualifiers, empty for what comes from the public registry (`origin.py`).
    """

    licence: str = ""
    direct: bool | None = None
    dev: bool | None = None
    vendor: str = ""
    arch: str = ""
    origin: tuple[tuple[str, str], ...] = ()


NO_DETAILS: Final = PackageDetails()

Entry = Package | Problem


class RelatedEntry(NamedTuple):
    """An entry with the names that its package provides and requires."""

    entry: Entry
    declaration: Declaration


def related(
    entry: Entry, provides: Iterable[str], requires: Iterable[str] | None, scope: str = ""
) -> RelatedEntry:
    """Return an entry with these names, each once; see `Declaration`."""
    required = None if requires is None else tuple(dict.fromkeys(requires))
    return RelatedEntry(entry, Declaration(tuple(dict.fromkeys(provides)), required, scope))


def _entry(  # noqa: PLR0913 - a purl has this many components
    path: str,
    kind: str,
    name: str,
    version: str,
    details: PackageDetails,
    *,
    namespace: str = "",
    bare: str = "",
    qualifiers: tuple[tuple[str, str], ...] = (),
) -> Entry:
    where = "/" + path
    if fault := _fault(name, version):
        return Problem(where, fault)
    url = format_purl(kind, namespace, bare or name, version, (*qualifiers, *details.origin))
    return Package(
        type=kind,
        name=name,
        version=version,
        path=where,
        purl=url,
        arch=details.arch,
        vendor=details.vendor,
        licence=" ".join(details.licence[:LICENCE_LIMIT].split()),
        direct=details.direct,
        dev=details.dev,
    )


def _fault(name: str, version: str) -> str:
    if not name:
        return "a package has no name"
    if len(name) > NAME_LIMIT or len(version) > VERSION_LIMIT:
        return f"the name or version of package {name[:40]!r} is too long to be one"
    if _NO_NAME.search(name):
        return f"{name[:80]!r} is not a package name"
    if not version:
        return f"package {name[:80]} has no version"
    if _UNPRINTABLE.search(version):
        return f"package {name[:80]}: {version[:80]!r} is not a version"
    return ""


def _no_name(path: str, name: str) -> Problem:
    return Problem("/" + path, f"{name[:80]!r} is not a package name")


def _split(name: str) -> tuple[str, str]:
    namespace, _, bare = name.rpartition("/")
    return namespace, bare


def pypi(path: str, name: str, version: str, details: PackageDetails = NO_DETAILS) -> Entry:
    """A Python distribution; the name is normalised (PEP 503), as in OSV."""
    if name and not _PYPI_NAME.fullmatch(name):
        return _no_name(path, name)
    return _entry(path, "pypi", _PYPI_RUN.sub("-", name).lower(), version, details)


def conda(
    path: str,
    name: str,
    version: str,
    details: PackageDetails = NO_DETAILS,
    qualifiers: tuple[tuple[str, str], ...] = (),
) -> Entry:
    """A conda package, with its build, channel and subdir as qualifiers."""
    if "/" in name:
        return _no_name(path, name)
    return _entry(path, "conda", name, version, details, qualifiers=qualifiers)


def npm(path: str, name: str, version: str, details: PackageDetails = NO_DETAILS) -> Entry:
    """An npm package; `name` may be scoped (`@scope/name`)."""
    namespace, bare = _split(name)
    if name and (not bare or (namespace and not namespace.startswith("@")) or "/" in namespace):
        return _no_name(path, name)
    return _entry(path, "npm", name, version, details, namespace=namespace, bare=bare)


def maven(
    path: str, group: str, artifact: str, version: str, details: PackageDetails = NO_DETAILS
) -> Entry:
    """A Maven artefact; the name is `group:artifact` as in OSV."""
    name = f"{group}:{artifact}" if artifact else ""
    if "/" in name or (artifact and not group):
        return _no_name(path, name)
    return _entry(path, "maven", name, version, details, namespace=group, bare=artifact)


def golang(path: str, name: str, version: str, details: PackageDetails = NO_DETAILS) -> Entry:
    """A Go module by its path, or `stdlib`. Module versions keep their `v`, as Go writes them."""
    namespace, bare = _split(name)
    if name and _NO_SEGMENTS & set(name.split("/")):
        return _no_name(path, name)
    return _entry(
        path, "golang", name, version, details, namespace=namespace.lower(), bare=bare.lower()
    )


def composer(path: str, name: str, version: str, details: PackageDetails = NO_DETAILS) -> Entry:
    """A PHP package, `vendor/name` in lower case as Packagist and OSV have it."""
    name = name.lower()
    namespace, bare = _split(name)
    if name and (not bare or "/" in namespace):
        return _no_name(path, name)
    return _entry(path, "composer", name, version, details, namespace=namespace, bare=bare)


def swift(path: str, name: str, version: str, details: PackageDetails = NO_DETAILS) -> Entry:
    """A Swift package by its repository, `host/owner/name`, without a scheme and `.git`."""
    namespace, bare = _split(name)
    if name and (not namespace or _NO_SEGMENTS & set(name.split("/"))):
        return _no_name(path, name)
    return _entry(path, "swift", name, version, details, namespace=namespace, bare=bare)


def jsr(path: str, name: str, version: str, details: PackageDetails = NO_DETAILS) -> Entry:
    """A package of JSR, `@scope/name`; purls have no type of their own for it yet."""
    namespace, bare = _split(name)
    if name and (not bare or not namespace.startswith("@") or "/" in namespace):
        return _no_name(path, name)
    return _entry(path, "jsr", name, version, details, namespace=namespace, bare=bare)


def julia(
    path: str, name: str, version: str, uuid: str, details: PackageDetails = NO_DETAILS
) -> Entry:
    """A package of Julia, whose purl has the UUID that its registry knows it by."""
    if "/" in name:
        return _no_name(path, name)
    qualifiers = (("uuid", uuid),) if uuid else ()
    return _entry(path, "julia", name, version, details, qualifiers=qualifiers)


def flat(
    path: str, kind: str, name: str, version: str, details: PackageDetails = NO_DETAILS
) -> Entry:
    """A package of a type without namespaces: cargo, cran, gem, hex, nuget, opam, pub, generic."""
    if "/" in name:
        return _no_name(path, name)
    return _entry(path, kind, name, version, details)
