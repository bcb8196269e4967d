"""A store of so many findings and instances, drawn from a seed, for what measures queries.

An instance has the packages of one of 200 images, and some of its own: a few vulnerabilities are
everywhere, most are rare.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import text

from sidelight.model import Coverage, Finding, FixAvailable, Instance, Package, Severity
from sidelight.store import Store
from sidelight.store.base import documents
from sidelight.store.base.dialect import put_rows
from sidelight.store.base.engine import Database
from sidelight.store.base.schema import finding_details, findings
from sidelight.store.findings.finding_terms import write_terms
from sidelight.store.maintenance.kept_counts import KeptCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

START = datetime(2026, 1, 1, tzinfo=UTC)
IMAGES = 200
AT_ONCE = 20_000
REGIONS = ("eu-west-1", "us-east-1", "ap-southeast-2")
# A delegated administrator with its members.
MEMBERS = tuple(f"{100_000_000_000 + number}" for number in range(20))
T = TypeVar("T")


def fill(url: str, count: int, machines: int, details: int) -> None:
    """Write instances, their coverage, details and findings."""
    draw = random.Random(1)  # noqa: S311 - the same data each time
    accounts = [f"{100_000_000_000 + number}" for number in range(max(machines // 100, 3))]
    known = [_instance(draw, number, accounts) for number in range(machines)]
    with Store(url) as store:
        store.migrate()
        by_place: dict[tuple[str, str], list[Instance]] = {}
        for machine in known:
            by_place.setdefault((machine.account, machine.region), []).append(machine)
        for account in accounts:
            for region in REGIONS:
                store.instances.discovered(account, region, by_place.get((account, region), []))
        store.instances.cover(
            [
                Coverage(m.account, m.region, m.id, "", "ACTIVE", "SUCCESSFUL", scanned_at=START)
                for m in known
            ]
        )
    database = Database(url)
    vulnerabilities = [_finding(draw, number) for number in range(details)]
    numbered = list(enumerate(vulnerabilities, 1))
    with database.write() as connection:
        for part in _parts(numbered):
            put_rows(connection, finding_details, [_detail(number, item) for number, item in part])
            write_terms(connection, dict(part), known=False)
    per_image = [
        [int(details * draw.random() ** 3) + 1 for _ in range(count // machines)]
        for _ in range(IMAGES)
    ]
    rows = (
        _row(draw, machine, detail)
        for machine in known
        for detail in {
            *per_image[int(machine.image_id[4:], 16)],
            *(draw.randrange(details) + 1 for _ in range(3)),
        }
    )
    with _bulk(database):
        for batch in _parts(rows):
            with database.write() as connection:
                put_rows(connection, findings, batch)
    KeptCounts(database).recount()
    vacuum(database)
    database.close()


def vacuum(database: Database) -> None:
    """Vacuum and analyse PostgreSQL's tables, as autovacuum has done in a fleet's store."""
    if database.engine.dialect.name == "postgresql":
        autocommit = {"isolation_level": "AUTOCOMMIT"}
        with database.engine.connect().execution_options(**autocommit) as connection:
            connection.execute(text("VACUUM ANALYZE"))


@contextmanager
def _bulk(database: Database) -> Iterator[None]:
    """Write findings without indexes and triggers, which PostgreSQL keeps row by row.

    The indexes are created again at the end. Counts are to be counted whole.
    """
    if database.engine.dialect.name == "sqlite":
        yield
        return
    query = text(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'findings'"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
    )
    with database.write() as connection:
        indexes = connection.execute(query).all()
        for name, _ in indexes:
            connection.exec_driver_sql(f"DROP INDEX {name}")
        connection.exec_driver_sql("ALTER TABLE findings DISABLE TRIGGER USER")
    yield
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE findings ENABLE TRIGGER USER")
        for _, definition in indexes:
            connection.exec_driver_sql(definition)


def _parts(items: Iterable[T]) -> Iterator[list[T]]:
    part: list[T] = []
    for item in items:
        part.append(item)
        if len(part) == AT_ONCE:
            yield part
            part = []
    yield part


def _instance(draw: random.Random, number: int, accounts: list[str]) -> Instance:
    tags = (("env", draw.choice(("prod", "test", "dev"))), ("number", str(number)))
    return Instance(
        f"i-{number:017x}", draw.choice(accounts), draw.choice(REGIONS), "running", (), tags=tags,
        image_id=f"ami-{draw.randrange(IMAGES):017x}", vpc_id=f"vpc-{draw.randrange(50)}",
        subnet_id=f"subnet-{draw.randrange(200)}",
    )  # fmt: skip


def _finding(draw: random.Random, number: int) -> Finding:
    package = Package(
        "deb", f"package-{number % 3000}", "1.2-3", "/var/lib/dpkg/status", f"pkg:deb/{number}",
        arch="amd64",
    )  # fmt: skip
    grades = (Severity.LOW, Severity.MEDIUM, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)
    return Finding(
        f"CVE-2024-{number:05}", draw.choice(grades), package, "2",
        tuple(f"USN-{draw.randrange(5000)}" for _ in range(2)), title="A buffer overflow. " * 10,
        severity_source="Debian", epss=round(draw.random() ** 4, 5),
        score=round(draw.random() * 10, 1), ecosystem="Debian:12",
        exploited_since="2025-01-01" if number % 100 == 0 else "",
        fix_available=draw.choice(list(FixAvailable)),
    )  # fmt: skip


def _detail(number: int, finding: Finding) -> dict[str, object]:
    return {
        "id": number, "software": number, "vulnerability": finding.vulnerability,
        "key": f"{number}", "severity": finding.severity.value, "score": finding.score,
        "current": True, "touched": 0, "facts": "", "digest": "",
        "document": documents.dump(finding), "type": finding.type.value,
    }  # fmt: skip


def _row(draw: random.Random, machine: Instance, detail: int) -> dict[str, object]:
    first = START + timedelta(seconds=draw.randrange(86_400 * 30))
    status = (
        "SUPPRESSED" if draw.random() < 0.0005 else "CLOSED" if draw.random() < 0.1 else "ACTIVE"
    )
    return {
        "account": machine.account, "region": machine.region, "instance": machine.id,
        "key": str(detail), "detail": detail, "status": status, "first_observed": first,
        "last_observed": first + timedelta(days=draw.randrange(10)), "updated_at": first,
        "type": "PACKAGE_VULNERABILITY",
    }  # fmt: skip
