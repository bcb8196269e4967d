"""The scan's row as a state machine: claimed by lease, advanced by compare-and-set.

`transitions` defines the changes; each method here is one transaction.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, func, select, update

from sidelight.errors import StoreError
from sidelight.model import (
    LIVE,
    WAITING,
    Event,
    Keeper,
    Scan,
    ScanSource,
    Snapshot,
    State,
    Transition,
)
from sidelight.store.base.account_status import not_enabled
from sidelight.store.base.column_types import storable
from sidelight.store.base.dialect import adding_new, parts
from sidelight.store.base.schema import events, intents, scan_sources, scans, snapshots
from sidelight.store.scans.scan_sources import row_of
from sidelight.store.scans.snapshot_quota import Caps, no_room
from sidelight.store.scans.transitions import (
    SCAN_COLUMNS,
    by_keeper,
    change,
    changing,
    check,
    claim_of,
    claiming,
    held,
    note,
    release,
    remember,
    scan_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Select
    from sqlalchemy.sql.dml import ReturningUpdate

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database
    from sidelight.store.scans.snapshot_quota import QuotaExceeded


NOTHING: Mapping[str, int] = MappingProxyType({})
NO_SOURCES: Mapping[tuple[str, str], ScanSource] = MappingProxyType({})


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
        sources: Mapping[tuple[str, str], ScanSource] = NO_SOURCES,
    ) -> list[Scan]:
        """Commit new scans of (account, region, instance id); skip instances with a live scan.

        Accounts that were disabled since their instances were found to be due get none.
        A new scan is due for publication at once. A given `keeper` holds it from the start.
        `sources` are those of scans that create no snapshots, by account and instance.
        """
        now = self._clock()
        lease: dict[str, Any] = {}
        if keeper is not None:
            until = now + timedelta(seconds=keeper.seconds)
            lease = {"lease": keeper.token, "lease_until": until}
        new_scans = [
            Scan(uuid.uuid4().hex, deployment, account, region, instance, State.NEW, now, now, now,
                 priority=priority, source=_kind_of(sources.get((account, instance))), **lease)
            for account, region, instance in instances
        ]  # fmt: skip
        if not new_scans:
            return []
        with self._database.write() as connection:
            closed = not_enabled(connection, {scan.account for scan in new_scans})
            new_scans = [scan for scan in new_scans if scan.account not in closed]
            if not new_scans:
                return []
            connection.execute(adding_new(connection, scans), [_values(scan) for scan in new_scans])
            ids = [scan.id for scan in new_scans]
            inserted_ids = set(_select_ids(connection, ids))
            rows = [
                row_of(scan.id, sources[scan.account, scan.instance])
                for scan in new_scans
                if scan.source and scan.id in inserted_ids
            ]
            if rows:
                connection.execute(scan_sources.insert(), rows)
        return [scan for scan in new_scans if scan.id in inserted_ids]

    def get(self, scan_id: str) -> Scan:
        """Return one scan. Raises StoreError if it does not exist."""
        with self._database.read() as connection:
            row = connection.execute(_one(), {"wanted": scan_id}).mappings().first()
        if row is None:
            raise StoreError("no such scan", where=scan_id)
        return scan_of(row)

    def select(self, ids: Collection[str] | None = None, *, live: bool = False) -> list[Scan]:
        """Return scans, oldest first: those with `ids`, or all; only live ones if `live`."""
        query = select(*SCAN_COLUMNS).order_by(scans.c.created_at, scans.c.id)
        if live:
            query = query.where(scans.c.state.in_(LIVE))
        with self._database.read() as connection:
            if ids is None:
                return [scan_of(row) for row in connection.execute(query).mappings()]
            selected: list[Scan] = []
            for part in parts(list(ids)):
                rows = connection.execute(query.where(scans.c.id.in_(part))).mappings()
                selected += map(scan_of, rows)
        return sorted(selected, key=lambda scan: (scan.created_at, scan.id))

    def counts(self) -> dict[State, int]:
        """Return the number of scans in each state."""
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
        """Claim the scan for `seconds`; None if its state differs, it is not due, or it is held.

        A claim counts an attempt, so that a worker that dies without a report is counted too. A
        `keeper` can also claim a scan that it keeps, and it keeps each scan that it claims.
        """
        now = self._clock()
        values = {"wanted": scan_id, "states": list(states), **claim_of(now, seconds, keeper)}
        with self._database.write() as connection:
            statement = _claiming_one(kept=keeper is not None)
            row = connection.execute(statement, values).mappings().first()
        return None if row is None else scan_of(row)

    def renew(self, scan: Scan, seconds: float) -> bool:
        """The heartbeat: hold the scan for `seconds` from now. False if the lease is lost."""
        until = self._clock() + timedelta(seconds=seconds)
        values = {"lease_until": until, "publish_at": until} | held(scan)
        with self._database.write() as connection:
            return connection.execute(changing(), values).rowcount == 1

    def keep(self, scan_id: str, keeper: Keeper) -> None:
        """Renew the keeper's lease between two stages; does nothing if it lost the scan."""
        until = self._clock() + timedelta(seconds=keeper.seconds)
        self._kept(scan_id, keeper, lease_until=until, publish_at=until)

    def let_go(self, scan_id: str, keeper: Keeper) -> None:
        """End the keeper's hold on the scan, so that any worker can claim it at once."""
        self._kept(scan_id, keeper, lease="", lease_until=None, publish_at=self._clock())

    def _kept(self, scan_id: str, keeper: Keeper, **values: Any) -> None:
        kept_scan = scans.c.id == scan_id, scans.c.state.in_(LIVE), by_keeper()
        statement = update(scans).where(*kept_scan).values(**values)
        with self._database.write() as connection:
            connection.execute(statement, {"keeper": keeper.token})

    def intend(
        self,
        scan: Scan,
        volumes: Mapping[str, int] = NOTHING,
        most: int = 0,
        pending: int | None = None,
    ) -> QuotaExceeded | None:
        """NEW to SNAPSHOTTING with the lease kept: committed before CreateSnapshots is called.

        `volumes` maps a volume id to the most snapshots of it in progress at once. At most `most`
        of our snapshots may exist in the account-region, and `pending` of them may be pending. No
        limit is 0, for `pending` None. If a quota is exceeded nothing is changed, and the returned
        QuotaExceeded gives the reason.
        """
        with self._database.write() as connection:
            now = self._clock()
            full = no_room(connection, scan, volumes, Caps(most, pending), now)
            if full is not None:
                return full
            named = " ".join(sorted(volumes)) or None
            check(scan, State.SNAPSHOTTING)
            change(connection, scan, state=State.SNAPSHOTTING.value, entered_at=now, volumes=named)
            rows = [{"scan": scan.id, "volume": volume} for volume in volumes]
            if rows:
                connection.execute(intents.insert(), rows)
        return None

    def withdraw(self, scan: Scan, delay: float, why: str) -> Transition:
        """SNAPSHOTTING back to NEW: AWS refused CreateSnapshots, so the scan has no snapshot.

        Its volumes are free for other scans. It is due again in `delay` seconds; `why` as in
        `postpone`. Raises LeaseLostError.
        """
        now = self._clock()
        due = now + timedelta(seconds=delay)
        with self._database.write() as connection:
            connection.execute(intents.delete().where(intents.c.scan == scan.id))
            text = f"{WAITING}: {why}"
            return release(connection, scan, now, due, State.NEW, paced=delay, last_error=text)

    def advance(
        self, scan: Scan, to: State, *, delay: float = 0.0, created: Sequence[Snapshot] = ()
    ) -> Transition:
        """Move the scan to the next state and give the lease back; store the snapshots `made`."""
        now = self._clock()
        with self._database.write() as connection:
            remember(connection, created)
            return release(connection, scan, now, now + timedelta(seconds=delay), to)

    def postpone(  # noqa: PLR0913 - a row, a time, and why, by keyword
        self,
        scan: Scan,
        delay: float,
        *,
        error: str = "",
        paced: bool = False,
        why: str = "",
        late: bool = False,
    ) -> Transition:
        """Run the same state again after `delay` seconds.

        Without an `error` this run does not count as an attempt; earlier attempts still count.
        `paced`: the scan waits for a budget or a cap. `late`: AWS does not list a resource yet.
        `why` is the reason in the scan's status until the scan continues.
        """
        now = self._clock()
        values: dict[str, Any] = {"attempts": max(0, scan.attempts - 1)}
        if error:
            values = {"last_error": error}
        elif why:
            values["last_error"] = why if why.startswith(WAITING) else f"{WAITING}: {why}"
        if late:
            values["late_since"] = scan.late_since or now
        with self._database.write() as connection:
            due = now + timedelta(seconds=delay)
            waits = delay if paced else 0.0
            transition = release(connection, scan, now, due, scan.state, paced=waits, **values)
            if error:
                note(connection, Event(scan.id, now, f"{scan.state}: failed", error))
        return transition

    def fail(self, scan: Scan, reason: str, code: str) -> Transition:
        """Move the scan to DELETING, and from there to FAILED. `code` is Inspector's reason."""
        now = self._clock()
        values: dict[str, Any] = {"failure": reason, "failure_code": code, "last_error": reason}
        with self._database.write() as connection:
            transition = release(connection, scan, now, now, State.DELETING, **values)
            note(connection, Event(scan.id, now, f"{scan.state}: given up", reason))
        return transition

    def snapshots(self, scan_id: str) -> list[Snapshot]:
        """Return a scan's snapshots in the order of its disks."""
        with self._database.read() as connection:
            rows = connection.execute(_snapshots_of(), {"of_scan": scan_id}).all()
        return [Snapshot(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public way

    def receipted(self, created: Sequence[Snapshot]) -> None:
        """Insert or update these snapshot rows: deleted, or discovered by tag."""
        if not created:
            return
        with self._database.write() as connection:
            remember(connection, created)

    def seen_gone(self, snapshot_ids: Collection[str], receipt: str) -> None:
        """Mark stored snapshots that EC2 no longer lists as deleted; `receipt` is the evidence."""
        values = {"state": "deleted", "deleted_at": self._clock(), "receipt": receipt}
        with self._database.write() as connection:
            for part in parts(sorted(snapshot_ids)):
                same = snapshots.c.id.in_(part), snapshots.c.deleted_at.is_(None)
                connection.execute(update(snapshots).where(*same).values(values))

    def note_all(self, what: str, details: Mapping[str, str]) -> None:
        """Write an event of each of these scans, by scan id."""
        now = self._clock()
        with self._database.write() as connection:
            for scan_id, detail in details.items():
                note(connection, Event(scan_id, now, what, detail))

    def note(self, scan_id: str, what: str, detail: str = "") -> None:
        """Write an event."""
        with self._database.write() as connection:
            note(connection, Event(scan_id, self._clock(), what, detail))

    def note_once(self, scan_id: str, what: str, detail: str) -> None:
        """Write an event unless the scan has it already or the scan does not exist."""
        same = events.c.scan == scan_id, events.c.what == what, events.c.detail == storable(detail)
        with self._database.read() as connection:
            known = connection.execute(select(scans.c.id).where(scans.c.id == scan_id)).first()
            noted = connection.execute(select(events.c.id).where(*same)).first()
        if known is not None and noted is None:
            self.note(scan_id, what, detail)

    def events(self, scan_id: str) -> list[Event]:
        """Return a scan's events in order."""
        columns = (events.c.scan, events.c.at, events.c.what, events.c.detail)
        query = select(*columns).where(events.c.scan == scan_id).order_by(events.c.id)
        with self._database.read() as connection:
            return [Event(*row) for row in connection.execute(query)]


@cache
def _one() -> Select[Any]:
    return select(*SCAN_COLUMNS).where(scans.c.id == bindparam("wanted"))


@cache
def _claiming_one(*, kept: bool) -> ReturningUpdate[Any]:
    return claiming(
        scans.c.id == bindparam("wanted"),
        scans.c.state.in_(bindparam("states", expanding=True)),
        scans.c.next_at <= bindparam("early"),
        kept=kept,
    )


@cache
def _snapshots_of() -> Select[Any]:
    query = select(snapshots).where(snapshots.c.scan == bindparam("of_scan"))
    return query.order_by(snapshots.c.position, snapshots.c.id)


def _kind_of(source: ScanSource | None) -> str:
    return "" if source is None else source.kind.value


def _values(scan: Scan) -> dict[str, Any]:
    values: dict[str, Any] = {column.name: getattr(scan, column.name) for column in SCAN_COLUMNS}
    due = scan.lease_until or scan.next_at
    return values | {"publish_at": due, "publications": 0, "volumes": ""}


def _select_ids(connection: Connection, ids: list[str]) -> list[str]:
    existing: list[str] = []
    for part in parts(ids):
        existing += connection.execute(_existing(), {"ids": part}).scalars()
    return existing


@cache
def _existing() -> Select[Any]:
    return select(scans.c.id).where(scans.c.id.in_(bindparam("ids", expanding=True)))
