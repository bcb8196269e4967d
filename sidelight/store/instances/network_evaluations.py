"""When the network of each account-region is evaluated, and by whom.

The row is the state: a claim is a lease in it, a request only moves the time at which it is due.
So any number of requests and messages lead to one evaluation, and one that was interrupted is due
again when its lease has ended. A request during an evaluation makes it due once more.

A request may name what changed. Until the whole network is due again, such an evaluation is of
those objects' VPCs alone; it does not move the time at which the whole network is due.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import case, delete, func, select, tuple_, update

from sidelight.store.base.dialect import insert, parts
from sidelight.store.base.row_leases import change_held, free, new_lease
from sidelight.store.base.schema import network_evaluations as table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy import Column, ColumnElement, Connection

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

REPUBLISH = timedelta(minutes=2)  # a message may be lost, or its worker
RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)  # doubles with each attempt
MOST_CHANGED = 200  # ids of one evaluation
AccountRegionKey = tuple[str, str]


class NetworkClaim(NamedTuple):
    """An evaluation that this process alone does. `attempts` counts those since the last end.

    `changed` are the ids of objects that changed, empty for an evaluation of the whole network.
    """

    account: str
    region: str
    lease: str
    requests: int
    attempts: int
    changed: tuple[str, ...] = ()


class NetworkTime(NamedTuple):
    """When an account-region's whole network was evaluated last, and when it is due.

    `detail` says what could not be read, empty for nothing.
    """

    account: str
    region: str
    due_at: datetime
    evaluated_at: datetime | None
    attempts: int
    detail: str


class KeptAnswers(NamedTuple):
    """The compressed describe answers of an account-region's last evaluation, if they are kept."""

    evaluated_at: datetime | None
    answers: bytes | None


