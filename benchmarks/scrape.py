"""What a scrape of a large fleet's metrics takes: `python -m benchmarks.scrape`.

A store of so many instances, scanned daily for so many days, with so many active findings each;
all but the rows that are counted is left out. The first scrape sums all of them up; the second has
these sums at hand. SQLite or, with `--postgres`, PostgreSQL, in a temporary directory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from benchmarks.postgresql import postgresql
from dispatcher.api.metrics import exposition
from dispatcher.services.cached_value import RefreshingValue
from dispatcher.services.fleet_totals import sums
from sidelight.fleet.settings import Settings
from sidelight.store import Store
from sidelight.store.base.dialect import put_rows
from sidelight.store.base.schema import costs, finding_details, findings, scans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Table

AT_ONCE = 10_000
DETAILS = 5_000
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")


def fill(store: Store, instances: int, days: int, each: int) -> None:
    """The rows."""
    put(store, scans, (row[0] for row in scanned(store, instances, days)))
    put(store, costs, (row[1] for row in scanned(store, instances, days)))
    put(store, finding_details, map(detail, range(1, DETAILS + 1)))
    put(store, findings, found(store, instances, each))
    if store.where.startswith("postgresql"):
        with store._database.write() as connection:  # noqa: SLF001 - as its own upkeep does
            connection.execute(text("ANALYZE"))


def put(store: Store, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Many at a time."""
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == AT_ONCE:
            write(store, table, part)
            part = []
    write(store, table, part)


def write(store: Store, table: Table, rows: list[dict[str, Any]]) -> None:
    """One transaction."""
    with store._database.write() as connection:  # noqa: SLF001 - no scan is run here
        put_rows(connection, table, rows)


def scanned(store: Store, instances: int, days: int) -> Iterator[tuple[dict[str, Any], ...]]:
    """Scans with their costs."""
    now = store.clock()
    empty = dict.fromkeys(("lease", "failure", "failure_code", "last_error"), "")
    zeros = dict.fromkeys(("priority", "attempts", "publications"), 0)
    cost = {"get_calls": 259, "list_calls": 1, "blocks": 259, "bytes": 135_790_592,
            "seconds": 2.5, "cpu_seconds": 1.7, "usd": 0.0008}  # fmt: skip
    for number in range(instances * days):
        at = now - timedelta(days=number / instances)
        times = dict.fromkeys(("next_at", "publish_at", "created_at", "entered_at"), at)
        place = {"deployment": "here", "account": f"{number % 10:012}", "region": "eu-west-1"}
        name = f"{number:032x}"
        instance = f"i-{number % instances:017x}"
        row = {"id": name, "instance": instance, "state": "DONE", "finished_at": at}
        yield (
            {**row, **place, **empty, **zeros, **times, "lease_until": None},
            {"scan": name, **cost},
        )


def detail(number: int) -> dict[str, Any]:
    """What many machines' findings share."""
    return {"id": number, "software": number, "vulnerability": f"CVE-2026-{number}",
            "key": f"{number:064x}", "severity": SEVERITIES[number % len(SEVERITIES)],
            "score": 7.5, "current": True, "touched": 1, "facts": "", "digest": "",
            "document": "{}" * 200}  # fmt: skip


def found(store: Store, instances: int, each: int) -> Iterator[dict[str, Any]]:
    """Findings."""
    times = dict.fromkeys(("first_observed", "last_observed", "updated_at"), store.clock())
    for number in range(instances):
        place = {"account": f"{number % 10:012}", "region": "eu-west-1"}
        for one in range(each):
            yield {
                "id": number * each + one + 1, **place, "instance": f"i-{number:017x}",
                "key": f"{one:064x}", "detail": (number * 7 + one) % DETAILS + 1,
                "status": "ACTIVE", **times, "closed_at": None, "expires_at": None,
            }  # fmt: skip


def main(instances: int, days: int, each: int, *, postgres: bool) -> None:
    """Fill and ask."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        url = stack.enter_context(postgresql()) if postgres else f"sqlite:///{directory}/s.db"
        store = stack.enter_context(Store(url))
        store.migrate()
        fill(store, instances, days, each)
        print(f"{instances} instances, {instances * days} scans, {instances * each} findings")
        settings = Settings.of(store_url=url, broker_url="memory://")
        kept = RefreshingValue(lambda: sums(store))
        for ask in ("first", "second"):
            begin = time.perf_counter()
            exposition(store, settings, kept)
            print(f"the {ask} scrape: {time.perf_counter() - begin:.3f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--findings", type=int, default=200, help="of an instance")
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    main(options.instances, options.days, options.findings, postgres=options.postgres)
