"""The fleet's metrics in Prometheus's text format: read from the store and the broker when asked.

Nothing is counted in this process, so that any number of exporters tell the same, and none loses
anything when it ends. What is summed over a large store is told as it last was, with its age: a
scrape that took longer than its time would tell nothing, not even the queues that scale workers.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from kombu.exceptions import ChannelError, OperationalError
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sidelight.model import Severity
from sidelight.store import FindingStatus, State
from workers.app import STAGE_OF, STAGES, make_app, queues
from workers.budgets import met

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from dispatcher.kept import Kept
    from dispatcher.sums import Sums
    from sidelight.store import Store
    from workers.settings import Settings

log = logging.getLogger(__name__)

RECENT = timedelta(hours=1)
PARTS = ("took", "waited", "ran", "paced")  # of a stage's time: sidelight.store.stages
BROKER_SECONDS = 2.0  # a scrape does not wait longer for a broker that is away


class Fleet(Collector):
    """What one scrape collects. Raises StoreError while the store does not answer."""

    def __init__(self, store: Store, settings: Settings, kept: Kept[Sums]) -> None:
        self._store = store
        self._settings = settings
        self._kept = kept

    def collect(self) -> Iterator[Metric]:
        """All of it."""
        yield from self._queues()
        yield from self._scans()
        yield from self._stages()
        yield from self._budgets()
        yield from self._sweeps()
        told = self._kept()
        yield GaugeMetricFamily(
            "sidelight_sums_age_seconds",
            "How old the sums over the whole store are: instances, coverage, findings, costs.",
            value=told.age,
        )
        yield from covered(told.value)
        yield from costs(told.value)

    def _queues(self) -> Iterator[Metric]:
        """Jobs that wait and jobs under way: their sum is what a scaler of workers needs.

        A broker's own count misses what workers have fetched; the leases in the store tell that.
        """
        jobs = GaugeMetricFamily(
            "sidelight_queue_jobs", "Jobs of a queue: waiting in the broker, or held by a worker.",
            labels=["queue", "state"],
        )  # fmt: skip
        live = self._store.totals.live_scans()
        regions = sorted({one.region for one in live}) if self._settings.regional_queues else [""]
        running = dict.fromkeys(queues(STAGES, regions, self._settings), 0)
        for one in live:
            region = one.region if self._settings.regional_queues else ""
            (name, *_) = queues([STAGE_OF[one.state]], [region], self._settings)
            running[name] += one.held
        queued = self._queued(list(running))
        for name, count in running.items():
            jobs.add_metric([name, "running"], count)
            if name in queued:
                jobs.add_metric([name, "queued"], queued[name])
        yield jobs
        yield GaugeMetricFamily(
            "sidelight_broker_up", "Whether the broker answered.", value=bool(queued)
        )

    def _queued(self, names: list[str]) -> dict[str, int]:
        """Messages that wait, over all priorities; nothing where the broker does not answer."""
        found: dict[str, int] = {}
        app = make_app(self._settings)
        try:
            with app.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=BROKER_SECONDS)
                for name in names:
                    try:
                        told = connection.default_channel.queue_declare(name, passive=True)
                        found[name] = told.message_count
                    except ChannelError:  # an empty queue is none, in Redis
                        found[name] = 0
        except (OperationalError, OSError) as error:
            log.warning("the broker does not answer: %s", error)
            return {}
        finally:
            app.close()
        return found

    def _scans(self) -> Iterator[Metric]:
        counts = self._store.scans.counts()
        scans = GaugeMetricFamily("sidelight_scans", "Scans by state.", labels=["state"])
        for state in State:
            scans.add_metric([state.value], counts.get(state, 0))
        yield scans
        ages = GaugeMetricFamily(
            "sidelight_oldest_scan_seconds", "How long the oldest scan has been in a state.",
            labels=["state"],
        )  # fmt: skip
        now = self._store.clock()
        oldest: dict[State, float] = {}
        for one in self._store.totals.live_scans():
            age = (now - one.oldest).total_seconds()
            oldest[one.state] = max(age, oldest.get(one.state, 0.0))
        for state, age in oldest.items():
            ages.add_metric([state.value], age)
        yield ages

    def _stages(self) -> Iterator[Metric]:
        """Quantiles and sums over the last hour's scans.

        They come from the scans' own rows, so they are exact, and the same from every exporter.
        """
        seconds = GaugeMetricFamily(
            "sidelight_stage_seconds",
            "Seconds of a stage, of scans in the last hour: took, waited (queue), ran, paced.",
            labels=["stage", "part", "quantile"],
        )
        scans = GaugeMetricFamily(
            "sidelight_stage_scans", "Scans that passed a stage in the last hour.", labels=["stage"]
        )
        sums = GaugeMetricFamily(
            "sidelight_stage_seconds_sum", "The same scans' seconds added up.",
            labels=["stage", "part"],
        )  # fmt: skip
        for one in self._store.stages.times(self._store.clock() - RECENT):
            scans.add_metric([one.stage], one.scans)
            for part in PARTS:
                spread = getattr(one, part)
                seconds.add_metric([one.stage, part, "0.5"], spread.p50)
                seconds.add_metric([one.stage, part, "0.95"], spread.p95)
                sums.add_metric([one.stage, part], spread.sum)
        yield from (seconds, scans, sums)

    def _budgets(self) -> Iterator[Metric]:
        labels = ["account", "region", "budget"]
        waits = CounterMetricFamily(
            "sidelight_budget_wait_seconds", "Seconds that calls waited for their turn.",
            labels=labels,
        )  # fmt: skip
        refused = CounterMetricFamily(
            "sidelight_budget_handed_back", "Calls whose turn was too far: the message went back.",
            labels=labels,
        )  # fmt: skip
        throttles = CounterMetricFamily(
            "sidelight_throttles", "Calls that AWS throttled.", labels=labels
        )
        for one in met(self._settings):
            place = [one.account, one.region, one.budget]
            waits.add_metric(place, one.told.waited)
            refused.add_metric(place, one.told.refused)
            throttles.add_metric(place, one.told.throttles)
        yield from (waits, refused, throttles)

    def _sweeps(self) -> Iterator[Metric]:
        in_flight = GaugeMetricFamily(
            "sidelight_snapshots_in_flight", "Snapshots of live scans, made or being made.",
            labels=["account", "region", "state"],
        )  # fmt: skip
        for flying in self._store.totals.snapshots_in_flight():
            in_flight.add_metric([flying.account, flying.region, flying.state.value], flying.count)
        yield in_flight
        orphans = CounterMetricFamily(
            "sidelight_orphan_snapshots", "Snapshots that outlived their scan: should stay 0.",
            labels=["account", "region"],
        )  # fmt: skip
        left = GaugeMetricFamily(
            "sidelight_orphan_snapshots_left", "Those that the last sweep could not delete.",
            labels=["account", "region"],
        )  # fmt: skip
        for one in self._store.sweeps.all():
            orphans.add_metric([one.account, one.region], one.orphans)
            left.add_metric([one.account, one.region], one.remaining)
        yield from (orphans, left)


def covered(sums: Sums) -> Iterator[Metric]:
    """Instances, their coverage and their findings."""
    yield GaugeMetricFamily(
        "sidelight_instances", "Instances that exist, as last discovered.",
        value=sums.instances,
    )  # fmt: skip
    coverage = GaugeMetricFamily(
        "sidelight_coverage_instances", "Instances by coverage.", labels=["status", "reason"]
    )
    for row in sums.coverage:
        coverage.add_metric([row.status_code, row.reason], row.count)
    yield coverage
    found = GaugeMetricFamily(
        "sidelight_findings", "Active findings by severity.", labels=["severity"]
    )
    for severity in Severity:
        found.add_metric([severity.value], sums.findings.get(severity.value, 0))
    yield found
    kept = GaugeMetricFamily(
        "sidelight_findings_by_status", "Findings that are kept, by status.", labels=["status"]
    )
    for status in FindingStatus:
        kept.add_metric([status.value], sums.findings_by_status.get(status.value, 0))
    yield kept


def costs(sums: Sums) -> Iterator[Metric]:
    """What scans have cost."""
    for name, what, member in (
        ("get_calls", "GetSnapshotBlock calls.", "get_calls"),
        ("list_calls", "ListSnapshotBlocks calls.", "list_calls"),
        ("read_bytes", "Bytes read from snapshots.", "bytes"),
        ("read_seconds", "Seconds of reading.", "seconds"),
        ("read_cpu_seconds", "Seconds of CPU of reading.", "cpu_seconds"),
        ("usd", "Dollars of the EBS direct APIs' calls.", "usd"),
    ):
        family = CounterMetricFamily(f"sidelight_{name}", what, labels=["account", "region"])
        for row in sums.costs:
            family.add_metric([row.account, row.region], getattr(row, member))
        yield family


def exposition(store: Store, settings: Settings, kept: Kept[Sums]) -> bytes:
    """The text of one scrape. Raises StoreError."""
    # Registered without a look at what it collects: that would be a scrape of its own.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Fleet(store, settings, kept))
    return generate_latest(registry)
