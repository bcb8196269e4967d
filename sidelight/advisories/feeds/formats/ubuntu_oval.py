"""Ubuntu's OVAL (security-metadata.canonical.com/oval): `com.ubuntu.<release>.cve.oval.xml`.

Definitions refer to tests. A test's comment names the source package, and its state, if it has one,
the fixed version. A test without a state is of a package that is affected without a fix. Tests of
the running kernel's name are left out: the kernel's packages have their own tests.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, NamedTuple, TypeVar
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sidelight.advisories.feeds.formats.shape import is_rejected
from sidelight.advisories.feeds.formats.ubuntu_cves import CODENAMES
from sidelight.advisories.rating import severity as severities
from sidelight.errors import DamagedError, UnsupportedError
from sidelight.model import Advisory, Affected, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

_PACKAGE = re.compile(r"'([^']+)' package|(?<!\S)(\S++) package in ")
_CODENAME = re.compile(r"oval:com\.ubuntu\.(\w+):")
_PRO = re.compile(r" on Ubuntu Pro (\S+)")
_FIXED = re.compile(r"\(note: '([^']+)'\)|has been fixed")


_T = TypeVar("_T", str, tuple[str, str])


class _Definition(NamedTuple):
    cve: str
    title: str
    severity: str
    vectors: tuple[str, ...]
    published: str
    # (id of a test, the definition's comment on it)
    tests: tuple[tuple[str, str], ...]
    codename: str
    stream: str


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _find(element: Element, name: str) -> Iterator[Element]:
    return (item for item in element.iter() if _local(item) == name)


def parse(stream: IO[bytes]) -> Iterator[Advisory]:
    """Yield one advisory per CVE. Raises DamagedError for an incomplete XML document.

    Raises UnsupportedError for the OVAL of another distribution.
    """
    definitions: list[_Definition] = []
    packages: dict[str, tuple[str, str]] = {}  # test -> (source package or "", its state's id)
    versions: dict[str, str] = {}  # state -> version
    try:
        for _event, element in iterparse(stream, events=("end",), forbid_dtd=True):
            kind = _local(element)
            if kind == "definition":
                definitions.append(_definition(element))
                element.clear()
            elif kind.endswith("_test"):
                _test(element, packages)
                element.clear()
            elif kind.endswith("_state"):
                ends = [item.text or "" for item in element if "less than" in str(item.attrib)]
                _put(versions, element, ends[0].removeprefix("0:") if ends else "")
                element.clear()
    except (ParseError, DefusedXmlException) as error:
        raise DamagedError(f"not XML, or cut off: {error}") from error
    for definition in definitions:
        yield _advisory(definition, packages, versions)


def _definition(element: Element) -> _Definition:
    name = element.get("id", "")
    match = _CODENAME.match(name)
    if match is None or match[1] not in CODENAMES:
        raise UnsupportedError(f"the OVAL definition {name} is not of an Ubuntu release known here")
    cve = next(_find(element, "cve"), None)
    title = next((item.text or "" for item in _find(element, "title")), "")
    if not title.startswith("CVE-"):
        raise UnsupportedError(f"OVAL of {title[:40]!r}: of Ubuntu's, only the CVE files are read")
    if next(_find(element, "criteria"), None) is None:
        raise DamagedError(f"{title[:40]!r} does not say what it is of")
    vector = "" if cve is None else cve.get("cvss_vector", "")
    return _Definition(
        cve=title.partition(" ")[0],
        title=next((item.text or "" for item in _find(element, "description")), ""),
        severity=next((item.text or "" for item in _find(element, "severity")), ""),
        vectors=(vector,) if vector else (),
        published=next((item.text or "" for item in _find(element, "public_date")), ""),
        tests=tuple(
            (item.get("test_ref", ""), item.get("comment", ""))
            for item in _find(element, "criterion")
        ),
        codename=match[1],
        stream=_stream(title),
    )


def _stream(title: str) -> str:
    """Return the stream of a file for a part of Ubuntu Pro, by its definitions' titles."""
    match = _PRO.search(title)
    return "" if match is None else match[1].lower() if match[1].startswith("FIPS") else "pro"


def _test(element: Element, packages: dict[str, tuple[str, str]]) -> None:
    match = _PACKAGE.search(element.get("comment", ""))
    package = "" if match is None else match[1] or match[2]
    state = next((item.get("state_ref", "") for item in _find(element, "state")), "")
    _put(packages, element, (package, state))


def _put(values: dict[str, _T], element: Element, value: _T) -> None:
    name = element.get("id", "")
    if not name or values.setdefault(name, value) != value:
        raise DamagedError(f"a test or state without an id, or again with other contents: {name!r}")


def _advisory(
    definition: _Definition, packages: dict[str, tuple[str, str]], versions: dict[str, str]
) -> Advisory:
    rows: list[Affected] = []
    for test, comment in definition.tests:
        if test not in packages:
            raise DamagedError(f"{definition.cve} has a test that is not there: {test!r}")
        package, state = packages[test]
        if not package:
            continue  # a test of the running kernel's name
        if state and state not in versions:
            raise DamagedError(f"{definition.cve} has a state that is not there: {state!r}")
        fixed = versions.get(state, "")
        if not fixed and _FIXED.search(comment):
            continue  # fixed before the release, or without a fixed version
        rows.append(
            Affected(
                ecosystem=f"Ubuntu:{CODENAMES[definition.codename]}",
                name=package,
                intervals=(Interval(end=fixed),),
                stream=definition.stream or ("esm-apps" if "esm" in fixed else ""),
            )
        )
    if is_rejected(definition.title):
        return Advisory(definition.cve, "Ubuntu", withdrawn=True)
    first = " ".join(definition.title.partition("Update Instructions:")[0].split())
    return Advisory(
        id=definition.cve,
        source="Ubuntu",
        vulnerabilities=(definition.cve,),
        title=first if len(first) <= 240 else first[:239] + "…",
        severity=severities.of_word(definition.severity),
        vectors=definition.vectors,
        published=definition.published,
        affected=tuple(rows),
    )
