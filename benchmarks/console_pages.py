"""What each page of the console costs: statements, rows that they return, time to the first byte.

    python -m benchmarks.console_pages                                # SQLite, 300,000 findings
    python -m benchmarks.console_pages --postgresql --findings 5000000 --instances 100000

Instances as those of benchmarks.api_queries, each with the package set of its image, and some that
the internet reaches. Prints the seconds of each kind of count that the dispatcher keeps, then for
each page its statements, the rows that they return, the milliseconds of the answer (the median of
five, in this process, without the network) and the kilobytes of the page, compressed.
"""

from __future__ import annotations

import gzip
import random
import statistics
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select, text

from benchmarks.api_queries import parser_of, place
from benchmarks.drawn_store import IMAGES, MEMBERS, START, fill, vacuum
from benchmarks.query_costs import executed_statements
from dispatcher.console.application import ConsoleApplication
from dispatcher.console.page import ConsoleServices
from dispatcher.console.pages import PAGES
from dispatcher.console.web_messages import WebRequest
from dispatcher.services.cached_value import CachedValue
from dispatcher.services.configuration import ConfigurationService
from dispatcher.services.console_users import ConsoleUserService
from dispatcher.services.fleet_totals import sums
from sidelight.errors import UsageError
from sidelight.fleet.settings import Settings
from sidelight.model import (
    ConsoleUser,
    Inventory,
    NetworkFinding,
    NetworkStep,
    OperatingSystem,
    Package,
    Principal,
    Role,
    Severity,
    Status,
)
from sidelight.store import Store
from sidelight.store.base import documents
from sidelight.store.base.dialect import put_rows
from sidelight.store.base.engine import READ, Database
from sidelight.store.base.schema import finding_details, findings, instances, inventories
from sidelight.store.findings.finding_terms import write_terms
from sidelight.store.inventories.package_sets import store_set
from sidelight.store.maintenance.kept_counts import KeptCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dispatcher.console.web_messages import WebAnswer

CLOCK = time.perf_counter
DEBIAN = OperatingSystem("debian", "12", "Debian GNU/Linux 12")
REACHED = 20  # one instance of so many has an open port
AT_ONCE = 20_000
HOST = "console.example"
# Pages with something in their paths or fields, besides those of PAGES.
MACHINES = "/plan/machines?type=deb&ecosystem=Debian%3A12&package=package-7"
MORE = (
    "/packages?q=package-7",
    "/packages?q=pack",
    "/packages/1",
    MACHINES,
    "/network/{network}",
    "/scans?show=failed",
    "/?account=100000000001",
    "/plan?account=100000000001",
)
# Further views of pages above.
VIEWS = (
    "/findings?group=vulnerability",
    "/findings?group=package&then=account",
    "/findings?package=package-7&severity=CRITICAL",
    "/findings?package=nowhere&severity=CRITICAL&score=9..&type=PACKAGE_VULNERABILITY&fix=YES",
    "/settings/accounts/100000000001",
    "/settings/disable?key=100000000001&key=100000000002",
    "/settings/enable?key=100000000001",
)


@dataclass(frozen=True, slots=True)
class PageCost:
    """What one page costs. `size` is in bytes, compressed; `milliseconds` of a warm process."""

    path: str
    status: int
    statements: int
    rows: int
    milliseconds: float
    size: int


def fill_machines(url: str, packages: int = 300) -> None:
    """Give each instance the packages of its image, and some an open port."""
    draw = random.Random(2)  # noqa: S311 - the same data each time
    database = Database(url)
    columns = [instances.c[name] for name in ("account", "region", "instance")]
    with database.read() as connection:
        machines = connection.execute(select(*columns)).all()
    with database.write() as connection:
        sets = [store_set(connection, _inventory(draw, packages), START) for _ in range(IMAGES)]
        rows = [_inventory_row(machine, draw.choice(sets), packages) for machine in machines]
        for begin in range(0, len(rows), AT_ONCE):
            put_rows(connection, inventories, rows[begin : begin + AT_ONCE])
    with database.write() as connection:
        last = connection.execute(text("SELECT max(id) FROM finding_details")).scalar() or 0
        reached = list(enumerate(machines[::REACHED], int(last) + 1))
        ports = {number: _open_port(draw) for number, _ in reached}
        put_rows(connection, finding_details, [_detail(n, item) for n, item in ports.items()])
        write_terms(connection, dict(ports), known=False)
        put_rows(connection, findings, [_finding(number, machine) for number, machine in reached])
    KeptCounts(database).recount()
    vacuum(database)
    database.close()


def _inventory(draw: random.Random, count: int) -> Inventory:
    packages = tuple(
        Package("deb", f"package-{number}", f"1.{draw.randrange(9)}", "/var/lib/dpkg/status",
                f"pkg:deb/debian/package-{number}")
        for number in draw.sample(range(3000), count)
    )  # fmt: skip
    return Inventory(Status.COMPLETE, DEBIAN, packages)


def _inventory_row(machine: object, content: int, packages: int) -> dict[str, object]:
    return {
        "account": getattr(machine, "account", ""), "instance": getattr(machine, "instance", ""),
        "region": getattr(machine, "region", ""), "scan": "", "status": "complete",
        "packages": packages, "taken_at": START, "evaluated_at": START, "retired_at": None,
        "content": content, "advisories": 0, "document": b"",
    }  # fmt: skip


