"""Resolve a source to the files that are published now.

file            one file, at a known address
repomd          an rpm repository: repodata/repomd.xml names updateinfo and its digest
mirrors         the same, at the first address of a mirror.list
amazon-extras   Amazon Linux 2's catalogue of topics: one `mirrors` each
csaf-archive    archive_latest.txt names the archive of CSAF documents; changes.csv lists documents
                changed since, which are fetched one by one; deletions.csv withdrawn documents
msrc-months     Microsoft's list of months with their last changes, and one CVRF document a month
"""

from __future__ import annotations

import csv
import json
import re
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse as parse_xml

from sidelight.download.cached_download import Digest, DownloadRequest
from sidelight.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sidelight.download.sources import Source

_INDEX = 64 << 20  # bytes of an index, as opposed to a feed
_DOCUMENT = 64 << 20  # bytes of one CSAF document
MAX_CHANGES = 20_000  # single documents of one source; with more, wait for its next archive
_ALGORITHMS = {"sha": "sha1", "sha1": "sha1", "sha224": "sha224", "sha256": "sha256",
               "sha384": "sha384", "sha512": "sha512", "md5": "md5"}  # fmt: skip
_ARCHIVE = re.compile(r"\w+_(\d{4}-\d\d-\d\d)\.tar\.(?:zst|xz|gz|bz2)")
_MONTH = re.compile(r"20\d\d-[A-Z][a-z]{2}(?:-[A-Z])?")
MAX_MONTHS = 1_000
_DOCUMENT_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*\.json")


class SourceFolder(NamedTuple):
    """The address and the directory of a source's files. `kept` downloads an index of other files.

    `superseded` is called with an archive and its members that do not count any more.
    """

    source: Source
    base: str
    folder: Path
    kept: Callable[[DownloadRequest], Path]
    superseded: Callable[[Path, list[str]], None]

    def url(self, path: str) -> str:
        """Return the address of a path of the source."""
        return f"{self.base.rstrip('/')}/{quote(path)}"

    def hidden(self, name: str) -> Path:
        """Return the path of an index: hidden, so that a build does not read it as a feed."""
        return self.folder / f".{name}"


def files(place: SourceFolder) -> Iterator[DownloadRequest]:
    """Yield the files of a source; the caller must download each before it takes the next."""
    kinds = {
        "file": _file, "repomd": _repomd, "mirrors": _mirrors, "amazon-extras": _extras,
        "csaf-archive": _archive, "msrc-months": _months,
    }  # fmt: skip
    return kinds[place.source.kind](place)


def _file(place: SourceFolder) -> Iterator[DownloadRequest]:
    path = place.source.file
    name = path.rpartition("/")[2]
    if "." not in name:
        name += ".json"  # the address has no ending, and a build needs one
    yield DownloadRequest(place.url(path), place.folder / name)


def _repomd(place: SourceFolder) -> Iterator[DownloadRequest]:
    yield from _repository(place, place.url(place.source.file), "updateinfo")


def _mirrors(
    place: SourceFolder, path: str = "", name: str = "updateinfo"
) -> Iterator[DownloadRequest]:
    url = place.url(path or place.source.file)
    listed = place.kept(DownloadRequest(url, place.hidden(f"{name}.mirrors"), limit=_INDEX))
    lines = listed.read_text("utf-8", "replace").split()
    if not lines or urlsplit(lines[0]).scheme not in {"http", "https"}:
        raise DownloadError("a mirror list without an address", where=url)
    # The list names its own host; a configured mirror replaces it.
    address = lines[0].replace(place.source.base, place.base, 1)
    if url.startswith("https:"):
        # The index behind it has the digests: it is no less protected than the list.
        address = re.sub("^http:", "https:", address)
    yield from _repository(place, address, name, named_by=url)


