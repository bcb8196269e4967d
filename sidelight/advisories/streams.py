"""Which rows of a package are about the stream that an installed build comes from.

A distribution ships the same package in several lines of versions. A build of one line must not be
compared with a fix of another: it would be found old while it is mended, or the reverse.

- rpm modules: a module build is compared with builds of the same `name:stream` only, any other
  build with no module's. Where an erratum does not name its stream, modules.py decides; where it
  cannot, every stream's builds are compared and the finding says so.
- Red Hat's extended lines (eus, aus, e4s, tus): a build made for minor release Y carries `.elX_Y`;
  where such a line has its own word on a CVE, it decides for these builds, and for no others.
- Products on top of Red Hat's distribution (OpenStack, software collections) ship builds of their
  own release tag, and speak of these only.
- Oracle's Ksplice and FIPS builds have versions above the distribution's own, and errata of their
  own: each is compared with its own line only.
- Ubuntu's ESM (Pro): where the installed build is an ESM build, ESM's word decides; otherwise the
  archive's own, and ESM's only where the archive has no fix. ESM's kernels have no mark of their
  own and carry on the archive's versions: what they have mended is not open any more.
- Ubuntu's FIPS and realtime kernels are sources of their own, and FIPS's other builds have it in
  their versions (`fips`, `+Fips1`): FIPS's word is for these alone, and decides.
- Amazon Linux 2's extras: a build belongs to the repository whose fixed versions share most leading
  numbers with it. Several may ship the same builds (docker, ecs; a livepatch's first build is the
  kernel's): what one of them has mended in a build is mended. Where an extra says nothing of a CVE,
  the core repository's word counts for its builds.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from sidelight.advisories.formats.oracle_oval import stream_of
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.advisories.database import Database
    from sidelight.advisories.group import Group, Hit
    from sidelight.model import Package


Label = tuple[str, str, str]  # stream, module, state
Told: TypeAlias = "tuple[Hit, tuple[int, ...]]"  # with the numbers of vulnerabilities
UNKNOWN = "?"  # the module of a module's build of which nobody says which
_RED_HAT = ("els:", "eus:", "aus:", "e4s:", "tus:")  # longer support for the same builds

_MINOR = re.compile(r"\.el(\d+)_(\d+)")
_EXTENDED = re.compile(r"(?:eus|aus|e4s|tus|eus_\w+|e4s_\w+):(\d+)\.(\d+)")
_TAG = re.compile(r"\.el\d+[a-z]*")
_NUMBERS = re.compile(r"\d+")


def fits_module(module: str, package: Package) -> bool:
    """Whether a row about this module (or "") may speak of the package."""
    built = package.modularity or (UNKNOWN if ".module" in package.version else "")
    if not module or not built:
        return not module and not built
    if UNKNOWN in {module, built}:
        return True  # rather asked than passed over
    return built == module or built.startswith(module + ":")


def minor_release(version: str) -> str:
    """`9.2` of a build for one minor release of Red Hat's (`.el9_2`), else ""."""
    match = _MINOR.search(version)
    return f"{match[1]}.{match[2]}" if match else ""


def is_extended(stream: str) -> str:
    """`9.2` of the stream `eus:9.2` and its like, else ""."""
    match = _EXTENDED.fullmatch(stream)
    return f"{match[1]}.{match[2]}" if match else ""


class Case:
    """The package in question, and all that the database has of it."""

    def __init__(
        self, group: Group, ecosystem: str, package: Package, version: str, database: Database
    ) -> None:
        self.group = group
        self.ecosystem = ecosystem
        self.package = package
        self.version = version
        self.labels: list[Label] = database.labels
        self.about = database.records.about
        self._fits: dict[int, bool] = {}

    def stream(self, hit: Hit) -> str:
        """The stream of a hit."""
        return self.labels[hit.label][0]

    @cached_property
    def fixes(self) -> list[tuple[int, str, str]]:
        """Of all rows that may speak of the package: advisory, stream, end of an affected span.

        Also of those that do not affect its version.
        """
        return [
            (advisory, self.labels[label][0], text)
            for advisory, label, text in self.group.fixes()
            if self.fits(label)
        ]

    def fits(self, label: int) -> bool:
        """Whether rows of this label may speak of the package by their module."""
        known = self._fits.get(label)
        if known is None:
            known = self._fits[label] = fits_module(self.labels[label][1], self.package)
        return known

    def spoken_of(self, wanted: Callable[[str], bool]) -> set[int]:
        """The vulnerabilities on which a stream has a word."""
        return {
            vulnerability
            for advisory, stream, _text in self.fixes
            if wanted(stream)
            for vulnerability in self.about(advisory)
        }


def choose(hits: list[Hit], case: Case) -> list[Told]:
    """The hits that are of the package's own stream, with the vulnerabilities of which they are.

    Rows that do not affect the version count too: they say that their stream has mended it.
    """
    told = [(hit, case.about(hit.advisory)) for hit in hits if case.fits(hit.label)]
    if not case.group.has_streams:
        return told
    if case.ecosystem.startswith("Red Hat:"):
        return _red_hat(told, minor_release(case.version), case)
    if case.ecosystem.startswith("Oracle Linux:"):
        own = stream_of(case.version)
        return [item for item in told if case.stream(item[0]) == own]
    if case.ecosystem.startswith("Amazon Linux:"):
        return _amazon(told, case)
    return _ubuntu(told, case) if case.ecosystem.startswith("Ubuntu:") else told


