"""The scan's row as a state machine: claimed by lease, advanced by compare-and-set.

Every change is one UPDATE whose WHERE names the state and the lease that the worker believes in,
so of two workers with the same message one gets the row and the other gets nothing. A worker that
was thought dead and comes back finds its lease gone (LeaseLostError) and changes nothing.

A worker holds a scan for a stage; a keeper (a command that does all stages itself) to its end, so
that no worker has it in between. When the keeper dies its last lease ends as a worker's does.
"""

from __future__ import annotations

import uuid
import zlib
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, and_, case, func, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from sidelight.errors import LeaseLostError, StoreError
from sidelight.store.rows import KEPT, LIVE, TERMINAL, Event, Keeper, Scan, Snapshot, State
from sidelight.store.schema import events, intents, scans, snapshots
from sidelight.store.stages import end_turn
from sidelight.store.statements import insert, parts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.sql.dml import ReturningUpdate

    from sidelight.store.clock import Clock
    from sidelight.store.engine import Database

# A message that nobody picked up is published again after this, then after twice that, and so on:
# a queue with a long backlog is not made longer by the same scans every minute.
GRACE = timedelta(seconds=60)
MOST_DOUBLINGS = 6
# Each so many scans that wait for a worker make the first wait one GRACE longer, up to fifteen.
BACKLOG, MOST_GRACES = 100, 15
# States in which a scan's snapshots may be pending.
MAKING = (State.SNAPSHOTTING, State.SNAPSHOTS_PENDING)
NOTHING: Mapping[str, int] = MappingProxyType({})

