"""Select the rows of a package that apply to the stream of an installed build.

A distribution ships the same package in several lines of versions. A build of one line must not be
compared with a fix of another: it would appear vulnerable although it is fixed, or the reverse.

- rpm modules: a module build is compared only with builds of the same `name:stream`, and any other
  build only with builds outside of modules. If an erratum does not name its stream, modules.py
  decides; if it cannot, the builds of every stream are compared and the finding states it.
- Red Hat's extended lines (eus, aus, e4s, tus): a build for minor release Y carries `.elX_Y`. If
  such a line has its own advisory on a CVE, it decides for these builds, and for no others.
- Products on top of Red Hat's distribution (OpenShift, OpenStack, software collections) have
  advisories on their own builds, known by the release's tag (`.rhaos4.14.el9`, `.el9ost`). A
  product's build with the distribution's own tag counts only for a package that the distribution
  does not have.
- CentOS up to 7 rebuilt packages that contain Red Hat's name with its own tag: `97.el7.centos.5` is
  the rebuild of `97.el7_9.5`, and is compared as that. CentOS 8 numbered its module builds
  independently: `1.module_el8.3.0+717` is compared with `1.module+el8.3.0+10166` without these
  numbers.
- Rocky Linux's cloud kernels (`.cloud`) have their own errata (RXSA), which apply only to them.
- Oracle's Ksplice and FIPS builds have versions above the distribution's own, and their own errata:
  each is compared only with its own line.
- Ubuntu's ESM (Pro): if the installed build is an ESM build, ESM's advisories decide; otherwise the
  archive's own, and ESM's only if the archive has no fix. ESM's kernels have no mark of their own
  and continue the archive's versions: a vulnerability that they have fixed is not reported.
- Ubuntu's FIPS and realtime kernels are separate sources. FIPS's other builds are marked in their
  versions (`fips`, `+Fips1`): FIPS's advisories apply only to these, and decide.
- Amazon Linux 2's extras: a build belongs to the repository whose fixed versions share most leading
  numbers with it. Several may ship the same builds (docker, ecs; a livepatch's first build is the
  kernel's): a vulnerability that one of them has fixed in a build is fixed. If an extra has no
  advisory on a CVE, the core repository's advisories count for its builds.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from sidelight.advisories.build_marks import UNKNOWN, shared_numbers, stream_of
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.advisories.database.package_rows import Hit, PackageRows
    from sidelight.advisories.database.reader import AdvisoryDatabase
    from sidelight.model import Package


Label = tuple[str, str, str]  # stream, module, state
HitVulnerabilities: TypeAlias = "tuple[Hit, tuple[int, ...]]"  # with the numbers of vulnerabilities
_RED_HAT = ("els:", "eus:", "aus:", "e4s:", "tus:")  # longer support for the same builds

_MINOR = re.compile(r"\.el(\d+)_(\d+)")
_EXTENDED = re.compile(r"(?:rhel_)?(?:eus|aus|e4s|tus|eus_\w+|e4s_\w+|els_\w+):(\d+)\.(\d+)")
_TAG = re.compile(r"[.+_]el(\d+)(?:_\d+)?(?:\.\d+)*([a-z]*)")
_PRODUCT = re.compile(r"\.(rhaos\d+\.\d+|jbcs|assembly)(?=[._]|$)")
_CENTOS = re.compile(r"\.el(\d+)\.centos\b")
_MODULE_BUILD = re.compile(r"(\.module)[+_](el\d+(?:\.\d+)*)\+.*")
_CLOUD = ".cloud"


def fits_module(module: str, package: Package) -> bool:
    """Return whether a row about this module (or "") may apply to the package."""
    built = package.modularity or (UNKNOWN if ".module" in package.version else "")
    if not module or not built:
        return not module and not built
    if UNKNOWN in {module, built}:
        return True  # rather compared than skipped
    return built == module or built.startswith(module + ":")


def minor_release(version: str) -> str:
    """Return `9.2` for a build for one of Red Hat's minor releases (`.el9_2`), else ""."""
    match = _MINOR.search(version)
    return f"{match[1]}.{match[2]}" if match else ""


def is_extended(stream: str) -> str:
    """Return `9.2` for the stream `eus:9.2` and similar streams, else ""."""
    match = _EXTENDED.fullmatch(stream)
    return f"{match[1]}.{match[2]}" if match else ""


