"""AWS's limits of an account-region: its quotas, others' pending snapshots, and refusals.

All workers share one row per account-region. One worker reads the quotas once a day, and one
counts the pending snapshots every few seconds. After a refusal, one probe at a time calls
CreateSnapshots again, at growing intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, or_, select, update

from sidelight.store.base.dialect import insert
from sidelight.store.base.schema import snapshot_limits

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

FIRST_PROBE, LONGEST_PROBE = 15.0, 300.0  # seconds from a refusal to the next probe; doubles
PROBE_SECONDS = 60.0  # the next probe may start after this if a probe's worker died


@dataclass(frozen=True, slots=True)
class AccountRegionLimits:
    """The limits of one account-region; None is unknown.

    The quotas are AWS's: snapshots pending at once, and GetSnapshotBlock and ListSnapshotBlocks
    calls a second. `others`: pending snapshots that are not ours, as last counted. `refused_wait`
    is above 0 while AWS refuses CreateSnapshots because too many snapshots are pending.
    """

    pending_quota: float | None = None
    get_quota: float | None = None
    list_quota: float | None = None
    quotas_at: datetime | None = None
    others: int | None = None
    others_at: datetime | None = None
    refused_until: datetime | None = None
    refused_wait: float = 0.0


_COLUMNS = [snapshot_limits.c[field.name] for field in fields(AccountRegionLimits)]


class AccountLimits:
    """The limits of all accounts and Regions."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of(self, account: str, region: str) -> AccountRegionLimits:
        """Return the known limits of an account-region."""
        with self._database.read() as connection:
            row = connection.execute(select(*_COLUMNS).where(*_at(account, region))).first()
        return AccountRegionLimits() if row is None else AccountRegionLimits(*row)

    def claim_quotas(self, account: str, region: str, every: float) -> bool:
        """Return whether the caller must read the quotas: no worker has for `every` seconds."""
        return self._claim(account, region, "quotas_at", every)

    def note_quotas(
        self, account: str, region: str, *, pending: float | None, get: float | None,
        listing: float | None,
    ) -> None:  # fmt: skip
        """Write the quotas that were read; None for an unknown one."""
        values = {"pending_quota": pending, "get_quota": get, "list_quota": listing}
        with self._database.write() as connection:
            connection.execute(_changing(account, region).values(values))

    def claim_count(self, account: str, region: str, every: float) -> bool:
        """Return whether the caller must count pending snapshots: none has for `every` seconds."""
        return self._claim(account, region, "others_at", every)

    def note_others(self, account: str, region: str, count: int | None) -> None:
        """Write the number of others' pending snapshots; None if it cannot be determined."""
        with self._database.write() as connection:
            connection.execute(_changing(account, region).values(others=count))

    def admit(self, account: str, region: str) -> datetime | None:
        """Return when CreateSnapshots may be called after a refusal; None: now, as the probe."""
        with self._database.write() as connection:
            return closed_until(connection, account, region, self._clock())

    def refused(self, account: str, region: str, *, probe: bool = False) -> datetime:
        """Record that AWS allows no more pending snapshots; return the time of the next probe.

        A refused `probe` makes the wait longer. Calls that were in progress at the first refusal
        do not: they carry no new information.
        """
        now, columns = self._clock(), snapshot_limits.c
        with self._database.write() as connection:
            _make(connection, account, region)
            query = select(columns.refused_wait, columns.refused_until)
            known = connection.execute(query.where(*_at(account, region))).one()
            if known.refused_wait > 0 and not probe:
                return max(now, known.refused_until or now)
            wait = min(LONGEST_PROBE, max(FIRST_PROBE, 2 * known.refused_wait))
            until = now + timedelta(seconds=wait)
            connection.execute(
                _changing(account, region).values(refused_wait=wait, refused_until=until)
            )
        return until

    def passed(self, account: str, region: str) -> None:
        """Record that a probe succeeded: all scans may create snapshots again."""
        with self._database.write() as connection:
            connection.execute(
                _changing(account, region).values(refused_wait=0.0, refused_until=None)
            )

    def _claim(self, account: str, region: str, column: str, every: float) -> bool:
        now, at = self._clock(), snapshot_limits.c[column]
        due = or_(at.is_(None), at <= now - timedelta(seconds=every))
        with self._database.write() as connection:
            _make(connection, account, region)
            statement = _changing(account, region).where(due).values({column: now})
            return connection.execute(statement).rowcount == 1


def closed_until(
    connection: Connection, account: str, region: str, now: datetime
) -> datetime | None:
    """As `AccountLimits.admit`, within a transaction: who is admitted is the probe for a while."""
    columns = snapshot_limits.c
    query = select(columns.refused_until, columns.refused_wait).where(*_at(account, region))
    row = connection.execute(query).first()
    if row is None or row.refused_wait <= 0:
        return None
    if row.refused_until is not None and row.refused_until > now:
        until: datetime = row.refused_until
        return until
    probing = now + timedelta(seconds=PROBE_SECONDS)
    # Of two concurrent callers the second matches no row, since the first changed the time.
    taken = or_(columns.refused_until.is_(None), columns.refused_until <= now)
    statement = _changing(account, region).where(taken).values(refused_until=probing)
    return None if connection.execute(statement).rowcount == 1 else probing


def _make(connection: Connection, account: str, region: str) -> None:
    values = {"account": account, "region": region, "refused_wait": 0.0}
    connection.execute(insert(connection, snapshot_limits).on_conflict_do_nothing(), values)


def _changing(account: str, region: str) -> Any:
    return update(snapshot_limits).where(*_at(account, region))


def _at(account: str, region: str) -> tuple[Any, Any]:
    return snapshot_limits.c.account == account, snapshot_limits.c.region == region
