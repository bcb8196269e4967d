"""What a finding takes in PostgreSQL, by table and index.

    python -m benchmarks.store_size [--findings 300000] [--instances 1000]

On a PostgreSQL of its own, with the rows that a fleet's scans leave: findings have keys of 64
digits, those of a scan have one moment, nine of ten are open, and open ones are last observed with
their inventory. Prints MB for a million findings.
"""

from __future__ import annotations

import argparse

import psycopg

from benchmarks.postgresql import postgresql
from sidelight.store import Store

DETAILS = 6_000
# Details of low numbers are on nearly all machines, those of high ones on few.
FILL = """
INSERT INTO findings (account, region, instance, key, detail, status, first_observed, last_observed,
                      updated_at, closed_at, expires_at, type, follows)
SELECT lpad((machine % 20)::text, 12, '1'), (ARRAY['eu-west-1', 'us-east-1'])[1 + machine % 2],
       'i-' || left(md5(machine::text), 17), encode(sha256(detail::text::bytea), 'hex'), detail,
       CASE WHEN closed THEN 'CLOSED' ELSE 'ACTIVE' END, at, at, at,
       CASE WHEN closed THEN at END, CASE WHEN closed THEN at + interval '30 days' END,
       'PACKAGE_VULNERABILITY', NOT closed
FROM (
  SELECT machine, detail, detail % 10 = 0 AS closed,
         timestamptz '2026-01-01' + machine * interval '1 minute' + detail % 5 * interval '1 day'
         AS at
  FROM generate_series(1, %(instances)s) AS machine,
       LATERAL (
         SELECT DISTINCT 1 + floor(%(details)s * power(random() + 0 * machine, 3))::int AS detail
         FROM generate_series(1, %(drawn)s)
       ) AS drawn
) AS rows
"""
SIZES = """
SELECT relname, relkind = 'r', pg_relation_size(pg_class.oid) FROM pg_class
LEFT JOIN pg_index ON indexrelid = pg_class.oid
WHERE coalesce(indrelid, pg_class.oid) = 'findings'::regclass ORDER BY 3 DESC
"""


def main() -> None:
    """Fill and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--findings", type=int, default=300_000)
    parser.add_argument("--instances", type=int, default=1_000)
    options = parser.parse_args()
    with postgresql() as url:
        with Store(url) as store:
            store.migrate()
        measure(url, options.findings, options.instances)


def measure(url: str, findings: int, instances: int) -> None:
    """Print the size of the table and of each index, for a million findings."""
    drawn = round(1.33 * findings / instances)  # some details are drawn more than once
    values = {"instances": instances, "details": DETAILS, "drawn": drawn}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL.replace("% ", "%% "), values)
        connection.execute("VACUUM ANALYZE findings")
        row = connection.execute("SELECT count(*) FROM findings").fetchone()
        assert row is not None
        count = int(row[0])
        sizes = connection.execute(SIZES).fetchall()
    print(f"{count:,} findings of {instances:,} instances; MB for a million")
    for name, is_table, size in sizes:
        print(f"  {size / count:6.1f}  {'table' if is_table else 'index'}  {name}")
    indexes = sum(size for _, is_table, size in sizes if not is_table)
    whole = sum(size for *_, size in sizes)
    print(f"  {whole / count:6.1f}  in all, of it {indexes / count:.1f} indexes")


if __name__ == "__main__":
    main()