class StreamCase:
    """One package to match, and all rows that the database has for it."""

    def __init__(
        self,
        group: PackageRows,
        ecosystem: str,
        package: Package,
        version: str,
        database: AdvisoryDatabase,
    ) -> None:
        self.group = group
        self.ecosystem = ecosystem
        self.package = package
        self.version = version
        self.labels: list[Label] = database.labels
        self.about = database.records.about
        self._fits: dict[int, bool] = {}

    def stream(self, hit: Hit) -> str:
        """Return the stream of a hit."""
        return self.labels[hit.label][0]

    @cached_property
    def fixes(self) -> list[tuple[int, str, str]]:
        """List advisory, stream and end of an affected span for all rows that may apply.

        This includes rows that do not affect the package's version.
        """
        return [
            (advisory, self.labels[label][0], text)
            for advisory, label, text in self.group.fixes()
            if self.fits(label)
        ]

    def fits(self, label: int) -> bool:
        """Return whether rows of this label may apply to the package by their module."""
        known = self._fits.get(label)
        if known is None:
            known = self._fits[label] = fits_module(self.labels[label][1], self.package)
        return known

    def spoken_of(self, wanted: Callable[[str], bool]) -> set[int]:
        """Return the vulnerabilities on which the wanted streams have an advisory."""
        return {
            vulnerability
            for advisory, stream, _text in self.fixes
            if wanted(stream)
            for vulnerability in self.about(advisory)
        }


def choose(hits: list[Hit], case: StreamCase) -> list[HitVulnerabilities]:
    """Return the hits of the package's own stream, with their vulnerabilities.

    Rows that do not affect the version count too: they show that their stream has fixed it.
    """
    entries = [(hit, case.about(hit.advisory)) for hit in hits if case.fits(hit.label)]
    if case.ecosystem.startswith("Red Hat:"):
        entries = [item for item in entries if not _is_rebuild_of_fix(case.version, item[0], case)]
    if case.ecosystem.startswith("Rocky Linux:"):
        is_cloud = _CLOUD in case.version
        entries = [item for item in entries if (_CLOUD in item[0].fixed) is is_cloud]
    if not case.group.has_streams:
        return entries
    if case.ecosystem.startswith("Red Hat:"):
        return _red_hat(entries, minor_release(case.version), case)
    if case.ecosystem.startswith("Oracle Linux:"):
        own = stream_of(case.version)
        return [item for item in entries if case.stream(item[0]) == own]
    if case.ecosystem.startswith("Amazon Linux:"):
        return _amazon(entries, case)
    return _ubuntu(entries, case) if case.ecosystem.startswith("Ubuntu:") else entries


def _is_rebuild_of_fix(version: str, hit: Hit, case: StreamCase) -> bool:
    """Return whether a CentOS build, which sorts below Red Hat's, rebuilds a fix or is later."""
    if not hit.fixed:
        return False
    if _CENTOS.search(version):
        # CentOS's tag has no minor release: that of the fix applies.
        minor = _MINOR.search(hit.fixed)
        tag = f".el\\1_{minor[2]}" if minor else r".el\1"
        own, fixed = _CENTOS.sub(tag, version), hit.fixed
    elif ".module_el" in version and ".module+el" in hit.fixed:
        own, fixed = (_MODULE_BUILD.sub(r"\1+\2", item) for item in (version, hit.fixed))
    else:
        return False
    return sort_key(case.ecosystem, own) >= sort_key(case.ecosystem, fixed)


def _but(
    entries: list[HitVulnerabilities], decided: set[int], concerns: Callable[[Hit], bool]
) -> list[HitVulnerabilities]:
    """Remove the decided vulnerabilities from the hits that `concerns` selects."""
    kept: list[HitVulnerabilities] = []
    for hit, about in entries:
        left = about
        if not decided.isdisjoint(about) and concerns(hit):
            left = tuple([number for number in about if number not in decided])
        if left:
            kept.append((hit, left))
    return kept


