"""Bring a directory of sources up to date."""

from __future__ import annotations

import fcntl
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Lock
from typing import TYPE_CHECKING, NamedTuple

from sidelight.download import resolvers
from sidelight.download.cached_download import DownloadBudget, DownloadRequest, keep, replace
from sidelight.download.http import Client, UnreachableError
from sidelight.download.sources import SOURCES
from sidelight.errors import DownloadError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sidelight.download.sources import Source

AT_ONCE = 4  # sources; more would be impolite, since most belong to one publisher
SOURCE_SECONDS = 3600.0  # of one source: a slow one does not keep the others from being built
UNREACHABLE = 3  # unreachable sources, without any reached one, after which the rest is skipped


@dataclass(slots=True)
class FetchOutcome:
    """The result for one source: files kept, the number that changed, and bytes received.

    `error` is empty after success; then `files` are the files that are published now. `notes` are
    the failed tries before a successful one. `untried`: no request was sent, because no other
    source could be reached.
    """

    source: str
    files: list[Path] = field(default_factory=list)
    changed: int = 0
    received: int = 0
    requests: int = 0
    error: str = ""
    notes: tuple[str, ...] = ()
    untried: bool = False


class PublisherAccess(NamedTuple):
    """The access to publishers; `sleep` waits the given seconds before a retry."""

    client: Client
    sleep: Callable[[float], object] | None = None  # None: the run's own, which Ctrl-C ends


@dataclass(slots=True)
class Progress:
    """A run's progress, read by other threads while it runs. Sizes are in bytes, of this run."""

    received: int = 0
    expected: int = 0  # of the bodies that have begun, if their publishers announce the size
    done: int = 0  # sources
    running: list[str] = field(default_factory=list)  # sources' names
    lock: Lock = field(default_factory=Lock)

    def add(self, expected: int, received: int) -> None:
        """Add announced and received bytes."""
        with self.lock:
            self.expected += expected
            self.received += received


def chosen(names: Sequence[str]) -> list[Source]:
    """Return the sources of these names, or the usual ones. Raises UsageError for unknown names."""
    known = {source.name: source for source in SOURCES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"no such source: {', '.join(unknown)} (see --list)")
    return [known[name] for name in names] if names else [s for s in SOURCES if s.usual]


def fetch(  # noqa: PLR0913 - all but two by keyword, each with a default
    sources: Sequence[Source],
    into: Path,
    *,
    mirrors: Mapping[str, str] | None = None,
    network: PublisherAccess | None = None,
    report: Callable[[FetchOutcome], None] | None = None,
    progress: Progress | None = None,
) -> list[FetchOutcome]:
    """Bring `into`, with a directory per source, up to date with the published files.

    AT_ONCE sources are downloaded at once. `mirrors` are addresses to use instead of a source's
    own, by the source's name or by that address. If a source fails, its earlier files stay, and the
    others are downloaded; only if no source at all can be reached, the rest is skipped. `report` is
    called with each outcome at its end, in this thread. The outcomes are in the order of
    `sources`. Raises UsageError if another process downloads into the same directory.
    """
    run = _Run(network or PublisherAccess(Client()), mirrors or {}, into, progress or Progress())
    with _alone(into), ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(run.source, source) for source in sources]
        try:
            for future in as_completed(futures):
                if report is not None:
                    report(future.result())
        except BaseException:
            # Ctrl-C: running downloads end at their next chunk or try, and no other begins.
            run.stopped.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


def known_size(sources: Sequence[Source], into: Path) -> int:
    """Return the bytes of these sources' files that earlier runs have downloaded."""
    return sum(
        path.stat().st_size
        for source in sources
        for path in (into / source.name).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


class _Run:
    """The state that the sources of one run share."""

    def __init__(
        self, network: PublisherAccess, mirrors: Mapping[str, str], into: Path, progress: Progress
    ) -> None:
        self._network = network
        self._mirrors = mirrors
        self._into = into
        self._progress = progress
        self._is_reached = False
        self._unreachable: list[str] = []  # errors of sources without an answer at their address
        self.stopped = Event()

    def source(self, source: Source) -> FetchOutcome:
        """Download one source, unless no source can be reached."""
        outcome = FetchOutcome(source.name)
        if not self._is_reached and len(self._unreachable) >= UNREACHABLE:
            outcome.error, outcome.untried = self._unreachable[0], True
            return outcome
        base = self._mirrors.get(source.name) or self._mirrors.get(source.base) or source.base
        budget = DownloadBudget(
            self._sleep, watch=self._watch, ends=time.monotonic() + SOURCE_SECONDS
        )
        self._progress.running.append(source.name)
        try:
            index = partial(_index, self._network.client, budget)
            source_folder = resolvers.SourceFolder(
                source, base, self._into / source.name, index, _superseded
            )
            _source(source_folder, self._network.client, budget, outcome)
        except UnreachableError as error:
            outcome.error = str(error)
            self._unreachable.append(error.what)
        except DownloadError as error:
            outcome.error = str(error)
        self._is_reached |= budget.reached
        self._progress.running.remove(source.name)
        self._progress.done += 1
        outcome.received, outcome.requests = budget.received, budget.requests
        outcome.notes = tuple(budget.notes)
        return outcome

    def _watch(self, expected: int, received: int) -> None:
        self._check_stopped()
        self._progress.add(expected, received)

    def _sleep(self, seconds: float) -> None:
        (self._network.sleep or self.stopped.wait)(seconds)
        self._check_stopped()

    def _check_stopped(self) -> None:
        if self.stopped.is_set():
            raise DownloadError("interrupted")


@contextmanager
def _alone(into: Path) -> Iterator[None]:
    try:
        into.mkdir(parents=True, exist_ok=True)
        lock = (into / ".lock").open("wb")
    except OSError as error:
        raise UsageError(f"cannot be written to: {error.strerror}", where=str(into)) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError("another process fetches into it", where=str(into)) from error
        yield


def _source(
    source_folder: resolvers.SourceFolder,
    client: Client,
    budget: DownloadBudget,
    outcome: FetchOutcome,
) -> None:
    source_folder.folder.mkdir(parents=True, exist_ok=True)
    for wanted in resolvers.files(source_folder):
        outcome.changed += keep(client, wanted, budget)
        outcome.files.append(wanted.path)
    outcome.changed += _drop_others(source_folder.folder, set(outcome.files))


def _index(client: Client, budget: DownloadBudget, wanted: DownloadRequest) -> Path:
    keep(client, wanted, budget)
    return wanted.path


def _superseded(archive: Path, members: list[str]) -> None:
    replace(archive.with_name(f".{archive.name}.superseded"), "\n".join(members).encode())


def _drop_others(folder: Path, kept: set[Path]) -> int:
    """Remove downloaded files that are not published any more; return their number."""
    dropped = 0
    for note in sorted(folder.rglob(".*.json")):
        path = note.with_name(note.name[1:].removesuffix(".json"))
        if path in kept or path.name.startswith(".") or not path.is_file():
            continue
        path.unlink()
        note.unlink()
        dropped += 1
    return dropped