def _but(told: list[Told], decided: set[int], concerns: Callable[[Hit], bool]) -> list[Told]:
    """What was told, less these vulnerabilities of the hits that it concerns."""
    kept: list[Told] = []
    for hit, about in told:
        left = about
        if not decided.isdisjoint(about) and concerns(hit):
            left = tuple([number for number in about if number not in decided])
        if left:
            kept.append((hit, left))
    return kept


def _red_hat(told: list[Told], minor: str, case: Case) -> list[Told]:
    def of_this_minor(stream: str) -> bool:
        return bool(minor) and is_extended(stream) == minor

    def is_own(hit: Hit) -> bool:
        stream = case.stream(hit)
        if is_extended(stream):
            return of_this_minor(stream)
        # A product on top: its builds have names or release tags of their own.
        on_top = bool(stream) and not stream.startswith(_RED_HAT)
        return not on_top or (bool(hit.fixed) and _tag(hit.fixed) == _tag(case.version))

    def is_general(hit: Hit) -> bool:
        stream = case.stream(hit)
        return not stream or (stream.startswith(_RED_HAT) and not is_extended(stream))

    told = [item for item in told if is_own(item[0])]
    return _but(told, case.spoken_of(of_this_minor), is_general)


def _tag(version: str) -> str:
    """`.el9ost` of a build for OpenStack on release 9, `.el9` of the distribution's own."""
    match = _TAG.search(version)
    return match[0] if match else ""


def _ubuntu(told: list[Told], case: Case) -> list[Told]:
    source = case.package.source_name or case.package.name
    is_fips, is_esm = "fips" in f"{source} {case.version}".lower(), "esm" in case.version
    told = [
        (hit, about)
        for hit, about in told
        if (is_fips or not _is_fips(case.stream(hit)))
        and ("realtime" in source or not case.stream(hit).startswith("realtime"))
    ]
    is_own = _is_fips if is_fips else _is_esm
    told = _but(told, _mended(told, is_own, case), lambda hit: not hit.fixed)
    if is_fips or is_esm:
        told = _but(told, case.spoken_of(is_own), lambda hit: not is_own(case.stream(hit)))
    if is_esm:
        return told
    open_here = {
        number for hit, about in told if not case.stream(hit) and not hit.fixed for number in about
    }
    decided = case.spoken_of(lambda stream: not stream) - open_here
    return _but(told, decided, lambda hit: _is_esm(case.stream(hit)))


def _mended(told: list[Told], is_own: Callable[[str], bool], case: Case) -> set[int]:
    """Vulnerabilities without a fix in some stream that the build's own line has mended in it.

    ESM's kernels carry on the archive's line of versions, without a mark.
    """
    unfixed = {number for hit, about in told if not hit.fixed for number in about}
    if not unfixed:
        return unfixed
    key = sort_key(case.ecosystem, case.version)
    unmended = {(case.stream(hit), number) for hit, about in told for number in about}
    return {
        number
        for advisory, stream, text in case.fixes
        if text
        and is_own(stream)
        and ("esm" not in text or "esm" in case.version)
        and not unfixed.isdisjoint(case.about(advisory))
        and sort_key(case.ecosystem, text) <= key
        for number in case.about(advisory)
        if (stream, number) not in unmended
    }


def _is_fips(stream: str) -> bool:
    return stream.startswith("fips")


def _is_esm(stream: str) -> bool:
    return stream.startswith(("esm", "pro"))


def _amazon(told: list[Told], case: Case) -> list[Told]:
    best: dict[str, int] = {}
    for stream, text in {(stream, text) for _advisory, stream, text in case.fixes}:
        best[stream] = max(best.get(stream, 0), shared_numbers(case.version, text))
    longest = max(best.values(), default=0)
    own = {stream for stream, shared in best.items() if shared == longest}
    spoken = {
        (stream, number)
        for advisory, stream, _text in case.fixes
        if stream in own
        for number in case.about(advisory)
    }
    unmended = {(case.stream(hit), number) for hit, about in told for number in about}
    mended = {number for _stream, number in spoken - unmended}
    decided = {number for _stream, number in spoken}
    told = [item for item in told if not case.stream(item[0]) or case.stream(item[0]) in own]
    told = _but(told, mended, lambda hit: case.stream(hit) in own)
    return _but(told, decided, lambda hit: case.stream(hit) not in own)


def shared_numbers(one: str, other: str) -> int:
    """How many leading numbers of the upstream versions are the same, epochs apart."""
    pairs = zip(_upstream(one), _upstream(other), strict=False)
    count = 0
    for left, right in pairs:
        if left != right:
            break
        count += 1
    return count


def _upstream(version: str) -> list[str]:
    return _NUMBERS.findall(version.rpartition(":")[2].rpartition("-")[0] or version)