def _red_hat(
    entries: list[HitVulnerabilities], minor: str, case: StreamCase
) -> list[HitVulnerabilities]:
    def of_this_minor(stream: str) -> bool:
        return bool(minor) and is_extended(stream) == minor

    # True if the distribution itself has the package, in the package's module.
    is_shipped = any(not _is_on_top(stream) for _advisory, stream, _text in case.fixes)

    def is_own(hit: Hit) -> bool:
        stream = case.stream(hit)
        if is_extended(stream):
            return of_this_minor(stream)
        if not _is_on_top(stream):
            return True
        tag = _tag(hit.fixed)
        return bool(tag) and tag == _tag(case.version) and not (is_shipped and _is_plain(tag))

    def is_general(hit: Hit) -> bool:
        stream = case.stream(hit)
        return not stream or (stream.startswith(_RED_HAT) and not is_extended(stream))

    entries = [item for item in entries if is_own(item[0])]
    return _but(entries, case.spoken_of(of_this_minor), is_general)


def _is_on_top(stream: str) -> bool:
    """Return whether a stream is of a product on top of the distribution, not its own support."""
    return bool(stream) and not stream.startswith(_RED_HAT) and not is_extended(stream)


def _tag(version: str) -> str:
    """Return the tag of a product's builds: `rhaos4.14.el9`, `el9ost`, `el9` of the distribution.

    "" if there is no such tag.
    """
    release = version.rpartition("-")[2]
    match, product = _TAG.search(release), _PRODUCT.search(release)
    if match is None:
        return ""
    return f"{product[1] + '.' if product else ''}el{match[1]}{match[2]}"


def _is_plain(tag: str) -> bool:
    return tag.removeprefix("el").isdigit()


def _ubuntu(entries: list[HitVulnerabilities], case: StreamCase) -> list[HitVulnerabilities]:
    source = case.package.source_name or case.package.name
    is_fips, is_esm = "fips" in f"{source} {case.version}".lower(), "esm" in case.version
    entries = [
        (hit, about)
        for hit, about in entries
        if (is_fips or not _is_fips(case.stream(hit)))
        and ("realtime" in source or not case.stream(hit).startswith("realtime"))
    ]
    is_own = _is_fips if is_fips else _is_esm
    entries = _but(entries, _fixed(entries, is_own, case), lambda hit: not hit.fixed)
    if is_fips or is_esm:
        entries = _but(entries, case.spoken_of(is_own), lambda hit: not is_own(case.stream(hit)))
    if is_esm:
        return entries
    open_here = {
        number
        for hit, about in entries
        if not case.stream(hit) and not hit.fixed
        for number in about
    }
    decided = case.spoken_of(lambda stream: not stream) - open_here
    return _but(entries, decided, lambda hit: _is_esm(case.stream(hit)))


def _fixed(
    entries: list[HitVulnerabilities], is_own: Callable[[str], bool], case: StreamCase
) -> set[int]:
    """Return vulnerabilities without a fix in some stream that the build's own line has fixed.

    ESM's kernels continue the archive's line of versions, without a mark.
    """
    unfixed = {number for hit, about in entries if not hit.fixed for number in about}
    if not unfixed:
        return unfixed
    key = sort_key(case.ecosystem, case.version)
    affected = {(case.stream(hit), number) for hit, about in entries for number in about}
    return {
        number
        for advisory, stream, text in case.fixes
        if text
        and is_own(stream)
        and ("esm" not in text or "esm" in case.version)
        and not unfixed.isdisjoint(case.about(advisory))
        and sort_key(case.ecosystem, text) <= key
        for number in case.about(advisory)
        if (stream, number) not in affected
    }


def _is_fips(stream: str) -> bool:
    return stream.startswith("fips")


def _is_esm(stream: str) -> bool:
    return stream.startswith(("esm", "pro", "ros-esm"))


def _amazon(entries: list[HitVulnerabilities], case: StreamCase) -> list[HitVulnerabilities]:
    best: dict[str, int] = {}
    for stream, text in {(stream, text) for _advisory, stream, text in case.fixes}:
        best[stream] = max(best.get(stream, 0), shared_numbers(case.version, text))
    longest = max(best.values(), default=0)
    own = {stream for stream, shared in best.items() if shared == longest}
    named = {
        (stream, number)
        for advisory, stream, _text in case.fixes
        if stream in own
        for number in case.about(advisory)
    }
    affected = {(case.stream(hit), number) for hit, about in entries for number in about}
    fixed = {number for _stream, number in named - affected}
    decided = {number for _stream, number in named}
    entries = [item for item in entries if not case.stream(item[0]) or case.stream(item[0]) in own]
    entries = _but(entries, fixed, lambda hit: case.stream(hit) in own)
    return _but(entries, decided, lambda hit: case.stream(hit) not in own)
