"""The context of a real worker: the store, AWS, the readers and the advisories, once a process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sidelight import matching, scan
from sidelight.advisories.database import Database
from sidelight.aws.ebs import open_snapshot
from sidelight.aws.ec2 import Ec2
from sidelight.aws.session import Session
from sidelight.store import Store
from workers.budgets import Budget, bucket_for
from workers.context import Context
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.blocks import BlockSource
    from sidelight.model import Finding, Inventory
    from sidelight.store import Scan
    from workers.context import OpenSnapshot

_lock = threading.Lock()
_contexts: list[Context] = []


def context() -> Context:
    """The context of this process, from its environment, made at first use."""
    with _lock:
        if not _contexts:
            _contexts.append(make_context(Settings.from_environment()))
        return _contexts[0]


def forget() -> None:
    """After a fork: leave the parent's connections alone and make new ones."""
    _contexts.clear()


def session_of(settings: Settings) -> Session:
    """Credentials as the settings say: our own, the hub's, and the roles in other accounts."""
    return Session(
        role_name=settings.role_name,
        external_id=settings.external_id,
        hub=settings.hub_role,
        tags=settings.tags_of_sessions,
        pool=max(10, settings.in_flight),
    )


def make_context(settings: Settings, *, store: Store | None = None) -> Context:
    """Wire everything together. Raises UsageError, StoreError."""
    if store is None:
        store = Store(settings.store_url)
        store.migrate()
    session = session_of(settings)
    budget = Budget(settings, bucket_for(settings.broker_url))

    def opened(one: Scan, snapshot_id: str) -> OpenSnapshot:
        reader = one.account
        if settings.scanner_account not in ("", one.account):
            Ec2(session, one.account, one.region).share(snapshot_id, settings.scanner_account)
            reader = ""  # our own credentials, and our own account's rates
        return open_snapshot(
            snapshot_id,
            session.client("ebs", account=reader, region=one.region),
            in_flight=settings.in_flight,
            before_call=budget.before_call(reader or settings.scanner_account, one.region),
        )

    advisories = Advisories(settings)
    return Context(
        store=store,
        settings=settings,
        deployment=settings.deployment or store.deployment(),
        ec2=lambda account, region: Ec2(session, account, region),
        open_snapshot=opened,
        inspect=_inspect,
        match=advisories.match,
        unmatched=advisories.unmatched,
    )


class Advisories:
    """The advisory database; when its file is replaced by a newer one, that one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._database: Database | None = None
        self._stamp: tuple[int, int] = (0, 0)

    def match(self, inventory: Inventory) -> Sequence[Finding]:
        """Findings by the present database. Raises UsageError, DatabaseError."""
        return matching.match(inventory, self._open())

    def unmatched(self, inventory: Inventory) -> list[str]:
        """A sentence for each ecosystem of which the database can say nothing."""
        return [
            f"{item.packages} packages of {item.ecosystem}: {item.why}"
            for item in matching.unmatched_ecosystems(inventory, self._open())
        ]

    def _open(self) -> Database:
        path = self._settings.advisories_path
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
        except OSError:
            stamp = (0, 0)
        with self._lock:
            if self._database is None or stamp != self._stamp:
                # The old one is not closed: another thread may be matching by it.
                self._database, self._stamp = Database.open(path), stamp
            return self._database


def _inspect(sources: Sequence[BlockSource], devices: tuple[str, ...]) -> Inventory:
    return scan.inspect(sources, scan.Options(devices=devices))
