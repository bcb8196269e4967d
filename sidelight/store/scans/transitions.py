"""Changes of a scan's row within a transaction: claims, and the changes that a holder may make.

Every change is one UPDATE whose WHERE names the expected state and lease. Of two workers with the
same message, one gets the row and the other gets nothing. A worker that was presumed dead and
comes back has lost its lease (LeaseLostError) and changes nothing.

A worker holds a scan for one stage. A keeper (a command that runs all stages itself) holds it to
the scan's end, so that no worker can claim it in between. When the keeper dies, its last lease
expires as a worker's does.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, or_, select, update

from sidelight.errors import LeaseLostError
from sidelight.model import (
    KEPT,
    TERMINAL,
    TRANSITIONS,
    WAITING,
    Event,
    Keeper,
    Scan,
    Snapshot,
    State,
    Transition,
)
from sidelight.store.base import row_leases
from sidelight.store.base.dialect import insert, once, parts
from sidelight.store.base.schema import events, intents, scans, snapshots
from sidelight.store.scans.stages import EndedTurn, end_turns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import BindParameter, ColumnElement, Delete, RowMapping, Select, Update
    from sqlalchemy.sql.dml import ReturningUpdate

# A message that no worker picked up is published again after this.
GRACE = timedelta(seconds=60)
# A message that arrives this much early is on time: workers' clocks differ slightly.
EARLY = timedelta(seconds=0.1)

SCAN_COLUMNS = [
    scans.c[name]
    for name in (
        "id", "deployment", "account", "region", "instance", "state", "created_at", "entered_at",
        "next_at", "attempts", "lease", "lease_until", "failure", "failure_code", "last_error",
        "priority", "finished_at", "late_since", "source",
    )
]  # fmt: skip


def scan_of(row: RowMapping) -> Scan:
    """Build a Scan from a row of SCAN_COLUMNS."""
    return Scan(**{**row, "state": State(row["state"])})


def free(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Match scans without a lease, or with an expired one."""
    return row_leases.free(scans, now)


def kept() -> ColumnElement[bool]:
    """Match scans of any keeper, alive or dead."""
    return scans.c.lease.startswith(KEPT)


def by_keeper() -> ColumnElement[bool]:
    """Match scans of the keeper with the token `keeper`, a parameter."""
    return scans.c.lease.startswith(bindparam("keeper"))


def claiming(*wanted: ColumnElement[bool], kept: bool = False) -> ReturningUpdate[Any]:
    """Claim the wanted scans that are free, under one lease; each claim counts an attempt.

    Its parameters are those of `claim_of`. With `kept`, a keeper can claim its own scans again.
    """
    is_free = free(bindparam("now"))
    return (
        update(scans)
        .where(*wanted, or_(is_free, by_keeper()) if kept else is_free)
        .values(
            lease=bindparam("token"),
            lease_until=bindparam("until"),
            # If this worker dies, the dispatcher publishes the scan again.
            publish_at=bindparam("until"),
            publications=0,
            attempts=scans.c.attempts + 1,
        )
        .returning(*SCAN_COLUMNS)
    )


def claim_of(now: datetime, seconds: float, keeper: Keeper | None = None) -> dict[str, object]:
    """Return the parameters of a new claim, with `early`: what is due then is due.

    Each claim's token is new; a keeper's begins with the keeper's own.
    """
    token = uuid.uuid4().hex
    return {
        "now": now,
        "early": now + EARLY,
        "until": now + timedelta(seconds=seconds),
        "token": token if keeper is None else f"{keeper.token}{token[:16]}",
        "keeper": "" if keeper is None else keeper.token,
    }


def check(scan: Scan, to: State) -> None:
    """Raise ValueError unless the scan may change to this state: a programming error."""
    if to is not scan.state and to not in TRANSITIONS[scan.state]:
        raise ValueError(f"scan {scan.id}: no scan goes from {scan.state} to {to}")


def change(connection: Connection, scan: Scan, **values: Any) -> None:
    """Compare and set. Raises LeaseLostError if the state or lease differs from the worker's."""
    if connection.execute(changing(), values | held(scan)).rowcount != 1:
        raise LeaseLostError(f"not held any more in {scan.state}", where=scan.id)


@cache
def changing() -> Update:
    """Change a held scan; the parameters are the new values, and those of `held`."""
    return update(scans).where(
        scans.c.id == bindparam("held_id"),
        scans.c.lease == bindparam("held_lease"),
        scans.c.state == bindparam("held_state"),
    )


