"""Build a worker's context, once per process: store, AWS clients, readers and advisories."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from sidelight.aws.ebs import EbsOptions, open_snapshot
from sidelight.aws.ec2 import Ec2
from sidelight.aws.network import NetworkCalls
from sidelight.aws.session import Session
from sidelight.blocks import BlockPool
from sidelight.blocks.disk_cache import DiskCache
from sidelight.fleet.advisory_file import AdvisoryFile
from sidelight.fleet.context import Context
from sidelight.fleet.disk_reading import inspecting
from sidelight.fleet.dollar_budget import Spending, on_bill
from sidelight.fleet.own_snapshots import require_own
from sidelight.fleet.rate_limit.limiter import RateLimits, rate_for
from sidelight.fleet.settings import Settings
from sidelight.fleet.snapshot_ownership import check_deployment
from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.fleet.context import OpenSnapshot
    from sidelight.model import Scan

PATIENCE = 600.0  # seconds that a call of a network's collection waits for its slot

_lock = threading.Lock()
_contexts: list[Context] = []


@functools.cache
def process_settings() -> Settings:
    """Return a worker's settings: its environment's, read once. Raises UsageError."""
    return Settings.from_environment()


def context() -> Context:
    """Return the context of this process, built from its environment at first use."""
    with _lock:
        if not _contexts:
            _contexts.append(make_context(process_settings()))
        return _contexts[0]


def forget() -> None:
    """Drop the context after a fork, so that the child does not use the parent's connections."""
    _contexts.clear()


def session_of(settings: Settings, role_name: str = "") -> Session:
    """Return the credentials of the settings: our own, the hub's, the roles in other accounts.

    `role_name`: another role in the accounts than the settings' own.
    """
    return Session(
        role_name=role_name or settings.aws.role_name,
        external_id=settings.aws.external_id,
        hub=settings.aws.hub_role,
        tags=settings.aws.tags_of_sessions,
        pool=max(10, settings.reading.in_flight),
    )


class _Pools:
    """A pool of blocks for each scan, which lives as long as a snapshot of it is open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.reading
        self._pools: WeakValueDictionary[str, BlockPool] = WeakValueDictionary()
        self._lock = threading.Lock()

    def of(self, scan: str) -> BlockPool:
        """Return the pool of the scan."""
        with self._lock:
            pool = self._pools.get(scan)
            if pool is None:
                pool = BlockPool(self._settings.cache_mib << 20, self._settings.in_flight)
                self._pools[scan] = pool
            return pool


def make_context(settings: Settings, *, store: Store | None = None) -> Context:
    """Build the context from the settings. Raises UsageError, StoreError."""
    if store is None:
        store = Store(settings.store.url)
        store.migrate()
    session = session_of(settings)
    reader_role = settings.aws.reader_role_name
    # The reader's role reads in place; shared snapshots are read with our own credentials.
    reading = session_of(settings, reader_role) if reader_role else session
    deployment = settings.snapshots.deployment or store.deployment()
    check_deployment(deployment)
    budget = RateLimits(settings, rate_for(settings), quotas=store.account_limits.of)
    kept = kept_blocks(settings)
    pools = _Pools(settings)

    def ec2(account: str, region: str) -> Ec2:
        return Ec2(session, account, region, pace=budget.pace(account, region))

    def opened(scan_row: Scan, snapshot_id: str) -> OpenSnapshot:
        reader = scan_row.account
        if settings.aws.scanner_account not in ("", scan_row.account):
            members = ec2(scan_row.account, scan_row.region)
            require_own(store, members, scan_row, deployment, snapshot_id)
            members.share(snapshot_id, settings.aws.scanner_account)
            reader = ""  # our own credentials, and our own account's rate limits
        pace = budget.pace(
            reader or settings.aws.scanner_account, scan_row.region, flow=scan_row.id
        )
        pace.admit()

        def client() -> Any:
            return reading.client("ebs", account=reader, region=scan_row.region)

        first = client()
        options = EbsOptions(on_bill(pace), kept, _renewal(reading, reader, first, client))
        return open_snapshot(
            snapshot_id,
            first,
            options=options,
            pool=pools.of(scan_row.id),
        )

    advisories = AdvisoryFile(settings)
    return Context(
        store=store,
        settings=settings,
        deployment=deployment,
        ec2=ec2,
        open_snapshot=opened,
        inspect=inspecting(settings),
        match=advisories.match,
        unmatched=advisories.unmatched,
        opened=advisories.opened,
        spending=Spending(store, settings),
        networks=_networks(settings, store, session),
        forget=kept.forget if kept is not None else lambda _: None,
    )


def _networks(
    settings: Settings, store: Store, session: Session
) -> Callable[[str, str], NetworkCalls]:
    """Return the function that makes an account-region's calls about its network.

    Nobody else would retry one of them: they wait for their slots.
    """
    patient = RateLimits(
        settings.replaced(patience_seconds=PATIENCE),
        rate_for(settings),
        quotas=store.account_limits.of,
    )

    def networks(account: str, region: str) -> NetworkCalls:
        return NetworkCalls(session, account, region, pace=patient.pace(account, region))

    return networks


def kept_blocks(settings: Settings) -> DiskCache | None:
    """Return the disk cache for blocks, if the settings name a directory."""
    if not settings.reading.block_cache:
        return None
    return DiskCache(Path(settings.reading.block_cache), settings.reading.block_cache_bytes)


def _renewal(
    session: Session, account: str, first: object, make: Callable[[], object]
) -> Callable[[], object]:
    """Return a function that replaces the last client by one with new credentials."""
    last = [first]

    def renew() -> Any:
        session.renew(account, last[0])
        last[0] = make()
        return last[0]

    return renew
