"""Where lives are lived: a local cloud, a Redis, and a fresh store for each."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from typing import TYPE_CHECKING, Any

import redis

from sidelight.model import TERMINAL, FindingStatus, State
from sidelight.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud
    from tests.faults.life import Zygote

LIVES = 8
Found = list[tuple[str, str, str, str]]


class Fleet:
    """A fleet that is scanned again and again, each time from an empty store."""

    def __init__(
        self, zygote: Zygote, cloud: LocalCloud, broker: str, advisories: Path, directory: Path
    ) -> None:
        self.zygote, self.cloud, self.broker = zygote, cloud, broker
        self.advisories, self.directory = advisories, directory
        self.postgresql = ""  # the server's URL, where that is the store
        self.settings: dict[str, str] = {}
        self.store_url = ""
        self._template = directory / "template.db"

    def environment(self) -> dict[str, str]:
        """Of a life."""
        return {
            **self.cloud.environment(),
            "SIDELIGHT_BROKER_URL": self.broker,
            "SIDELIGHT_STORE_URL": self.store_url,
            "SIDELIGHT_ADVISORIES": str(self.advisories),
            "SIDELIGHT_ROLE_NAME": "SidelightScanner",
            "SIDELIGHT_IN_FLIGHT": "1",
        } | self.settings

    def begin(self) -> None:
        """An empty store and an empty broker."""
        with redis.Redis.from_url(self.broker) as client:
            client.flushall()
        self.store_url = self._postgresql() if self.postgresql else self._sqlite()

    def live(self, fault: dict[str, Any], life: int = 0) -> tuple[int, list[str]]:
        """One life; each is some hours after the last, in the cloud as well."""
        hours = 2.0 * life
        now = time.time() + hours * 3600
        self.cloud.clock.advance(now - self.cloud.clock.now())
        return self.zygote.live(environment=self.environment(), fault=fault, hours=hours, life=life)

    def recover(self, at: str, first: int = 1) -> None:
        """Undisturbed lives until all is done."""
        statuses = []
        for life in range(first, first + LIVES):
            status, _ = self.live({}, life)
            statuses.append(status)
            if status == 0 and self.states() == {State.DONE}:
                return
        log = (self.zygote.directory / "lives.log").read_text()
        raise AssertionError(f"{at}: {self.states()} {statuses}: {log[-3000:]}")

    def check(self, expected: Found, at: str) -> None:
        """What has to be true in the end, whatever happened."""
        with Store(self.store_url) as store:
            scans = store.scans.select()
            assert {scan.state for scan in scans} <= TERMINAL, at
            found = sorted(
                (row.instance, row.finding.vulnerability, row.finding.package.purl,
                 row.finding.package.path)
                for row in store.findings.rows(status=FindingStatus.ACTIVE)
            )  # fmt: skip
            assert found == expected, at
            receipts = [s for scan in scans for s in store.scans.snapshots(scan.id)]
            assert all(snapshot.deleted_at for snapshot in receipts), at
        assert self.cloud.snapshots() == [], at

    def findings(self) -> Found:
        """Those of the store."""
        with Store(self.store_url) as store:
            return sorted(
                (row.instance, row.finding.vulnerability, row.finding.package.purl,
                 row.finding.package.path)
                for row in store.findings.rows(status=FindingStatus.ACTIVE)
            )  # fmt: skip

    def states(self) -> set[State]:
        """The last scan of each instance."""
        with Store(self.store_url) as store:
            last = {scan.instance: scan.state for scan in store.scans.select()}
        return set(last.values())

    def _sqlite(self) -> str:
        if not self._template.exists():
            with Store(f"sqlite:///{self._template}") as store:
                store.migrate()
        path = self.directory / f"{uuid.uuid4().hex}.db"
        for old in self.directory.glob("*.db*"):
            if old != self._template:
                os.unlink(old)  # noqa: PTH108 - a scratch file
        shutil.copyfile(self._template, path)
        return f"sqlite:///{path}"

    def _postgresql(self) -> str:
        import psycopg

        template, name = "lives_template", f"life{uuid.uuid4().hex}"
        with psycopg.connect(self.postgresql.format("postgres"), autocommit=True) as connection:
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [template]
            ).fetchone()
            if known is None:
                connection.execute(f"CREATE DATABASE {template}".encode())
                with Store(self.postgresql.format(template)) as store:
                    store.migrate()
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {template}'.encode())
        return self.postgresql.format(name)
