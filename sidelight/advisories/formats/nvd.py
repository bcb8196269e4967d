"""NVD's vulnerabilities as JSON, version 2.0: the feed of a year, or a page of the API.

`{"format": "NVD_CVE", …, "vulnerabilities": [{"cve": {"id", "vulnStatus", "metrics":
{"cvssMetricV31": [{"source", "cvssData": {"vectorString"}}], …}}}]}`
(nvd.nist.gov/developers/vulnerabilities). What a vulnerability is in is told by CPE names, which no
package manager has: only the vectors are taken, NVD's own and those of others that it passes on. A
year is some 200 MB in one document, so entries are decoded one at a time.
"""

from __future__ import annotations

import io
import json
from typing import IO, TYPE_CHECKING, Any

from sidelight.advisories.cvss import version_of
from sidelight.advisories.formats.errata import CVE
from sidelight.advisories.formats.shape import items, mapping, once, text
from sidelight.errors import DamagedError
from sidelight.model import VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = 4096  # bytes in which a document tells its format
_FORMAT, _LIST = '"NVD_CVE"', '"vulnerabilities"'
_CHUNK = 1 << 17  # characters
_MAX_ENTRY = 16 << 20  # characters of one vulnerability
_SPACE = " \t\r\n"
_METRICS = ("cvssMetricV31", "cvssMetricV30", "cvssMetricV40", "cvssMetricV2")
# Whoever scored it, by the address under which NVD knows them.
_SOURCES = {
    "nvd@nist.gov": "NVD",
    "134c704f-9b21-4f2e-abb3-91b3d0d1aeb2": "CISA",
    "security-advisories@github.com": "GitHub",
    "secalert@redhat.com": "Red Hat",
}


def recognises(head: bytes) -> bool:
    """Whether a document that begins so is NVD's."""
    return _FORMAT.encode() in head


def parse(stream: IO[bytes]) -> Iterator[VulnerabilityFact]:
    """A fact for each who scored a vulnerability.

    Raises DamagedError for what is cut off, none at all, and a vulnerability that stands twice.
    """
    seen: set[str] = set()
    lines = io.TextIOWrapper(stream, encoding="utf-8")
    try:
        for entry in _entries(lines):
            cve = mapping(entry, "cve")
            name = text(cve, "id")
            if not CVE.fullmatch(name) or name in seen:
                what = f"vulnerability {len(seen) + 1} is no CVE, or one again: {name[:40]!r}"
                raise DamagedError(what)
            seen.add(name)
            yield from _facts(cve)
    except UnicodeDecodeError as error:
        raise DamagedError(f"not UTF-8: {error}") from error
    finally:
        lines.detach()


def _entries(stream: io.TextIOBase) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder(object_pairs_hook=once)
    head = stream.read(_CHUNK)
    start = head.find("[", head.find(_LIST)) if _LIST in head else -1
    if start < 0:
        raise DamagedError(f"no list {_LIST} in it")
    buffer, number = head[start + 1 :].lstrip(_SPACE), 0
    while not buffer.startswith("]"):
        try:
            entry, end = decoder.raw_decode(buffer)
        except (ValueError, RecursionError) as error:
            more = stream.read(max(_CHUNK, len(buffer))) if len(buffer) < _MAX_ENTRY else ""
            if not more:
                what = f"vulnerability {number + 1} is cut off, no JSON or too long: {error}"
                raise DamagedError(what) from error
            buffer += more
            continue
        if not isinstance(entry, dict):
            raise DamagedError(f"vulnerability {number + 1} is no object")
        yield entry
        number += 1
        buffer = _behind(buffer[end:], stream)
    document = _around(head[:start] + "[" + buffer + stream.read(_CHUNK))
    if not number and document.get("totalResults") != 0:
        raise DamagedError("no vulnerability in it, and it does not say so")


def _behind(buffer: str, stream: io.TextIOBase) -> str:
    """What follows an entry, without the comma that parts it from the next."""
    while not (rest := buffer.lstrip(_SPACE).removeprefix(",").lstrip(_SPACE)):
        buffer += stream.read(_CHUNK) or "]"  # which nothing follows: it is no JSON
    return rest


def _around(entries: str) -> dict[str, Any]:
    """The fields of the document, whose entries were taken out: it has to be one without them."""
    try:
        return dict(json.loads(entries, object_pairs_hook=once))
    except ValueError as error:
        raise DamagedError(f"not JSON, or cut off: {error}") from error


def _facts(cve: dict[str, Any]) -> Iterator[VulnerabilityFact]:
    if text(cve, "vulnStatus") == "Rejected":
        return
    metrics = mapping(cve, "metrics")
    said: dict[str, list[str]] = {}
    for name in _METRICS:
        for metric in items(metrics, name):
            vector = text(mapping(metric, "cvssData"), "vectorString")
            source = text(metric, "source")
            if version_of(vector):
                said.setdefault(_SOURCES.get(source, source), []).append(vector)
    for source, vectors in said.items():
        yield VulnerabilityFact(text(cve, "id"), source, vectors=tuple(dict.fromkeys(vectors)))
