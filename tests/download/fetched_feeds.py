"""A directory of feeds, fetched from a publisher on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.download import FetchOutcome, chosen, fetch
from sidelight.download.fetch import PublisherAccess
from sidelight.download.http import Client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.publisher import Publisher


class Fleet:
    """Some sources at the publisher, and a directory for them."""

    def __init__(self, publisher: Publisher, folder: Path) -> None:
        self.publisher = publisher
        self.folder = folder / "feeds"

    def fetch(self, *names: str) -> list[FetchOutcome]:
        sources = chosen(names)
        network = PublisherAccess(Client(silence=0.2), lambda _seconds: None)
        mirrors = {source.base: self.publisher.base for source in sources}
        return fetch(sources, self.folder, mirrors=mirrors, network=network)

    def advisories(self) -> list[str]:
        out = self.folder.with_name("db")
        build([self.folder], out)
        with AdvisoryDatabase.open(out) as database:
            return [database.advisory(n).id for n in range(database.info().advisories)]