def _open_port(draw: random.Random) -> NetworkFinding:
    port = draw.choice((22, 80, 443, 3389))
    steps = (NetworkStep("igw-1", "AWS::EC2::InternetGateway"),
             NetworkStep("sg-1", "AWS::EC2::SecurityGroup", "sgr-1"),
             NetworkStep("eni-1", "AWS::EC2::NetworkInterface"))  # fmt: skip
    return NetworkFinding(
        "TCP", port, port, "igw-1", "internet", "eni-1", draw.choice(list(Severity)),
        f"Port {port} is reachable", "It is open to the internet.", "Limit the sources.", steps,
        steps, ("0.0.0.0/0",), anywhere=True,
    )  # fmt: skip


def _detail(number: int, finding: NetworkFinding) -> dict[str, object]:
    return {
        "id": number, "software": 0, "vulnerability": f"network {number}", "key": f"n{number}",
        "severity": finding.severity.value, "score": None, "current": True, "touched": 0,
        "facts": "", "digest": "", "document": documents.dump(finding),
        "type": finding.type.value,
    }  # fmt: skip


def _finding(number: int, machine: object) -> dict[str, object]:
    return {
        "account": getattr(machine, "account", ""), "instance": getattr(machine, "instance", ""),
        "region": getattr(machine, "region", ""), "key": f"n{number}", "detail": number,
        "status": "ACTIVE", "first_observed": START, "last_observed": START, "updated_at": START,
        "type": "NETWORK_REACHABILITY",
    }  # fmt: skip


class PageMeter:
    """A console over a store, whose statements are counted."""

    def __init__(self, store: Store, accounts: Sequence[str] = ()) -> None:
        """The person sees these accounts; without any, the whole fleet."""
        self._store = store
        settings = Settings.of()
        services = ConsoleServices(
            store, settings, ConfigurationService(store, agent_based=True),
            lambda: CachedValue(sums(store), 0.0),
        )  # fmt: skip
        self._console = ConsoleApplication(services)
        scope = frozenset(accounts) or None
        who = Principal(f"bench-{len(accounts)}", Role.ADMINISTRATOR, "100000000001", scope)
        user = ConsoleUser(who, "", store.clock())
        with suppress(UsageError):
            store.console_users.put(user)
        self._session = ConsoleUserService(store).begin_session(user, "192.0.2.1")

    def get(self, url: str) -> WebAnswer:
        """Answer a request of a page."""
        path, _, query = url.partition("?")
        headers = [("host", HOST), ("cookie", f"sidelight={self._session}")]
        return self._console.answer(WebRequest("GET", path, query, headers, b"", "192.0.2.1"))

    def cost(self, database: Database, url: str, runs: int = 5) -> PageCost:
        """Measure one page; `database` is the store's."""
        with executed_statements(database) as seen:
            answer = self.get(url)
        rows = sum(_rows(database, statement, values) for statement, values in seen)
        took = []
        for _ in range(runs):
            begin = CLOCK()
            answer = self.get(url)
            took.append(1000 * (CLOCK() - begin))
        size = len(gzip.compress(answer.body))
        return PageCost(url, answer.status, len(seen), rows, statistics.median(took), size)


def _rows(database: Database, statement: str, values: object) -> int:
    """Count the rows that a SELECT returns."""
    if not statement.startswith("SELECT") or "set_config" in statement:
        return 0
    counting = f"SELECT count(*) FROM ({statement}) AS counted"
    with database.engine.connect().execution_options(**{READ: True}) as connection:
        return int(connection.exec_driver_sql(counting, values).scalar_one())  # type: ignore[arg-type]


def page_costs(
    store: Store, runs: int = 5, accounts: Sequence[str] = (), more: Sequence[str] = MORE
) -> list[PageCost]:
    """Return what each page costs that an administrator of the fleet, or of accounts, can open."""
    database = store._database  # noqa: SLF001 - its statements are counted
    meter = PageMeter(store, accounts)
    plain = [
        page.path
        for page in PAGES
        if page.method == "GET"
        and "{" not in page.path
        and not page.path.endswith(("events", "able"))
    ]
    with database.read() as connection:
        query = text("SELECT min(id) FROM findings WHERE type = 'NETWORK_REACHABILITY'")
        network = connection.execute(query).scalar()
    urls = [*plain, *(url.format(network=network) for url in more)]
    return [meter.cost(database, url, runs) for url in urls]


def _count(store: Store) -> None:
    """Print how long the kept counts take."""
    kinds: dict[str, Callable[[], object]] = {
        "active findings and measures": store.fleet_counts.recount,
        "costs": store.fleet_counts.recount_costs,
        "remediation plan": store.remediations.refresh,
    }
    for name, count in kinds.items():
        begin = CLOCK()
        count()
        print(f"counted {name}: {CLOCK() - begin:.1f} s")


def measure(url: str) -> None:
    """Count what the dispatcher keeps, and print the cost of each page."""
    now = START + timedelta(days=30)
    with Store(url, clock=lambda: now) as store:
        _count(store)
        for accounts in ((), MEMBERS):
            whose = f"{len(accounts)} accounts" if accounts else "the whole fleet"
            print(f"{'ms':>8} {'statements':>10} {'rows':>8} {'KB':>6}  page of {whose}")
            for cost in page_costs(store, accounts=accounts, more=(*MORE, *VIEWS)):
                print(f"{cost.milliseconds:8.1f} {cost.statements:10} {cost.rows:8}"
                      f" {cost.size / 1024:6.1f}  {cost.path}"
                      f"{'' if cost.status == 200 else f' ({cost.status})'}")  # fmt: skip


def main() -> None:
    """Fill a store and measure."""
    options = parser_of(__doc__).parse_args()
    with place(server=options.postgresql) as url:
        begin = CLOCK()
        fill(url, options.findings, options.instances, options.details)
        fill_machines(url)
        print(f"filled in {CLOCK() - begin:.0f} s")
        measure(url)


if __name__ == "__main__":
    main()
