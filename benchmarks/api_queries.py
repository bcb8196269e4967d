"""How long the API's queries take: first pages by every filter and sort field, paging, counts.

    python -m benchmarks.api_queries                                  # SQLite, 300,000 findings
    python -m benchmarks.api_queries --postgresql --findings 5000000 --instances 100000 --plans

An instance has the packages of one of 200 images, and some of its own: a few vulnerabilities are
everywhere, most are rare. Prints milliseconds, the best of three runs, and what each query reads,
which does not vary with the machine's load. The times of first pages are CPU times of this process
and the server. --plans prints the plans of those that read most. --record writes the times of first
pages to a file, --before prints the ratios to those of a file.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.drawn_store import MEMBERS, START, fill
from benchmarks.postgresql import postgresql
from benchmarks.query_costs import cost, cpu, plans
from sidelight.store import (
    AGGREGATION_KEYS,
    GROUP_KEYS,
    SORT_FIELDS,
    CoverageSearch,
    FindingAggregation,
    FindingSearch,
    FoundFindings,
    Store,
)
from sidelight.store.base.engine import Database
from sidelight.store.findings.aggregations import Aggregations
from sidelight.suppression import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PAGE = 100
AIM = 50  # milliseconds of a first page
MOST_PAGES = 1000
CLOCK = time.perf_counter


def equals(value: str, comparison: str = "EQUALS") -> list[dict[str, str]]:
    """One StringFilter."""
    return [{"comparison": comparison, "value": value}]


FILTERS: dict[str, dict[str, object]] = {
    "none": {},
    "findingStatus ACTIVE": {"findingStatus": equals("ACTIVE")},
    "findingStatus SUPPRESSED (rare)": {"findingStatus": equals("SUPPRESSED")},
    "severity CRITICAL": {"severity": equals("CRITICAL")},
    "severity UNTRIAGED (none)": {"severity": equals("UNTRIAGED")},
    "severity not HIGH": {"severity": equals("HIGH", "NOT_EQUALS")},
    "vulnerabilityId": {"vulnerabilityId": equals("CVE-2024-00007")},
    "vulnerabilityId, rare": {"vulnerabilityId": equals("CVE-2024-19999")},
    "vulnerabilityId prefix": {"vulnerabilityId": equals("CVE-2024-01", "PREFIX")},
    "title": {"title": equals("CVE-2024-00007 - package-7")},
    "relatedVulnerabilities": {"relatedVulnerabilities": equals("USN-7")},
    "vulnerablePackages": {"vulnerablePackages": [{"name": equals("package-7")[0]}]},
    "fixAvailable NO": {"fixAvailable": equals("NO")},
    "exploitAvailable YES": {"exploitAvailable": equals("YES")},
    "inspectorScore from 9": {"inspectorScore": [{"lowerInclusive": 9.0}]},
    "epssScore from 0.9": {"epssScore": [{"lowerInclusive": 0.9}]},
    "awsAccountId": {"awsAccountId": equals("100000000001")},
    "resourceId": {"resourceId": equals(f"i-{77:017x}")},
    "resourceId prefix": {"resourceId": equals("i-000000000000000", "PREFIX")},
    "resourceTags env=prod": {"resourceTags": [{**equals("prod")[0], "key": "env"}]},
    "resourceTags rare": {"resourceTags": [{**equals("7")[0], "key": "number"}]},
    "ec2InstanceImageId": {"ec2InstanceImageId": equals(f"ami-{7:017x}")},
    "ec2InstanceVpcId": {"ec2InstanceVpcId": equals("vpc-3")},
    "cloudProviderRegion": {"cloudProviderRegion": equals("us-east-1")},
    "firstObservedAt, an hour": {"firstObservedAt": [
        {"startInclusive": START.timestamp(), "endInclusive": START.timestamp() + 3600}]},
    "updatedAt, a day": {"updatedAt": [
        {"startInclusive": START.timestamp(), "endInclusive": START.timestamp() + 86_400}]},
    "lastObservedAt": {"lastObservedAt": [{"startInclusive": START.timestamp() + 86_400 * 20}]},
    "networkProtocol (none)": {"networkProtocol": equals("TCP")},
    "portRange (none)": {"portRange": [{"beginInclusive": 22, "endInclusive": 22}]},
    "ecrImageTags (never)": {"ecrImageTags": equals("x")},
    "tag, severity and account": {
        "resourceTags": [{**equals("prod")[0], "key": "env"}], "severity": equals("CRITICAL"),
        "awsAccountId": equals("100000000001")},
}  # fmt: skip


def best(run: Callable[[], object]) -> float:
    """Milliseconds, the best of three."""
    took = []
    for _ in range(3):
        begin = CLOCK()
        run()
        took.append(1000 * (CLOCK() - begin))
    return min(took)


def _compare(times: Mapping[str, float], before: Mapping[str, float]) -> None:
    """Print the ratios of times to earlier ones, the best, the median and the worst."""
    ratios = sorted((took / before[name], name) for name, took in times.items() if name in before)
    print("  of the time before:")
    for ratio, name in (*ratios[:3], ratios[len(ratios) // 2], *ratios[-3:]):
        print(f"  {ratio:8.2f}  {name}")


def measure(
    url: str, *, explained: bool, before: Path | None = None, record: Path | None = None
) -> None:
    """Print the times."""
    database = Database(url)
    found = FoundFindings(database)
    every: dict[str, FindingSearch] = {
        f"sort {field} {'DESC' if descending else 'ASC'}": FindingSearch(
            None, None, field, descending
        )
        for field in sorted(SORT_FIELDS)
        for descending in (False, True)
    }
    for name, criteria in FILTERS.items():
        for sort in ("", "SEVERITY", "LAST_OBSERVED_AT", "EPSS_SCORE"):
            search = FindingSearch(parse(criteria) if criteria else None, None, sort, True)
            every[f"{name}; sort {sort or 'none'}"] = search
    one = ("100000000001",)
    every["one account; sort SEVERITY"] = FindingSearch(None, one, "SEVERITY", True)
    times = {name: cpu(database, partial(found.page, s, PAGE)) for name, s in every.items()}
    costs = {name: cost(database, partial(found.page, s, PAGE)) for name, s in every.items()}
    order = sorted(costs, key=lambda name: costs[name], reverse=True)
    print(f"ListFindings, {len(times)} first pages of {PAGE}, those that read most: CPU ms")
    for name in order[:25]:
        print(f"  {times[name]:8.1f}  {costs[name]}  {name}")
    print(f"  median {statistics.median(times.values()):.1f}, most {max(times.values()):.1f},"
          f" {sum(took > AIM for took in times.values())} over {AIM} ms")  # fmt: skip
    print(f"  median {costs[order[len(order) // 2]]}")
    if before is not None:
        _compare(times, json.loads(before.read_text("utf-8")))
    if record is not None:
        record.write_text(json.dumps(times, indent=2) + "\n", "utf-8")
    if explained:
        for name in order[:3]:
            print(f"\n{name}")
            explain(database, partial(found.page, every[name], PAGE))
    database.close()
    with Store(url) as store:
        _measure_others(store)


def _measure_others(store: Store) -> None:
    database = Database(store.where)
    counted = Aggregations(database)
    print("ListFindingAggregations, first page of 100: ms")
    for kind in AGGREGATION_KEYS:
        for accounts in (None, MEMBERS):
            wanted = FindingAggregation(kind, accounts)
            count = partial(counted.page, wanted, PAGE)
            whose = "" if accounts is None else f", {len(accounts)} accounts"
            print(f"  {best(count):8.1f}  {cost(database, count)}  {kind}{whose}")
    database.close()
    _page_coverage(store)
    print("ListCoverageStatistics: ms")
    for group in ("", *sorted(GROUP_KEYS)):
        took = best(lambda group=group: store.found_coverage.counts(CoverageSearch(), group))  # type: ignore[misc]
        print(f"  {took:8.1f}  {group or 'all'}")
    _page_findings(store)


def _page_coverage(store: Store) -> None:
    before, begin, pages = _peak(), CLOCK(), 0
    after: Mapping[str, object] | None = None
    while pages == 0 or after is not None:
        page = store.found_coverage.page(CoverageSearch(), 200, after)
        after, pages = page.position, pages + 1
    took = CLOCK() - begin
    print(f"ListCoverage of all: {took:.2f} s, {1000 * took / pages:.1f} ms a page of 200,"
          f" memory grew by {_peak() - before} MiB")  # fmt: skip


def _peak() -> int:
    """Return the most memory that this process had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _page_findings(store: Store) -> None:
    """Page through at most MOST_PAGES pages of two orders: each costs the same, wherever it is."""
    for sort in ("", "SEVERITY"):
        search = FindingSearch(None, None, sort, True)
        marks: list[float] = []
        after: Mapping[str, object] | None = None
        while len(marks) < MOST_PAGES and (after is not None or not marks):
            begin = CLOCK()
            listing = store.found_findings.page(search, PAGE, after)
            marks.append(1000 * (CLOCK() - begin))
            after = listing.position
        quarter = max(len(marks) // 4, 1)
        first, last = marks[:quarter], marks[-quarter:]
        print(f"Paging, sort {sort or 'none'}: {sum(first) / quarter:.1f} ms a page in the first"
              f" quarter of {len(marks)}, {sum(last) / quarter:.1f} ms in the last")  # fmt: skip


def explain(database: Database, run: Callable[[], object]) -> None:
    """Print the plans of the statements that a call executes."""
    lite = database.engine.dialect.name == "sqlite"
    prefix = "EXPLAIN QUERY PLAN " if lite else "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) "
    for plan in plans(database, run, prefix):
        print(*(f"    {line}" for line in plan), "", sep="\n")


@contextmanager
def place(*, server: bool) -> Iterator[str]:
    """The URL of an empty store."""
    if server:
        with postgresql(durable=False) as url:
            yield url
    else:
        with tempfile.TemporaryDirectory() as directory:
            yield f"sqlite:///{directory}/store.db"


def parser_of(description: str) -> argparse.ArgumentParser:
    """Return a parser of the options that say which store is filled."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--findings", type=int, default=300_000)
    parser.add_argument("--instances", type=int, default=6_000)
    parser.add_argument("--details", type=int, default=20_000)
    return parser


def measuring_parser(description: str) -> argparse.ArgumentParser:
    """Return the parser with the options of `measure` too."""
    parser = parser_of(description)
    parser.add_argument("--plans", dest="explained", action="store_true")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--record", type=Path)
    return parser


def measured(url: str, options: argparse.Namespace) -> None:
    """Measure as the options say."""
    names = ("explained", "before", "record")
    measure(url, **{name: getattr(options, name) for name in names})


def main() -> None:
    """Fill a store and measure."""
    options = measuring_parser(__doc__).parse_args()
    with place(server=options.postgresql) as url:
        begin = CLOCK()
        fill(url, options.findings, options.instances, options.details)
        print(f"filled in {CLOCK() - begin:.0f} s")
        measured(url, options)


if __name__ == "__main__":
    main()