SCAN_COLUMNS = [
    scans.c[name]
    for name in (
        "id", "deployment", "account", "region", "instance", "state", "created_at", "entered_at",
        "next_at", "attempts", "lease", "lease_until", "failure", "failure_code", "last_error",
        "priority", "finished_at",
    )
]  # fmt: skip


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
        held: dict[str, Any] = {}
        if keeper is not None:
            until = now + timedelta(seconds=keeper.seconds)
            held = {"lease": keeper.token, "lease_until": until}
        made = [
            Scan(uuid.uuid4().hex, deployment, *place, State.NEW, now, now, now, priority=priority,
                 **held)
            for place in instances
        ]  # fmt: skip
        if not made:
            return []
        with self._database.write() as connection:
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            statement = dialect.insert(scans).on_conflict_do_nothing()
            connection.execute(statement, [_values(scan) for scan in made])
            ids = [scan.id for scan in made]
            kept = set(_select_ids(connection, ids))
        return [scan for scan in made if scan.id in kept]

    def get(self, scan_id: str) -> Scan:
        """One scan. Raises StoreError where there is none."""
        with self._database.read() as connection:
            row = connection.execute(_query().where(scans.c.id == scan_id)).first()
        if row is None:
            raise StoreError("no such scan", where=scan_id)
        return scan_of(row)

    def select(self, ids: Collection[str] | None = None, *, live: bool = False) -> list[Scan]:
        """Scans, oldest first: these, or all; only live ones if asked."""
        query = _query().order_by(scans.c.created_at, scans.c.id)
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
        wanted = scans.c.id == scan_id, scans.c.state.in_(states), scans.c.next_at <= now
        statement = claiming(now, seconds, *wanted, keeper=keeper)
        with self._database.write() as connection:
            row = connection.execute(statement).first()
        return None if row is None else scan_of(row)

    def renew(self, scan: Scan, seconds: float) -> bool:
        """The heartbeat: hold the scan for `seconds` from now. False where it is lost."""
        until = self._clock() + timedelta(seconds=seconds)
        statement = update(scans).where(*_held(scan)).values(lease_until=until, publish_at=until)
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
        mine = scans.c.id == scan_id, scans.c.state.in_(LIVE), _by(keeper)
        with self._database.write() as connection:
            connection.execute(update(scans).where(*mine).values(**values))

    def intend(self, scan: Scan, volumes: Mapping[str, int] = NOTHING, most: int = 0) -> str:
        """NEW to SNAPSHOTTING with the lease kept: committed before CreateSnapshots is called.

        `volumes`: each volume's id, and how many snapshots of it may be under way at once; `most`
        snapshots of ours may exist in the account and region. 0 is without limit. Where there is
        no room nothing is changed, and the answer says why; else it is empty.
        """
        with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                # Two scans must not both see the last room. In SQLite there is one writer.
                place = zlib.crc32(f"{scan.account}/{scan.region}".encode())
                connection.execute(text("SELECT pg_advisory_xact_lock(:place)"), {"place": place})
            full = _no_room(connection, scan, volumes, most)
            if full:
                return full
            change(connection, scan, state=State.SNAPSHOTTING, entered_at=self._clock())
            rows = [{"scan": scan.id, "volume": volume} for volume in volumes]
            if rows:
                connection.execute(intents.insert(), rows)
        return ""

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

        Without an `error` this was no failed attempt (a snapshot that is still pending). `paced`:
        a budget or a cap is what it waits for.
        """
        now = self._clock()
        values: dict[str, Any] = {"last_error": error} if error else {"attempts": 0}
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

    def due(self, limit: int) -> list[Scan]:
        """Live scans whose message was never sent, or is lost, or whose worker died.

        Where many are in one state their messages may well be in its queue yet: they are given
        more time, so that the queue is not made longer by what it holds already.
        """
        now = self._clock()
        with self._database.read() as connection:
            counts = {row.state: row.waiting for row in connection.execute(_live_counts())}
            states = [
                and_(
                    scans.c.state == state,
                    scans.c.publish_at <= now,
                    or_(
                        # A new scan has no message before the dispatcher has sent it.
                        scans.c.state == State.NEW.value,
                        scans.c.publications > 0,
                        scans.c.publish_at <= now - (_first_wait(count) - GRACE),
                    ),
                )
                for state, count in counts.items()
            ]
            if not states:
                return []
            query = _query().where(or_(*states))
            query = query.order_by(scans.c.priority, scans.c.publish_at).limit(limit)
            return [scan_of(row) for row in connection.execute(query)]

    def published(self, scan_ids: Sequence[str]) -> None:
        """These scans' messages were sent: the next ones not before their grace is over."""
        now = self._clock()
        waiting = select(func.count()).where(scans.c.state.in_(LIVE), scans.c.lease_until.is_(None))
        with self._database.write() as connection:
            first = _first_wait(connection.execute(waiting).scalar_one())
            waits = {n: now + first * 2**n for n in range(MOST_DOUBLINGS + 1)}
            publish_at = case(waits, value=scans.c.publications, else_=waits[MOST_DOUBLINGS])
            statement = update(scans).values(
                publications=scans.c.publications + 1, publish_at=publish_at
            )
            for part in parts(list(scan_ids)):
                # One that is not due any more was picked up already.
                due = statement.where(scans.c.id.in_(part), scans.c.publish_at <= now)
                connection.execute(due)

    def expedite(self) -> None:
        """The broker is new and empty: publish every live scan when it is due, without a grace."""
        now = self._clock()
        statement = (
            update(scans)
            .where(scans.c.state.in_(LIVE), free(now))
            .values(
                publish_at=case((scans.c.next_at > now, scans.c.next_at), else_=now),
                publications=1,
            )
        )
        with self._database.write() as connection:
            connection.execute(statement)

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


def free(now: datetime) -> ColumnElement[bool]:
    """Held by no worker, or by one whose lease has ended."""
    return or_(scans.c.lease_until.is_(None), scans.c.lease_until <= now)


def kept() -> ColumnElement[bool]:
    """Of a keeper, be it alive or not."""
    return scans.c.lease.startswith(KEPT)


def _by(keeper: Keeper) -> ColumnElement[bool]:
    return scans.c.lease.startswith(keeper.token)


def claiming(
    now: datetime, seconds: float, *wanted: ColumnElement[bool], keeper: Keeper | None = None
) -> ReturningUpdate[Any]:
    """Take the wanted scans that are free, under one lease; each counts an attempt.

    A keeper takes its own as well: each of its claims has a token of its own after the keeper's.
    """
    until = now + timedelta(seconds=seconds)
    token = uuid.uuid4().hex
    return (
        update(scans)
        .where(*wanted, free(now) if keeper is None else or_(free(now), _by(keeper)))
        .values(
            lease=token if keeper is None else f"{keeper.token}{token[:16]}",
            lease_until=until,
            # Should this worker die, the dispatcher publishes the scan again.
            publish_at=until,
            publications=0,
            attempts=scans.c.attempts + 1,
        )
        .returning(*SCAN_COLUMNS)
    )


def _live_counts() -> Select[Any]:
    query = select(scans.c.state, func.count().label("waiting"))
    return query.where(scans.c.state.in_(LIVE)).group_by(scans.c.state)


