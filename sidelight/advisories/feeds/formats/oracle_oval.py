"""Oracle Linux's OVAL (linux.oracle.com/security/oval): `com.oracle.elsa-all.xml`, all its errata.

A definition's criteria nest: `Oracle Linux 8 is installed`, then `Module virt:ol is enabled`, then
an architecture, then `qemu-kvm is earlier than 15:6.2.0-20.el8`. Builds of Ksplice and of FIPS have
versions above the distribution's own, and are separate streams. One definition is read at a time.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sidelight.advisories.build_marks import stream_of
from sidelight.advisories.feeds.formats.errata import advisory
from sidelight.advisories.rating import severity as severities
from sidelight.errors import DamagedError, UnsupportedError
from sidelight.model import Affected, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from sidelight.model import Advisory

_INSTALLED = re.compile(r"Oracle Linux (\d+) is installed")
_MODULE = re.compile(r"Module (\S+) is enabled")
_EARLIER = re.compile(r"(\S+) is earlier than (\S+)")
_TITLE = re.compile(r"(EL[SBE]A-\d{4}-\d+):\s*+(.*)", re.DOTALL)
_DEPTH = 16  # levels of criteria


def parse(stream: IO[bytes]) -> Iterator[Advisory]:
    """Yield one advisory per erratum. Raises DamagedError for an incomplete XML document."""
    try:
        for _event, element in iterparse(stream, events=("end",), forbid_dtd=True):
            if str(element.tag).endswith("}definition"):
                yield _definition(element)
                element.clear()
    except (ParseError, DefusedXmlException) as error:
        raise DamagedError(f"not XML, or cut off: {error}") from error


def _definition(element: Element) -> Advisory:
    title = " ".join((element.findtext("{*}metadata/{*}title") or "").split())
    match = _TITLE.fullmatch(title)
    if match is None:
        raise UnsupportedError(f"an OVAL definition of {title[:40]!r}, which is not an erratum")
    if element.find("{*}criteria") is None:
        raise DamagedError(f"{match[1]} does not say what it is of")
    details = element.find("{*}metadata/{*}advisory")
    cves = [] if details is None else details.findall("{*}cve")
    issued = None if details is None else details.find("{*}issued")
    references = element.findall("{*}metadata/{*}reference")
    vectors = [item.get("cvss3", "").partition("/")[2] for item in cves]
    rows = dict.fromkeys(
        row for criteria in element.findall("{*}criteria") for row in _rows(criteria, "", "", 0)
    )
    return advisory(
        match[1],
        "Oracle",
        tuple(rows),
        cves=[item.text or "" for item in cves],
        title=match[2],
        severity=severities.of_word("" if details is None else details.findtext("{*}severity")),
        references=[item.get("ref_url", "") for item in references],
        published="" if issued is None else issued.get("date", ""),
        # The vector of an erratum applies to a CVE only if it is the erratum's only one.
        vectors=tuple(filter(None, vectors)) if len(cves) == 1 else (),
    )


def _rows(criteria: Element, release: str, module: str, depth: int) -> Iterator[Affected]:
    if depth > _DEPTH:
        raise DamagedError(f"criteria more than {_DEPTH} deep")
    comments = [item.get("comment", "") for item in criteria.findall("{*}criterion")]
    for comment in comments:
        if match := _INSTALLED.fullmatch(comment):
            release = match[1]
        elif match := _MODULE.fullmatch(comment):
            module = match[1]
    for comment in comments:
        match = _EARLIER.fullmatch(comment)
        if match is not None and release:
            name, version = match[1], match[2].removeprefix("0:")
            yield Affected(
                f"Oracle Linux:{release}",
                name,
                (Interval(end=version),),
                stream=stream_of(version),
                module=module or ("?" if ".module" in version else ""),
            )
    for inner in criteria.findall("{*}criteria"):
        yield from _rows(inner, release, module, depth + 1)
