"""The common parts of all rpm distributions' errata: fixed builds, and the CVEs that they fix."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack

from sidelight.model import Advisory, Affected, Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidelight.model import Severity

CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_NAME_EVR = re.compile(r"(.+)-(?:(\d+):)?([^-:]+)-([^-]+?)(?:\.([a-z0-9_]+))?(?:\.rpm)?")
_MODULE = re.compile(r"(?<![\w.+-])([\w.+-]++):([\w.+-]++)(?=[\s/]|$)")
_DEBUG = ("-debuginfo", "-debugsource")
_REFERENCES = 10
_TITLE = 240  # characters


class Build(NamedTuple):
    """One built package."""

    name: str
    epoch: str
    version: str
    release: str
    module: str = ""

    @property
    def evr(self) -> str:
        """`[epoch:]version-release`."""
        epoch = f"{self.epoch}:" if self.epoch not in {"", "0"} else ""
        return f"{epoch}{self.version}-{self.release}"


class ErratumDetails(TypedDict, total=False):
    """The rest of an advisory."""

    cves: Iterable[str]
    title: str
    severity: Severity | None
    references: Sequence[str]
    published: str
    modified: str
    vectors: tuple[str, ...]


def split_name(text: str) -> tuple[Build, str] | None:
    """Parse build and architecture of `bash-0:5.1-2.el9.x86_64[.rpm]`; None for another form."""
    match = _NAME_EVR.fullmatch(text)
    if match is None:
        return None
    name, epoch, version, release, architecture = match.groups(default="")
    return Build(name, epoch, version, release), architecture


def module_of(release: str, title: str) -> str:
    """Return a module build's `name:stream` by its erratum's title; "" for any other build."""
    if ".module" not in release:
        return ""
    match = _MODULE.search(re.sub(r"^\w+: ", "", title))
    return f"{match[1]}:{match[2]}" if match else "?"


def affected(
    builds: Iterable[Build], ecosystem: str, *, stream: str = "", title: str = ""
) -> tuple[Affected, ...]:
    """Return the rows of an erratum: versions below each binary package's build, once per build."""
    rows = {
        (build.name, build.evr, build.module or module_of(build.release, title)): None
        for build in builds
        if not build.name.endswith(_DEBUG)
    }
    return tuple(
        Affected(ecosystem, name, (Interval(end=evr),), stream=stream, module=module)
        for name, evr, module in rows
    )


def advisory(
    name: str, source: str, rows: tuple[Affected, ...], **details: Unpack[ErratumDetails]
) -> Advisory:
    """Return an erratum's advisory; without rows if it names no vulnerability."""
    title = " ".join(details.get("title", "").split())
    cve_ids = {cve for item in details.get("cves", ()) for cve in CVE.findall(item)}
    return Advisory(
        id=name,
        source=source,
        vulnerabilities=tuple(sorted(cve_ids)),
        title=title if len(title) <= _TITLE else title[: _TITLE - 1] + "…",
        severity=details.get("severity"),
        vectors=details.get("vectors", ()),
        references=tuple(details.get("references", ()))[:_REFERENCES],
        published=details.get("published", ""),
        modified=details.get("modified", ""),
        affected=rows,
    )