def _extras(place: SourceFolder) -> Iterator[DownloadRequest]:
    url = place.url(place.source.file)
    catalogue = place.kept(DownloadRequest(url, place.hidden("extras-catalog.json"), limit=_INDEX))
    try:
        topics = [str(topic["n"]) for topic in json.loads(catalogue.read_bytes())["topics"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError("no catalogue of topics", where=url) from error
    for topic in topics:
        if re.fullmatch(r"[\w.-]+", topic):
            path = f"2/extras/{topic}/latest/x86_64/mirror.list"
            yield from _mirrors(place, path, f"{topic}-updateinfo")


def _repository(
    place: SourceFolder, base: str, name: str, named_by: str = ""
) -> Iterator[DownloadRequest]:
    """Yield the updateinfo of a repository; nothing if it has none, as some of Amazon's extras."""
    base = base.rstrip("/") + "/"
    url = urljoin(base, "repodata/repomd.xml")
    index = place.hidden(f"{name}.repomd.xml")
    path = place.kept(DownloadRequest(url, index, limit=_INDEX, named_by=named_by))
    with path.open("rb") as stream:
        entry = updateinfo(stream, url)
    if entry is not None:
        location, digest = entry
        ending = location.partition("updateinfo")[2] or ".xml"
        path = place.folder / f"{name}{ending}"
        yield DownloadRequest(urljoin(base, location), path, digest, named_by=named_by)


def updateinfo(stream: IO[bytes], where: str) -> tuple[str, Digest] | None:
    """Return the location and the digest of updateinfo in a repomd.xml, None if it has none.

    Raises DownloadError if it is not such an index, or a location is outside of the repository.
    """
    try:
        root: Any = parse_xml(stream, forbid_dtd=True).getroot()
    except (ParseError, DefusedXmlException) as error:
        raise DownloadError(f"no repository index: {error}", where=where) from error
    if root is None or not str(root.tag).endswith("repomd"):
        raise DownloadError("no repository index", where=where)
    for data in root.iterfind("{*}data"):
        if data.get("type") != "updateinfo":
            continue
        location, checksum = data.find("{*}location"), data.find("{*}checksum")
        href = "" if location is None else location.get("href", "")
        kind = "" if checksum is None else checksum.get("type", "")
        is_path = len(href) < 1024 and re.fullmatch(r"repodata/[\w.-]*updateinfo[\w.-]*", href)
        if not is_path or kind not in _ALGORITHMS:
            raise DownloadError(
                f"updateinfo at {href[:200]!r}, with a {kind!r} digest", where=where
            )
        return href, Digest(_ALGORITHMS[kind], (checksum.text or "").strip().lower())
    return None


def _archive(place: SourceFolder) -> Iterator[DownloadRequest]:
    url = place.url(place.source.file)
    latest = place.kept(DownloadRequest(url, place.hidden("archive_latest.txt"), limit=_INDEX))
    name = latest.read_text("utf-8", "replace").strip()
    match = _ARCHIVE.fullmatch(name)
    if match is None:
        raise DownloadError(f"names no archive but {name[:80]!r}", where=url)
    checksum = place.kept(
        DownloadRequest(place.url(f"{name}.sha256"), place.hidden("archive.sha256"))
    )
    digest = checksum.read_text("utf-8", "replace").split()[:1]
    if not digest or not re.fullmatch(r"[0-9a-fA-F]{64}", digest[0]):
        raise DownloadError("no SHA-256", where=place.url(f"{name}.sha256"))
    archive = place.folder / f"documents{name[name.index('.tar') :]}"
    yield DownloadRequest(place.url(name), archive, Digest("sha256", digest[0].lower()))
    changed = _since(place, "changes.csv", match[1])
    deleted = _since(place, "deletions.csv", match[1])
    if len(changed) > MAX_CHANGES:
        raise DownloadError(f"{len(changed)} documents changed since {match[1]}", where=url)
    place.superseded(archive, sorted({*changed, *deleted}))
    for path in changed:
        if path not in deleted:
            file = place.folder / "changes" / path.replace("/", "-")
            yield DownloadRequest(place.url(path), file, limit=_DOCUMENT, revision=changed[path])


def _months(place: SourceFolder) -> Iterator[DownloadRequest]:
    url = place.url(place.source.file)
    listed = place.kept(DownloadRequest(url, place.hidden("updates.json"), limit=_INDEX))
    try:
        months = {str(item["ID"]): str(item["CurrentReleaseDate"])
                  for item in json.loads(listed.read_bytes())["value"]}  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError("no list of months", where=url) from error
    if not months or len(months) > MAX_MONTHS:
        raise DownloadError(f"a list of {len(months)} months", where=url)
    folder = place.source.file.rpartition("/")[0]
    for month, changed in sorted(months.items()):
        if _MONTH.fullmatch(month):
            path = place.folder / f"{month}.xml"
            yield DownloadRequest(place.url(f"{folder}/cvrf/{month}"), path, revision=changed)


def _since(place: SourceFolder, name: str, day: str) -> dict[str, str]:
    """Return an index's documents that changed on a day or later, with their times."""
    path = place.kept(DownloadRequest(place.url(name), place.hidden(name), limit=_INDEX))
    times: dict[str, str] = {}
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        for row in csv.reader(stream):
            if len(row) == 2 and _DOCUMENT_PATH.fullmatch(row[0]) and ".." not in row[0]:
                if row[1][: len(day)] >= day:
                    times[row[0]] = row[1]
            elif row:
                raise DownloadError(f"a line {row!r:.80}", where=place.url(name))
    return times
