"""The store as its users hold it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Self

from sqlalchemy import select

from sidelight.store.costs import Costs
from sidelight.store.engine import BUSY_SECONDS, Database
from sidelight.store.findings import Findings
from sidelight.store.fleet import Fleet
from sidelight.store.looks import Looks
from sidelight.store.migrate import migrate
from sidelight.store.outbox import Outbox
from sidelight.store.publications import Publications
from sidelight.store.reevaluation import Reevaluation
from sidelight.store.rules import Rules
from sidelight.store.scans import Scans
from sidelight.store.schema import properties
from sidelight.store.singletons import Singletons
from sidelight.store.stages import Stages
from sidelight.store.statements import insert
from sidelight.store.sweeps import Sweeps
from sidelight.store.tidying import Tidying
from sidelight.store.totals import Totals
from sidelight.store.unattended import Unattended, unattended

if TYPE_CHECKING:
    from types import TracebackType

    from sidelight.store.clock import Clock

DEPLOYMENT = "deployment"


class Store:
    """One store, by URL: `sqlite:////path/to/file` or `postgresql://user@host/name`.

    Safe to share between threads; a forked process makes its own. Every method is one transaction
    and raises StoreError where the database refuses.
    """

    def __init__(
        self, url: str, *, clock: Clock | None = None, busy_seconds: float = BUSY_SECONDS
    ) -> None:
        """Connects at first use. Raises UsageError for what is no URL of a store.

        The `clock` is by default the one that all who use this store have in common.
        """
        self._database = Database(url, busy_seconds=busy_seconds)
        clock = clock or self._database.clock
        self.clock = clock
        self.where = self._database.where
        self.scans = Scans(self._database, clock)
        self.publications = Publications(self._database, clock)
        self.findings = Findings(self._database, clock)
        self.fleet = Fleet(self._database, clock)
        self.costs = Costs(self._database)
        self.looks = Looks(self._database, clock)
        self.stages = Stages(self._database)
        self.sweeps = Sweeps(self._database, clock)
        self.singletons = Singletons(self._database, clock)
        self.totals = Totals(self._database, clock)
        self.reevaluation = Reevaluation(self._database, clock)
        self.rules = Rules(self._database, clock)
        self.outbox = Outbox(self._database)
        self.tidying = Tidying(self._database, clock)

    def migrate(self) -> None:
        """Bring the tables up to date; safe when several processes do it at once."""
        migrate(self._database)

    def deployment(self) -> str:
        """The id that tells our snapshots from those of another Sidelight in the same account.

        Made once for a store and kept in it: two stores never have the same by accident.
        """
        made = {"name": DEPLOYMENT, "value": f"sidelight-{uuid.uuid4().hex[:12]}"}
        with self._database.write() as connection:
            connection.execute(insert(connection, properties).on_conflict_do_nothing(), made)
            query = select(properties.c.value).where(properties.c.name == DEPLOYMENT)
            return str(connection.execute(query).scalar_one())

    def unattended(self) -> list[Unattended]:
        """Regions and states whose scans no worker takes."""
        return unattended(self._database, self.clock)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
