"""NVD's vulnerabilities as JSON, version 2.0: the feed of a year, or a page of the API.

`{"format": "NVD_CVE", …, "vulnerabilities": [{"cve": {"id", "vulnStatus", "metrics":
{"cvssMetricV31": [{"source", "cvssData": {"vectorString"}}], …}}}]}`
(nvd.nist.gov/developers/vulnerabilities). NVD names affected products by CPE names, which no
package manager has: only the vectors are read, NVD's own and those of other sources. A year is
about 200 MB in one document, so entries are decoded one at a time.
"""

from __future__ import annotations

import io
import json
from typing import IO, TYPE_CHECKING

from sidelight.advisories.feeds.formats.errata import CVE
from sidelight.advisories.feeds.formats.shape import items, mapping, once, text
from sidelight.advisories.rating.cvss import version_of
from sidelight.errors import DamagedError
from sidelight.model import Advisory, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEAD = 4096  # bytes at the beginning of a document that identify its format
_FORMAT, _LIST = '"NVD_CVE"', '"vulnerabilities"'
_CHUNK = 1 << 17  # characters
_MAX_ENTRY = 16 << 20  # characters of one vulnerability
_SPACE = " \t\r\n"
_METRICS = ("cvssMetricV31", "cvssMetricV30", "cvssMetricV40", "cvssMetricV2")
# The source of a score, by its address in NVD.
_SOURCES = {
    "nvd@nist.gov": "NVD",
    "134c704f-9b21-4f2e-abb3-91b3d0d1aeb2": "CISA",
    "security-advisories@github.com": "GitHub",
    "secalert@redhat.com": "Red Hat",
}


def recognises(head: bytes) -> bool:
    """Return whether a document with this beginning is NVD's."""
    return _FORMAT.encode() in head


def parse(stream: IO[bytes]) -> Iterator[Advisory | VulnerabilityFact]:
    """Yield one fact per source of a score; a rejected vulnerability is a withdrawn advisory.

    Raises DamagedError for a truncated or empty document, and a duplicate vulnerability.
    """
    seen: set[str] = set()
    lines = io.TextIOWrapper(stream, encoding="utf-8")
    try:
        for entry in _entries(lines):
            cve = mapping(entry, "cve")
            name = text(cve, "id")
            if not CVE.fullmatch(name) or name in seen:
                what = f"vulnerability {len(seen) + 1} is not a CVE, or one again: {name[:40]!r}"
                raise DamagedError(what)
            seen.add(name)
            if text(cve, "vulnStatus") == "Rejected":
                yield Advisory(name, "NVD", withdrawn=True)
            else:
                yield from _facts(cve)
    except UnicodeDecodeError as error:
        raise DamagedError(f"not UTF-8: {error}") from error
    finally:
        lines.detach()


def _entries(stream: io.TextIOBase) -> Iterator[dict[str, object]]:
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
            raise DamagedError(f"vulnerability {number + 1} is not an object")
        yield entry
        number += 1
        buffer = _behind(buffer[end:], stream)
    document = _around(head[:start] + "[" + buffer + stream.read(_CHUNK))
    if not number and document.get("totalResults") != 0:
        raise DamagedError("no vulnerability in it, and it does not say so")


def _behind(buffer: str, stream: io.TextIOBase) -> str:
    """Return the text behind an entry, without the comma before the next entry."""
    while not (rest := buffer.lstrip(_SPACE).removeprefix(",").lstrip(_SPACE)):
        buffer += stream.read(_CHUNK) or "]"  # at the end: the document is not valid JSON
    return rest


def _around(entries: str) -> dict[str, object]:
    """Decode the document without its entries: it must be valid JSON without them."""
    try:
        return dict(json.loads(entries, object_pairs_hook=once))
    except ValueError as error:
        raise DamagedError(f"not JSON, or cut off: {error}") from error


def _facts(cve: Mapping[str, object]) -> Iterator[VulnerabilityFact]:
    metrics = mapping(cve, "metrics")
    vectors_by_source: dict[str, list[str]] = {}
    for name in _METRICS:
        for metric in items(metrics, name):
            vector = text(mapping(metric, "cvssData"), "vectorString")
            source = text(metric, "source")
            if version_of(vector):
                vectors_by_source.setdefault(_SOURCES.get(source, source), []).append(vector)
    for source, vectors in vectors_by_source.items():
        yield VulnerabilityFact(text(cve, "id"), source, vectors=tuple(dict.fromkeys(vectors)))
