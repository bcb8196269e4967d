"""One command's hold on the control plane: store, broker and AWS, by the settings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dispatcher.discover import discover
from dispatcher.enqueue import ON_DEMAND, SCHEDULED, enqueue, tick
from dispatcher.plan import plan
from dispatcher.sweep import Swept, sweep
from sidelight.aws import sts
from sidelight.aws.ec2 import Ec2
from sidelight.aws.kms import Kms
from sidelight.aws.session import Session
from sidelight.errors import UsageError
from sidelight.store import TERMINAL, Scan, State, Store
from workers.app import make_app
from workers.tasks import publish

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from dispatcher.eligibility import Configuration
    from workers.holding import Next
    from workers.settings import Settings

BETWEEN_LOOKS = 0.25


@dataclass(frozen=True, slots=True)
class Place:
    """An account and a region."""

    account: str
    region: str


class Control:
    """Discovers, plans, publishes, waits and sweeps."""

    def __init__(self, settings: Settings, *, store: Store | None = None) -> None:
        """Opens the store and brings its tables up to date. Raises UsageError, StoreError."""
        self.settings = settings
        self.store = store or Store(settings.store_url)
        if store is None:
            self.store.migrate()
        self.deployment = settings.deployment or self.store.deployment()
        self._session = Session(role_name=settings.role_name, external_id=settings.external_id)
        self._app = make_app(settings)

    def places(self, accounts: Sequence[str], regions: Sequence[str]) -> list[Place]:
        """Those named, else the environment's own. Raises UsageError, AccessDeniedError."""
        chosen = list(regions) or [self._session.region]
        if not chosen[0]:
            raise UsageError("no AWS region: set AWS_REGION or give --region")
        owners = list(accounts) or [sts.account(self._session, region=chosen[0])]
        return [Place(account, region) for account in owners for region in chosen]

    def start_scans(
        self,
        place: Place,
        configuration: Configuration,
        *,
        on_demand: bool,
        only: Collection[str] = (),
    ) -> list[Scan]:
        """Discover a place, plan, enqueue; `only` these instances, where given.

        The scans are those made now and those that were under way.
        """
        found = discover(
            self.store,
            self._ec2(place),
            Kms(self._session, place.account, place.region),
            account=place.account,
            region=place.region,
            tag=configuration.exclusion_tag,
        )
        known = self.store.fleet.known(account=place.account, region=place.region)
        if only:
            known = [one for one in known if one.instance.id in only]
        planned = plan(
            known, self.store.clock(), configuration, found.excluded_keys, on_demand=on_demand
        )
        self.store.fleet.cover(planned.coverage)
        running = [one.live_scan for one in known if one.live_scan]
        made = enqueue(
            self.store,
            self.publish,
            planned.due,
            self.deployment,
            priority=ON_DEMAND if on_demand else SCHEDULED,
        )
        return self.store.scans.select(running) + made

    def publish(self, scan_id: str, following: Next) -> None:
        """Send one message."""
        publish(self._app, self.settings, scan_id, following)

    def wait(
        self, ids: Collection[str], *, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[list[Scan]]:
        """The scans, every quarter of a second, until all have ended; publishes what is due."""
        while True:
            tick(self.store, self.publish)
            scans = self.store.scans.select(ids)
            yield scans
            if all(scan.state in TERMINAL for scan in scans):
                return
            sleep(BETWEEN_LOOKS)

    def sweep(self, place: Place, *, dry_run: bool = False) -> Swept:
        """Delete what no live scan has. Raises CloudError, StoreError."""
        return sweep(self.store, self._ec2(place), self.deployment, dry_run=dry_run)

    def close(self) -> None:
        """Let the store and the broker go."""
        self._app.close()
        self.store.close()

    def _ec2(self, place: Place) -> Ec2:
        return Ec2(self._session, place.account, place.region)


def failed(scans: Sequence[Scan]) -> list[Scan]:
    """Those that did not end well."""
    return [scan for scan in scans if scan.state is State.FAILED]
