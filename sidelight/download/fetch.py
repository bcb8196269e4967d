"""Bringing a directory of sources up to date."""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sidelight.download import chains
from sidelight.download.http import Client
from sidelight.download.resource import Budget, Wanted, keep, replace
from sidelight.download.sources import SOURCES
from sidelight.errors import DownloadError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sidelight.download.sources import Source


@dataclass(slots=True)
class Outcome:
    """What came of one source: files kept, how many of them changed, bytes received.

    `error` is empty where all went well; then the files in `files` are what is published now.
    `notes` are the tries that failed before one that did not.
    """

    source: str
    files: list[Path] = field(default_factory=list)
    changed: int = 0
    received: int = 0
    requests: int = 0
    error: str = ""
    notes: tuple[str, ...] = ()


class Network(NamedTuple):
    """How publishers are asked; `sleep` waits so many seconds before a new try."""

    client: Client
    sleep: Callable[[float], None] = time.sleep


def chosen(names: Sequence[str]) -> list[Source]:
    """The sources of these names, or the usual ones. Raises UsageError for a name of none."""
    known = {source.name: source for source in SOURCES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"no such source: {', '.join(unknown)} (see --list)")
    return [known[name] for name in names] if names else [s for s in SOURCES if s.usual]


def fetch(
    sources: Sequence[Source],
    into: Path,
    *,
    mirrors: Mapping[str, str] | None = None,
    network: Network | None = None,
    progress: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Bring `into`, a directory a source, up to date with what is published.

    `mirrors` are addresses to ask instead of a source's own, by the source's name or by that
    address. One source's failure leaves what was there of it, and the others are fetched. Raises
    UsageError where another process fetches into the same directory.
    """
    network, told = network or Network(Client()), mirrors or {}
    outcomes: list[Outcome] = []
    with _alone(into):
        for source in sources:
            budget = Budget(network.sleep)
            base = told.get(source.name) or told.get(source.base) or source.base
            outcome = Outcome(source.name)
            try:
                _source(chains.Place(
                    source, base, into / source.name,
                    partial(_index, network.client, budget), _superseded,
                ), network.client, budget, outcome)  # fmt: skip
            except DownloadError as error:
                outcome.error = str(error)
            outcome.received, outcome.requests = budget.received, budget.requests
            outcome.notes = tuple(budget.notes)
            outcomes.append(outcome)
            if progress is not None:
                progress(outcome)
    return outcomes


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


def _source(place: chains.Place, client: Client, budget: Budget, outcome: Outcome) -> None:
    place.folder.mkdir(parents=True, exist_ok=True)
    for wanted in chains.files(place):
        outcome.changed += keep(client, wanted, budget)
        outcome.files.append(wanted.path)
    outcome.changed += _drop_others(place.folder, set(outcome.files))


def _index(client: Client, budget: Budget, wanted: Wanted) -> Path:
    keep(client, wanted, budget)
    return wanted.path


def _superseded(archive: Path, members: list[str]) -> None:
    replace(archive.with_name(f".{archive.name}.superseded"), "\n".join(members).encode())


def _drop_others(folder: Path, kept: set[Path]) -> int:
    """Remove what was downloaded before and is not published any more; how many files."""
    dropped = 0
    for note in sorted(folder.rglob(".*.json")):
        path = note.with_name(note.name[1:].removesuffix(".json"))
        if path in kept or path.name.startswith(".") or not path.is_file():
            continue
        path.unlink()
        note.unlink()
        dropped += 1
    return dropped
