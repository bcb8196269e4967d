"""How long an upgrade from revision 0027 takes, and how long writers wait for it meanwhile.

    python -m benchmarks.upgrade --findings 5000000

On a PostgreSQL of its own: the longest of one writer's transactions during the upgrade, each of
which changes one finding.
"""

from __future__ import annotations

import argparse
import threading
import time
from typing import Self

import psycopg
from alembic import command

from benchmarks.postgresql import postgresql
from sidelight.store import Store
from sidelight.store.base.engine import Database
from sidelight.store.migrate import _config, migrate

# A few vulnerabilities on all machines: 250 findings of each instance.
FILL = """
INSERT INTO findings (account, region, instance, key, detail, status, first_observed, last_observed,
                      updated_at, type)
SELECT '111122223333', 'eu-west-1', 'i-' || lpad((n / 250)::text, 17, '0'), md5(n::text), n %% 250,
       'ACTIVE', now(), now(), now(), 'PACKAGE_VULNERABILITY'
FROM generate_series(1, %s) AS n
"""
CHANGE = "UPDATE findings SET updated_at = now() WHERE id = %s"


class FindingChanger:
    """Changes one finding after the other until it is stopped."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seconds: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            number = 0
            while not self._stop.is_set():
                number += 1
                begun = time.perf_counter()
                connection.execute(CHANGE, [number])
                self.seconds.append(time.perf_counter() - begun)


def main() -> None:
    """Fill, upgrade, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--findings", type=int, default=5_000_000)
    count = parser.parse_args().findings
    with postgresql() as url:
        with Store(url) as store:
            store.migrate()
        database = Database(url)
        with database.write() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.downgrade(config, "0027")
        with psycopg.connect(url, autocommit=True) as filling:
            filling.execute(FILL, [count])
            filling.execute("ANALYZE findings")
        with FindingChanger(url) as writer:
            begun = time.perf_counter()
            migrate(database)
            seconds = time.perf_counter() - begun
        database.close()
    print(f"{count} findings: upgraded in {seconds:.0f} s")
    print(f"{len(writer.seconds)} writes meanwhile, the longest took {max(writer.seconds):.2f} s")


if __name__ == "__main__":
    main()