def release(  # noqa: PLR0913 - a row, a moment, and where it goes
    connection: Connection,
    scan: Scan,
    now: datetime,
    due: datetime,
    to: State,
    *,
    paced: float = 0.0,
    own_message: bool = True,
    **values: Any,
) -> Transition:
    """Give the lease back, in the next state or the same. Raises LeaseLostError.

    `paced`: the seconds for which it is postponed for a budget. `own_message` as in Transition. A
    keeper keeps the lease until the end; if it dies, the scan is published when the lease expires.
    """
    if to in TERMINAL:
        connection.execute(_forgetting_intents(), {"ended": scan.id})
    change(connection, scan, **_released(scan, now, due, to) | values)
    end_turns(connection, [EndedTurn(scan, to, paced)], now)
    return Transition(to, due, own_message)


def _released(scan: Scan, now: datetime, due: datetime, to: State) -> dict[str, Any]:
    """Return what a release changes. A parameter of `release` overrides it."""
    check(scan, to)
    values: dict[str, Any] = {"state": to.value, "next_at": due}
    if to in TERMINAL or not scan.kept:
        values |= {
            "lease": "",
            "lease_until": None,
            # The worker publishes the next stage itself; this applies if it dies before that.
            "publish_at": due + GRACE,
            "publications": 0,
        }
    if to is not scan.state:
        values["entered_at"] = now
        values["attempts"] = 0
        values["late_since"] = None
        if scan.last_error.startswith(WAITING):
            values["last_error"] = ""
    if to in TERMINAL:
        values["finished_at"] = now
    return values


class Release(NamedTuple):
    """A scan to give back with others: due when and in which state, and further new values."""

    scan: Scan
    due: datetime
    to: State
    values: dict[str, Any]


def release_each(
    connection: Connection, releases: Sequence[Release], now: datetime
) -> list[Release]:
    """Give these back in as few statements; return them without those whose lease is lost.

    None of them ends.
    """
    held_ids = _still_held(connection, [release.scan for release in releases])
    done = [release for release in releases if release.scan.id in held_ids]
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for scan, due, to, values in done:
        new = _released(scan, now, due, to) | values
        alike.setdefault(tuple(new), []).append(new | held(scan))
    for rows in alike.values():
        connection.execute(changing(), rows)
    end_turns(connection, [EndedTurn(scan, to) for scan, _due, to, _values in done], now)
    return done


def _still_held(connection: Connection, claimed: Sequence[Scan]) -> set[str]:
    """Return the ids of those whose leases are not lost, and lock their rows."""
    found: set[str] = set()
    for part in parts(claimed):
        by_id = {scan.id: scan for scan in part}
        rows = connection.execute(_locking(), {"ids": list(by_id)})
        found.update(
            row.id
            for row in rows
            if (row.lease, row.state) == (by_id[row.id].lease, by_id[row.id].state)
        )
    return found


@cache
def _locking() -> Select[tuple[str, str, str]]:
    query = select(scans.c.id, scans.c.lease, scans.c.state)
    is_one = scans.c.id.in_(bindparam("ids", expanding=True))
    return query.where(is_one).order_by(scans.c.id).with_for_update()


@cache
def _forgetting_intents() -> Delete:
    return delete(intents).where(intents.c.scan == bindparam("ended"))


def remember(connection: Connection, created: Sequence[Snapshot]) -> None:
    """Insert or update snapshot rows."""
    if not created:
        return
    for snapshot in created:
        values = {column.name: getattr(snapshot, column.name) for column in snapshots.c}
        connection.execute(_remembering(connection), values)


@once
def _remembering(connection: Connection) -> Any:
    adding = insert(connection, snapshots)
    changed = {name: adding.excluded[name] for name in ("state", "deleted_at", "receipt")}
    return adding.on_conflict_do_update(index_elements=["id"], set_=changed)


def note(connection: Connection, event: Event) -> None:
    """Write an event."""
    connection.execute(
        events.insert(),
        {"scan": event.scan, "at": event.at, "what": event.what, "detail": event.detail},
    )


def held(scan: Scan) -> dict[str, Any]:
    """Return the claim's row, lease and state. Raises LeaseLostError if never claimed."""
    if not scan.lease:
        raise LeaseLostError("never claimed", where=scan.id)
    return {"held_id": scan.id, "held_lease": scan.lease, "held_state": scan.state.value}
