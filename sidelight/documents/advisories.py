"""Documents of `sidelight advisories`, and the notes beside downloaded files."""

from typing import TypedDict


class FetchOutcomeDocument(TypedDict):
    """The result for one source. `error` is empty after success; `received` in bytes.

    `notes` are the failed tries before a successful one. `untried`: no request was sent.
    """

    source: str
    files: list[str]
    changed: int
    received: int
    requests: int
    error: str
    notes: list[str]
    untried: bool


class SourceDocument(TypedDict):
    """A source of advisories. `usual`: it is downloaded by default."""

    name: str
    format: str
    address: str
    checksum: str
    licence: str
    usual: bool


class SourceFileDocument(TypedDict):
    """A file that an advisory database was built from."""

    name: str
    sha256: str


class DatabaseInfoDocument(TypedDict):
    """The contents of an advisory database. `ecosystems`: numbers of affected ranges.

    `newest` is the latest change that any advisory gives, empty if none does.
    """

    path: str
    size: int
    sha256: str
    schema: int
    advisories: int
    vulnerabilities: int
    packages: int
    rows: int
    withdrawn: int
    problems: int
    newest: str
    ecosystems: dict[str, int]
    files: list[SourceFileDocument]


class DownloadNote(TypedDict):
    """The note `.NAME.json` beside a downloaded file: the publisher's headers, and its digest."""

    url: str
    size: int
    sha256: str
    etag: str
    last_modified: str
    revision: str


class PartialDownloadNote(TypedDict):
    """The note `.NAME.part.json` by which an interrupted download is resumed."""

    url: str
    validator: str
