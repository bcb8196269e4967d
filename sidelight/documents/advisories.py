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

    `newest` is the latest change that any advisory gives, empty if none does. `update` is the state
    of `advisories update`; null for a database that was made or put in place otherwise. `exploited`
    and `scored` are the vulnerabilities of CISA's catalogue and with an EPSS score: 0 without such
    a feed, null for a database that an older version built.
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
    exploited: int | None
    scored: int | None
    ecosystems: dict[str, int]
    files: list[SourceFileDocument]
    update: "UpdateStateDocument | None"


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


class FeedStateDocument(TypedDict):
    """One feed of a database. Times are ISO 8601, empty for never.

    `confirmed_at`: when its publisher last confirmed it. `error`: the failure of the last update.
    `is_kept`: its newest edition was refused, and the database has the one before.
    """

    name: str
    confirmed_at: str
    changed_at: str
    records: int
    error: str
    is_kept: bool


class UpdateStateDocument(TypedDict):
    """The file beside an advisory database: when it was built, and its feeds.

    `sha256` is of the database's contents: the state of another database does not count.
    `checked_at`: the last update, also one that changed nothing. `inputs`: a digest of the feeds'
    files. `bundle`: the address of the bundle that it came from.
    """

    sha256: str
    built_at: str
    checked_at: str
    inputs: str
    bundle: str
    feeds: list[FeedStateDocument]


class AdvisoryUpdateDocument(TypedDict):
    """The result of an update. `changed`: the database was replaced."""

    path: str
    changed: bool
    sha256: str
    built_at: str
    checked_at: str
    bundle: str
    feeds: list[FeedStateDocument]


class BundleManifestDocument(TypedDict):
    """The signed manifest of a bundle. Sizes are in bytes.

    `sha256` identifies the database; `file_sha256` is of its whole file.
    """

    sha256: str
    built_at: str
    checked_at: str
    schema: int
    newest: str
    size: int
    file_sha256: str
    payload_size: int
    payload_sha256: str
    feeds: list[FeedStateDocument]
