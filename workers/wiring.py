"""The context of a real worker: the store, AWS, the readers and the advisories, once a process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidelight import scan
from sidelight.aws.ebs import Options, open_snapshot
from sidelight.aws.ec2 import Ec2
from sidelight.aws.session import Session
from sidelight.blocks.kept import KeptBlocks
from sidelight.inventory import collect
from sidelight.store import Store
from workers.advisories import Advisories
from workers.budgets import Budget, rate_for
from workers.context import Context
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidelight.blocks import BlockSource
    from sidelight.disk import Attachment
    from sidelight.model import Inventory
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
    budget = Budget(settings, rate_for(settings))
    kept = kept_blocks(settings)

    def ec2(account: str, region: str) -> Ec2:
        return Ec2(session, account, region, pace=budget.pace(account, region))

    def opened(one: Scan, snapshot_id: str) -> OpenSnapshot:
        reader = one.account
        if settings.scanner_account not in ("", one.account):
            ec2(one.account, one.region).share(snapshot_id, settings.scanner_account)
            reader = ""  # our own credentials, and our own account's rates
        pace = budget.pace(reader or settings.scanner_account, one.region, flow=one.id)
        pace.admit()

        def client() -> Any:
            return session.client("ebs", account=reader, region=one.region)

        first = client()
        options = Options(pace, kept, _renewal(session, reader, first, client))
        return open_snapshot(
            snapshot_id,
            first,
            in_flight=settings.in_flight,
            budget=settings.cache_mib << 20,
            options=options,
        )

    advisories = Advisories(settings)
    return Context(
        store=store,
        settings=settings,
        deployment=settings.deployment or store.deployment(),
        ec2=ec2,
        open_snapshot=opened,
        inspect=_inspecting(settings),
        match=advisories.match,
        unmatched=advisories.unmatched,
        opened=advisories.opened,
        forget=kept.forget if kept is not None else lambda _: None,
    )


def kept_blocks(settings: Settings) -> KeptBlocks | None:
    """Where blocks are kept, by the settings."""
    if not settings.block_cache:
        return None
    return KeptBlocks(Path(settings.block_cache), settings.block_cache_bytes)


def _renewal(
    session: Session, account: str, first: Any, make: Callable[[], Any]
) -> Callable[[], Any]:
    """Clients with new credentials, each in the place of the last."""
    last = [first]

    def renew() -> Any:
        session.renew(account, last[0])
        last[0] = make()
        return last[0]

    return renew


def _inspecting(
    settings: Settings,
) -> Callable[[Sequence[BlockSource], tuple[Attachment, ...]], Inventory]:
    collecting = collect.Options(include_containers=settings.containers)

    def inspect(sources: Sequence[BlockSource], attachments: tuple[Attachment, ...]) -> Inventory:
        return scan.inspect(sources, scan.Options(attachments=attachments, collecting=collecting))

    return inspect