class NetworkEvaluations:
    """The evaluations of the fleet's account-regions."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def keep(self, places: Collection[AccountRegionKey]) -> None:
        """Begin to evaluate these account-regions; those that are evaluated stay as they are."""
        now = self._clock()
        rows = [_new(place, now) for place in sorted(set(places))]
        if rows:
            with self._database.write() as connection:
                statement = insert(connection, table).on_conflict_do_nothing()
                connection.execute(statement, rows)

    def remove(self, accounts: Collection[str]) -> int:
        """Stop evaluating these accounts; return the number of their account-regions."""
        with self._database.write() as connection:
            gone = table.c.account.in_(sorted(accounts))
            return connection.execute(delete(table).where(gone)).rowcount

    def request(
        self, places: Iterable[AccountRegionKey], delay: float = 0.0, changed: Collection[str] = ()
    ) -> int:
        """Make these account-regions due in `delay` seconds; return how many are evaluated at all.

        `changed` are ids of objects that changed, empty for the whole network. A burst of requests
        is one evaluation: an earlier time stays.
        """
        now = self._clock()
        at = now + timedelta(seconds=delay)
        count = 0
        for part in parts(sorted(set(places))):
            with self._database.write() as connection:
                here = tuple_(table.c.account, table.c.region).in_(part)
                values: dict[str, object] = {
                    "requests": table.c.requests + 1,
                    "due_at": _earlier(table.c.due_at, at),
                    "publish_at": _earlier(table.c.publish_at, at),
                }
                if not changed:
                    values["whole_at"] = _earlier(table.c.whole_at, at)
                count += connection.execute(update(table).where(here).values(values)).rowcount
                if changed:
                    _note_changed(connection, here, changed, at)
        return count

    def due(self, limit: int = 500) -> list[AccountRegionKey]:
        """Return the account-regions whose message is to be sent now."""
        now = self._clock()
        query = (
            select(table.c.account, table.c.region)
            .where(table.c.due_at <= now, table.c.publish_at <= now, free(table, now))
            .order_by(table.c.due_at)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [(row.account, row.region) for row in connection.execute(query)]

    def published(self, places: Iterable[AccountRegionKey]) -> None:
        """Record that these messages were sent."""
        at = self._clock() + REPUBLISH
        for part in parts(sorted(set(places))):
            with self._database.write() as connection:
                statement = update(table).where(tuple_(table.c.account, table.c.region).in_(part))
                connection.execute(statement.values(publish_at=at))

    def claim(self, account: str, region: str, seconds: float) -> NetworkClaim | None:
        """Claim an evaluation for `seconds`; None if it is not due, or another process has it."""
        now = self._clock()
        lease = new_lease(now, timedelta(seconds=seconds))
        statement = (
            update(table)
            .where(*_at(account, region), table.c.due_at <= now, free(table, now))
            .values(**lease, attempts=table.c.attempts + 1)
            .returning(table.c.requests, table.c.attempts, table.c.whole_at, table.c.changed)
        )
        with self._database.write() as connection:
            row = connection.execute(statement).first()
        if row is None:
            return None
        is_whole = row.whole_at is None or row.whole_at <= now
        changed = () if is_whole else tuple(json.loads(row.changed))
        return NetworkClaim(account, region, lease["lease"], row.requests, row.attempts, changed)

    def finish(
        self, claim: NetworkClaim, interval: float, detail: str, answers: bytes | None
    ) -> bool:
        """End an evaluation; the next is due in `interval` seconds, or now if it was requested.

        The end of an evaluation of what changed leaves the time at which the whole network is due.
        False if the claim was lost. `answers` of None keeps those of the last time.
        """
        now = self._clock()
        later = now + timedelta(seconds=interval)
        is_last = table.c.requests == claim.requests
        # A request of the whole network, while this was going on, is no longer in the future.
        is_wanted = (table.c.whole_at <= now) & ~is_last
        values: dict[str, object] = {
            "lease": "", "lease_until": None, "attempts": 0, "detail": detail,
            "changed": case((is_last, "[]"), else_=table.c.changed),
        }  # fmt: skip
        if claim.changed:
            due_at = case((is_last, func.coalesce(table.c.whole_at, now)), else_=now)
        else:
            due_at = case((is_last, later), else_=now)
            values |= {
                "evaluated_at": now,
                "whole_at": case((is_wanted, now), else_=later),
            }
        values |= {"due_at": due_at, "publish_at": due_at}
        if answers is not None:
            values["answers"] = answers
        return self._end(claim, values)

    def fail(self, claim: NetworkClaim, detail: str) -> bool:
        """Give a claim back; it is due again after a while. False if the claim was lost."""
        wait = min(RETRY * 2 ** min(claim.attempts - 1, 10), LONGEST_RETRY)
        at = self._clock() + wait
        return self._end(
            claim,
            {"lease": "", "lease_until": None, "detail": detail, "due_at": at, "publish_at": at},
        )

    def times(self, accounts: Collection[str] = ()) -> dict[AccountRegionKey, NetworkTime]:
        """Return the times of all account-regions, or of those of these accounts."""
        query = select(*(table.c[name] for name in NetworkTime._fields))
        if accounts:
            query = query.where(table.c.account.in_(sorted(accounts)))
        with self._database.read() as connection:
            rows = [NetworkTime(*row) for row in connection.execute(query)]
        return {(row.account, row.region): row for row in rows}

    def answers(self, account: str, region: str) -> KeptAnswers | None:
        """Return the kept answers of an account-region; None if it is not evaluated at all."""
        query = select(table.c.evaluated_at, table.c.answers).where(*_at(account, region))
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else KeptAnswers(row.evaluated_at, row.answers)

    def _end(self, claim: NetworkClaim, values: dict[str, object]) -> bool:
        row = _at(claim.account, claim.region)
        with self._database.write() as connection:
            return change_held(connection, table, claim.lease, values, *row)


def _new(place: AccountRegionKey, now: datetime) -> dict[str, object]:
    return {
        "account": place[0], "region": place[1], "due_at": now, "publish_at": now, "requests": 0,
        "lease": "", "lease_until": None, "attempts": 0, "evaluated_at": None, "detail": "",
        "answers": None, "whole_at": now, "changed": "[]",
    }  # fmt: skip


def _earlier(column: Column[datetime], at: datetime) -> ColumnElement[datetime]:
    return case((column > at, at), else_=column)


def _note_changed(
    connection: Connection, here: ColumnElement[bool], changed: Collection[str], at: datetime
) -> None:
    """Add ids to those that changed; with too many of them, the whole network is due."""
    query = select(table.c.account, table.c.region, table.c.changed).where(here).with_for_update()
    for row in connection.execute(query).all():
        names = sorted({*json.loads(row.changed), *changed})
        values: dict[str, object] = {"changed": json.dumps(names)}
        if len(names) > MOST_CHANGED:
            values = {"changed": "[]", "whole_at": _earlier(table.c.whole_at, at)}
        statement = update(table).where(*_at(row.account, row.region))
        connection.execute(statement.values(values))


def _at(account: str, region: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.account == account, table.c.region == region
