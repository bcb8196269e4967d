"""The scan's row as a state machine: claimed by lease, advanced by compare-and-set.

What a change is stands in `transitions`; each method here is one transaction.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select, update

from sidelight.errors import StoreError
from sidelight.store.room import no_room
from sidelight.store.rows import LIVE, Event, Keeper, Scan, Snapshot, State
from sidelight.store.schema import events, intents, scans, snapshots
from sidelight.store.statements import insert, parts
from sidelight.store.transitions import (
    EARLY,
    SCAN_COLUMNS,
    by,
    change,
    claiming,
    held,
    note,
    release,
    remember,
    scan_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sidelight.store.clock import Clock
    from sidelight.store.engine import Database
    from sidelight.store.room import Full


NOTHING: Mapping[str, int] = MappingProxyType({})


class Scans:
    """The scans and their snapshots."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        instances: Iterable[tuple[str, str, str]],
        deployment: str,
        priority: int = 6,
        keeper: Keeper | None = None,
    ) -> list[Scan]:
        """New scans of (account, region, instance id), committed; those with a live one are left.

        A new scan is due for publication at once; with a `keeper` it is its own from the first.
        """
        now = self._clock()
        lease: dict[str, Any] = {}
        if keeper is not None:
            until = now + timedelta(seconds=keeper.seconds)
            lease = {"lease": keeper.token, "lease_until": until}
        made = [
            Scan(uuid.uuid4().hex, deployment, *place, State.NEW, now, now, now, priority=priority,
                 **lease)
            for place in instances
        ]  # fmt: skip
        if not made:
            return []
        with self._database.write() as connection:
            statement = insert(connection, scans).on_conflict_do_nothing()
            connection.execute(statement, [_values(scan) for scan in made])
            ids = [scan.id for scan in made]
            kept = set(_select_ids(connection, ids))
        return [scan for scan in made if scan.id in kept]

    def get(self, scan_id: str) -> Scan:
        """One scan. Raises StoreError where there is none."""
        with self._database.read() as connection:
            row = connection.execute(select(*SCAN_COLUMNS).where(scans.c.id == scan_id)).first()
        if row is None:
            raise StoreError("no such scan", where=scan_id)
        return scan_of(row)

    def select(self, ids: Collection[str] | None = None, *, live: bool = False) -> list[Scan]:
        """Scans, oldest first: these, or all; only live ones if asked."""
        query = select(*SCAN_COLUMNS).order_by(scans.c.created_at, scans.c.id)
        if live:
            query = query.where(scans.c.state.in_(LIVE))
        with self._database.read() as connection:
            if ids is None:
                return [scan_of(row) for row in connection.execute(query)]
            found: list[Scan] = []
            for part in parts(list(ids)):
                found += map(scan_of, connection.execute(query.where(scans.c.id.in_(part))))
        return sorted(found, key=lambda scan: (scan.created_at, scan.id))

    def counts(self) -> dict[State, int]:
        """How many scans are in each state."""
        query = select(scans.c.state, func.count()).group_by(scans.c.state)
        with self._database.read() as connection:
            return {State(state): count for state, count in connection.execute(query)}

    def claim(
        self,
        scan_id: str,
        states: Collection[State],
        seconds: float,
        keeper: Keeper | None = None,
    ) -> Scan | None:
        """Take the scan for `seconds`, or None: not in these states, not due, or held by another.

        Counts an attempt, so that a worker that dies without a word is counted as well. A `keeper`
        also takes what it keeps, and keeps what it takes.
        """
        now = self._clock()
        wanted = scans.c.id == scan_id, scans.c.state.in_(states), scans.c.next_at <= now + EARLY
        statement = claiming(now, seconds, *wanted, keeper=keeper)
        with self._database.write() as connection:
            row = connection.execute(statement).first()
        return None if row is None else scan_of(row)

    def renew(self, scan: Scan, seconds: float) -> bool:
        """The heartbeat: hold the scan for `seconds` from now. False where it is lost."""
        until = self._clock() + timedelta(seconds=seconds)
        statement = update(scans).where(*held(scan)).values(lease_until=until, publish_at=until)
        with self._database.write() as connection:
            return connection.execute(statement).rowcount == 1

    def keep(self, scan_id: str, keeper: Keeper) -> None:
        """The keeper's word while it waits between two stages; nothing where it lost the scan."""
        until = self._clock() + timedelta(seconds=keeper.seconds)
        self._kept(scan_id, keeper, lease_until=until, publish_at=until)

    def let_go(self, scan_id: str, keeper: Keeper) -> None:
        """The keeper goes on with it no more: it is any worker's, at once."""
        self._kept(scan_id, keeper, lease="", lease_until=None, publish_at=self._clock())

    def _kept(self, scan_id: str, keeper: Keeper, **values: Any) -> None:
        mine = scans.c.id == scan_id, scans.c.state.in_(LIVE), by(keeper)
        with self._database.write() as connection:
            connection.execute(update(scans).where(*mine).values(**values))

    def intend(
        self, scan: Scan, volumes: Mapping[str, int] = NOTHING, most: int = 0
    ) -> Full | None:
        """NEW to SNAPSHOTTING with the lease kept: committed before CreateSnapshots is called.

        `volumes`: each volume's id, and how many snapshots of it may be under way at once; `most`
        snapshots of ours may exist in the account and region. 0 is without limit. Where there is
        no room nothing is changed, and the answer says why.
        """
        with self._database.write() as connection:
            full = no_room(connection, scan, volumes, most)
            if full is not None:
                return full
            change(connection, scan, state=State.SNAPSHOTTING, entered_at=self._clock())
            rows = [{"scan": scan.id, "volume": volume} for volume in volumes]
            if rows:
                connection.execute(intents.insert(), rows)
        return None

    def advance(
        self, scan: Scan, to: State, *, delay: float = 0.0, made: Sequence[Snapshot] = ()
    ) -> None:
        """To the next state, with the lease given back. `made` are snapshots to remember."""
        now = self._clock()
        with self._database.write() as connection:
            remember(connection, made)
            release(connection, scan, now, now + timedelta(seconds=delay), to)

    def postpone(self, scan: Scan, delay: float, *, error: str = "", paced: bool = False) -> None:
        """The same state again after `delay` seconds.

        Without an `error` this was no attempt, and those before it count as before. `paced`: a
        budget or a cap is what it waits for.
        """
        now = self._clock()
        values = {"last_error": error} if error else {"attempts": max(0, scan.attempts - 1)}
        with self._database.write() as connection:
            due = now + timedelta(seconds=delay)
            waits = delay if paced else 0.0
            release(connection, scan, now, due, scan.state, paced=waits, **values)
            if error:
                note(connection, Event(scan.id, now, f"{scan.state}: failed", error))

    def fail(self, scan: Scan, reason: str, code: str) -> None:
        """To DELETING, and from there to FAILED. `code` is the reason in Inspector's words."""
        now = self._clock()
        values: dict[str, Any] = {"failure": reason, "failure_code": code, "last_error": reason}
        with self._database.write() as connection:
            release(connection, scan, now, now, State.DELETING, **values)
            note(connection, Event(scan.id, now, f"{scan.state}: given up", reason))

    def snapshots(self, scan_id: str) -> list[Snapshot]:
        """A scan's snapshots in the order of its disks."""
        query = select(snapshots).where(snapshots.c.scan == scan_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(snapshots.c.position, snapshots.c.id)).all()
        return [Snapshot(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public way

    def receipted(self, made: Sequence[Snapshot]) -> None:
        """Remember these snapshots as they are now: seen gone, or found by their tag."""
        if not made:
            return
        with self._database.write() as connection:
            remember(connection, made)

    def live_ids(self, ids: Collection[str]) -> set[str]:
        """Which of these scans are live: nobody but their own stages deletes their snapshots."""
        found: set[str] = set()
        with self._database.read() as connection:
            for part in parts(list(ids)):
                query = select(scans.c.id).where(scans.c.id.in_(part), scans.c.state.in_(LIVE))
                found.update(connection.execute(query).scalars())
        return found

    def note(self, scan_id: str, what: str, detail: str = "") -> None:
        """Write an event."""
        with self._database.write() as connection:
            note(connection, Event(scan_id, self._clock(), what, detail))

    def events(self, scan_id: str) -> list[Event]:
        """A scan's events in order."""
        columns = (events.c.scan, events.c.at, events.c.what, events.c.detail)
        query = select(*columns).where(events.c.scan == scan_id).order_by(events.c.id)
        with self._database.read() as connection:
            return [Event(*row) for row in connection.execute(query)]


def _values(scan: Scan) -> dict[str, Any]:
    values: dict[str, Any] = {column.name: getattr(scan, column.name) for column in SCAN_COLUMNS}
    return values | {"publish_at": scan.lease_until or scan.next_at, "publications": 0}


def _select_ids(connection: Connection, ids: list[str]) -> list[str]:
    found: list[str] = []
    for part in parts(ids):
        found += connection.execute(select(scans.c.id).where(scans.c.id.in_(part))).scalars()
    return found