def _first_wait(waiting: int) -> timedelta:
    """How long a message may lie in a queue that so many wait in."""
    return GRACE * min(max(1, waiting // BACKLOG), MOST_GRACES)


def _no_room(connection: Connection, scan: Scan, volumes: Mapping[str, int], most: int) -> str:
    """Why no snapshot of these volumes can be begun now; empty where it can."""
    held = intents.join(scans, scans.c.id == intents.c.scan)
    if most > 0:
        query = (
            select(func.count())
            .select_from(held)
            .where(
                scans.c.state.in_(LIVE),
                scans.c.account == scan.account,
                scans.c.region == scan.region,
            )
        )
        there = connection.execute(query).scalar_one()
        # A machine with more volumes than there is room at all has its turn when it is alone.
        if there and there + len(volumes) > most:
            return f"{there} snapshots of {most} exist in {scan.account}/{scan.region}"
    making = (
        select(intents.c.volume, func.count())
        .select_from(held)
        .where(intents.c.volume.in_(list(volumes)), scans.c.state.in_(MAKING))
        .group_by(intents.c.volume)
    )
    for volume, count in connection.execute(making):
        if 0 < volumes[volume] <= count:
            return f"{count} snapshots of {volume} are under way"
    return ""


def change(connection: Connection, scan: Scan, **values: Any) -> None:
    """Compare and set: raises LeaseLostError unless the scan is still as the worker holds it."""
    result = connection.execute(update(scans).where(*_held(scan)).values(**values))
    if result.rowcount != 1:
        raise LeaseLostError(f"not held any more in {scan.state}", where=scan.id)


def release(  # noqa: PLR0913 - a row, a moment, and where it goes
    connection: Connection,
    scan: Scan,
    now: datetime,
    due: datetime,
    to: State,
    *,
    paced: float = 0.0,
    told: bool = True,
    **values: Any,
) -> None:
    """Give the lease back, in the next state or the same. Raises LeaseLostError.

    `paced` is how long it is set aside for a budget. `told`: its worker is to publish it. A keeper
    gives nothing back before the end; should it die, the scan is published when its lease ends.
    """
    values = {"state": to, "next_at": due} | values
    if to in TERMINAL or not scan.kept:
        values |= {
            "lease": "",
            "lease_until": None,
            # The worker publishes the next stage itself; this is for when it dies before that.
            "publish_at": due + GRACE,
            "publications": 0,
        }
    if to is not scan.state:
        values["entered_at"] = now
        values["attempts"] = 0
    if to in TERMINAL:
        values["finished_at"] = now
        connection.execute(intents.delete().where(intents.c.scan == scan.id))
    change(connection, scan, **values)
    end_turn(connection, scan, now, to, due, paced=paced, told=told)


def remember(connection: Connection, made: Sequence[Snapshot]) -> None:
    """Write snapshots, new or known."""
    if not made:
        return
    adding = insert(connection, snapshots)
    statement = adding.on_conflict_do_update(
        index_elements=["id"],
        set_={
            "state": adding.excluded.state,
            "deleted_at": adding.excluded.deleted_at,
            "receipt": adding.excluded.receipt,
        },
    )
    for snapshot in made:
        values = {column.name: getattr(snapshot, column.name) for column in snapshots.c}
        connection.execute(statement, values)


def note(connection: Connection, event: Event) -> None:
    """Write an event."""
    connection.execute(
        events.insert(),
        {"scan": event.scan, "at": event.at, "what": event.what, "detail": event.detail},
    )


def _held(scan: Scan) -> tuple[Any, ...]:
    if not scan.lease:
        raise LeaseLostError("never claimed", where=scan.id)
    return (and_(scans.c.id == scan.id, scans.c.lease == scan.lease, scans.c.state == scan.state),)


def _values(scan: Scan) -> dict[str, Any]:
    values: dict[str, Any] = {column.name: getattr(scan, column.name) for column in SCAN_COLUMNS}
    return values | {"publish_at": scan.lease_until or scan.next_at, "publications": 0}


def scan_of(row: Row[Any]) -> Scan:
    """A row of SCAN_COLUMNS."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public way
    values["state"] = State(values["state"])
    return Scan(**values)


def _select_ids(connection: Connection, ids: list[str]) -> list[str]:
    found: list[str] = []
    for part in parts(ids):
        found += connection.execute(select(scans.c.id).where(scans.c.id.in_(part))).scalars()
    return found


def _query() -> Select[Any]:
    return select(*SCAN_COLUMNS)
