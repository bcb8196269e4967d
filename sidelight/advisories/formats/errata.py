"""What all errata of rpm distributions have in common: builds that mend, and the CVEs they mend."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack

from sidelight.model import Advisory, Affected, Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidelight.model import Severity

CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_NAME_EVR = re.compile(r"(.+)-(?:(\d+):)?([^-:]+)-([^-]+?)(?:\.([a-z0-9_]+))?(?:\.rpm)?")
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


class Details(TypedDict, total=False):
    """The rest of an advisory."""

    cves: Iterable[str]
    title: str
    severity: Severity | None
    references: Sequence[str]
    published: str
    modified: str
    vectors: tuple[str, ...]


def split_name(text: str) -> tuple[Build, str] | None:
    """The build and the architecture of `bash-0:5.1-2.el9.x86_64[.rpm]`; None for another form."""
    match = _NAME_EVR.fullmatch(text)
    if match is None:
        return None
    name, epoch, version, release, architecture = match.groups(default="")
    return Build(name, epoch, version, release), architecture


def module_of(release: str, title: str) -> str:
    """`name:stream` of a module build by its erratum's title; "" for any other build."""
    if ".module" not in release:
        return ""
    match = re.search(r"([\w.+-]+):([\w.+-]+)(?=[\s/]|$)", re.sub(r"^\w+: ", "", title))
    return f"{match[1]}:{match[2]}" if match else "?"


def affected(
    builds: Iterable[Build], ecosystem: str, *, stream: str = "", title: str = ""
) -> tuple[Affected, ...]:
    """The rows of an erratum: each binary package before its build, once a build."""
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
    name: str, source: str, rows: tuple[Affected, ...], **details: Unpack[Details]
) -> Advisory:
    """An erratum's advisory; without its rows if it is about no vulnerability that has a name."""
    title = " ".join(details.get("title", "").split())
    found = {cve for item in details.get("cves", ()) for cve in CVE.findall(item)}
    return Advisory(
        id=name,
        source=source,
        vulnerabilities=tuple(sorted(found)),
        title=title if len(title) <= _TITLE else title[: _TITLE - 1] + "…",
        severity=details.get("severity"),
        vectors=details.get("vectors", ()),
        references=tuple(details.get("references", ()))[:_REFERENCES],
        published=details.get("published", ""),
        modified=details.get("modified", ""),
        affected=rows,
    )
