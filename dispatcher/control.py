"""One command's hold on the control plane: store, broker and AWS, by the settings."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kombu.exceptions import OperationalError

from dispatcher.discover import Discoverer
from dispatcher.eligibility import CLOSING
from dispatcher.enqueue import enqueue, tick
from dispatcher.places import Place, Unreachable, Wanted, all_of, in_each, look_up
from dispatcher.plan import in_turns, plan
from dispatcher.publishing import Publisher, sink_of
from dispatcher.sweep import Swept, record, sweep
from sidelight.aws.ec2 import Ec2
from sidelight.errors import SidelightError
from sidelight.store import TERMINAL, Scan, Store
from workers.advisories import Advisories
from workers.app import ON_DEMAND, SCHEDULED, make_app
from workers.budgets import Budget, rate_for
from workers.tasks import publish, publish_reevaluation
from workers.wiring import session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from dispatcher.discover import Discovery
    from dispatcher.eligibility import Configuration
    from sidelight.model import Instance
    from sidelight.store import Keeper
    from workers.advisories import Opened
    from workers.holding import Next
    from workers.settings import Settings

log = logging.getLogger(__name__)

BETWEEN_LOOKS = 0.25
# Instances whose findings a worker brings to a new database by itself; a region's workers at most.
OF_ONE_WORKER, MOST_ASKED = 2000, 8
PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Started:
    """What a look at several places came to: scans made or under way, and what was not seen."""

    scans: tuple[Scan, ...]
    reached: tuple[Place, ...]
    unreachable: tuple[Unreachable, ...]


class Control:
    """Discovers, plans, publishes, waits and sweeps."""

    def __init__(self, settings: Settings, *, store: Store | None = None) -> None:
        """Opens the store and brings its tables up to date. Raises UsageError, StoreError."""
        self.settings = settings
        self.store = store or Store(settings.store_url)
        if store is None:
            self.store.migrate()
        self.deployment = settings.deployment or self.store.deployment()
        self._session = session_of(settings)
        # The workers' budget; here a call waits for its turn, since nobody would take it up again.
        patient = replace(settings, patience_seconds=PATIENCE)
        rate = rate_for(settings, logging.INFO)
        self._budget = Budget(patient, rate)
        self.keeper: Keeper | None = None  # of the scans that are made here, if not workers
        self._app = make_app(settings)
        self._discoverer = Discoverer(
            self.store, self._session, self._ec2, settings, self.deployment
        )
        self._advisories = Advisories(settings)
        self._noticed: Opened | None = None
        self._refused = ""

    def places(self, accounts: Sequence[str], regions: Sequence[str]) -> list[Place]:
        """Those named, else the environment's own. Raises UsageError, AccessDeniedError."""
        found = self.look_up(Wanted(accounts=accounts, regions=regions))
        return [place for place in found if isinstance(place, Place)]

    def look_up(self, wanted: Wanted) -> list[Place | Unreachable]:
        """Accounts and regions. Raises UsageError, AccessDeniedError, CloudError."""
        return look_up(self._session, wanted)

    def start_everywhere(
        self,
        places: Sequence[Place | Unreachable],
        configuration: Configuration,
        *,
        on_demand: bool,
        only: Collection[str] = (),
        stopped: Callable[[], bool] = lambda: False,
    ) -> Started:
        """Scans in all these places, until `stopped`; one that cannot be entered stops no other.

        Coverage tells of what could not be seen. Raises StoreError.
        """
        closed = [place for place in places if isinstance(place, Unreachable)]
        open_ = [place for place in places if isinstance(place, Place)]
        running: list[str] = []
        due: list[Sequence[Instance]] = []
        reached: list[Place] = []
        looked = in_each(open_, lambda place: self._discoverer(place, configuration), stopped)
        for place, found in looked:
            if isinstance(found, Unreachable):
                closed.append(found)
                continue
            reached.append(place)
            there, new = self._plan(place, found, configuration, on_demand=on_demand, only=only)
            running += there
            due.append(new)
        self._cover(reached, closed)
        scans = self._start(running, in_turns(due), on_demand=on_demand)
        return Started(tuple(scans), tuple(reached), tuple(closed))

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
        found = self._discoverer(place, configuration)
        running, due = self._plan(place, found, configuration, on_demand=on_demand, only=only)
        return self._start(running, due, on_demand=on_demand)

    def _plan(
        self,
        place: Place,
        found: Discovery,
        configuration: Configuration,
        *,
        on_demand: bool,
        only: Collection[str],
    ) -> tuple[list[str], Sequence[Instance]]:
        """The scans that are under way, and the instances that are due; coverage is written."""
        known = self.store.fleet.with_history(place.account, place.region, found.instances)
        if only:
            known = [one for one in known if one.instance.id in only]
        planned = plan(
            known,
            self.store.clock(),
            replace(
                configuration,
                untold_keys=found.untold_keys,
                unshareable_keys=found.unshareable_keys,
            ),
            found.excluded_keys,
            on_demand=on_demand,
        )
        self.store.fleet.cover(planned.coverage)
        ineligible = [row.instance for row in planned.coverage if row.reason in CLOSING]
        self.store.findings.close_instances(place.account, ineligible)
        return [one.live_scan for one in known if one.live_scan], planned.due

    def _start(
        self, running: Sequence[str], due: Sequence[Instance], *, on_demand: bool
    ) -> list[Scan]:
        if on_demand and self.keeper is None and self.store.publications.hasten(running, ON_DEMAND):
            # They may stand behind a whole fleet. The message that is there finds nothing to do.
            tick(self.store, self.publish)
        made = enqueue(
            self.store,
            self.publish,
            due,
            self.deployment,
            priority=ON_DEMAND if on_demand else SCHEDULED,
            keeper=self.keeper,
        )
        return self.store.scans.select(running) + made

    def _cover(self, reached: Sequence[Place], closed: Sequence[Unreachable]) -> None:
        """Say of each closed place why; of one that is open again, nothing any more."""
        for account in sorted({place.account for place in reached}):
            regions = [place.region for place in reached if place.account == account]
            self.store.fleet.uncover(account, ["*", *map(all_of, regions)])
        for one in closed:
            rows = [one.coverage()]
            # What was refused is known; what only went wrong this once changes no instance.
            known_there = (
                self.store.fleet.known(account=one.account, region=one.region) if one.denied else ()
            )
            for known in known_there:
                instance = known.instance
                rows.append(
                    replace(
                        rows[0], region=instance.region, instance=instance.id, name=instance.name
                    )
                )
            self.store.fleet.cover(rows)

    def publish(self, scan_id: str, following: Next) -> None:
        """Send one message."""
        publish(self._app, self.settings, scan_id, following)

    def notice_advisories(self) -> bool:
        """Whether another advisory database is in place since the last look, and is the newest.

        False, too, where we are told of none: then the workers look, when they are asked.
        """
        if not self.settings.advisories:
            return False
        try:
            opened = self._advisories.opened()
        except SidelightError as error:
            if str(error) != self._refused:
                log.warning("advisories: %s", error)
            self._refused = str(error)
            return False
        if opened is self._noticed:
            return False
        newest = self.store.reevaluation.notice(opened)
        if not newest:
            log.warning("%s is older than what the findings are by", self.settings.advisories)
        self._noticed, self._refused = opened, ""
        return newest

    def publish_events(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Send what happened to findings to where the settings say; how many events.

        Raises CloudError, AccessDeniedError where they are not taken, UsageError for no such place.
        """
        target = self.settings.publish
        if not target:
            return 0
        sink = sink_of(target, self._session)
        return Publisher(self.store, target, sink).run(stopped)

    def reevaluate(self, *, everywhere: bool = False) -> None:
        """Ask workers to go on with what a new advisory database left to do, where it did.

        A message asks one; of many instances, several share the work. `everywhere`: to see
        whether there is a new one.
        """
        for region, count in self.store.reevaluation.regions(pending=not everywhere).items():
            helpers = 1 if everywhere else min(1 + count // OF_ONE_WORKER, MOST_ASKED)
            try:
                for _ in range(helpers):
                    publish_reevaluation(self._app, self.settings, region)
            except (OperationalError, OSError) as error:
                log.warning("the broker does not answer: %s", error)
                return

    def wait(
        self, ids: Collection[str], *, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[list[Scan]]:
        """The scans, every quarter of a second, until all have ended; publishes what is due.

        Of many scans a look takes its time, and the next one comes later: a tenth is for looking.
        """
        ended: dict[str, Scan] = {}
        while True:
            begin = time.monotonic()
            tick(self.store, self.publish)
            live = self.store.scans.select([one for one in ids if one not in ended])
            ended |= {scan.id: scan for scan in live if scan.state in TERMINAL}
            scans = [*ended.values(), *(scan for scan in live if scan.state not in TERMINAL)]
            yield sorted(scans, key=lambda scan: (scan.created_at, scan.id))
            if len(ended) == len(scans):
                return
            sleep(max(BETWEEN_LOOKS, 9 * (time.monotonic() - begin)))

    def sweep(self, place: Place, *, dry_run: bool = False) -> Swept:
        """Delete what no live scan has, and count it. Raises CloudError, StoreError."""
        swept = sweep(self.store, self._ec2(place), self.deployment, dry_run=dry_run)
        if not dry_run:
            record(self.store, place.account, place.region, swept)
        return swept

    def sweep_everywhere(
        self,
        places: Sequence[Place | Unreachable],
        *,
        dry_run: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> tuple[list[tuple[Place, Swept]], list[Unreachable]]:
        """Sweep all these places; those that could not be looked at are the second. StoreError."""
        closed = [place for place in places if isinstance(place, Unreachable)]
        open_ = [place for place in places if isinstance(place, Place)]
        swept: list[tuple[Place, Swept]] = []

        looked = in_each(open_, lambda place: self.sweep(place, dry_run=dry_run), stopped)
        for place, seen in looked:
            if isinstance(seen, Unreachable):
                closed.append(seen)
            else:
                swept.append((place, seen))
        return swept, closed

    def close(self) -> None:
        """Let the store and the broker go."""
        self._app.close()
        self.store.close()

    def _ec2(self, place: Place) -> Ec2:
        pace = self._budget.pace(place.account, place.region)
        return Ec2(self._session, place.account, place.region, pace=pace)
