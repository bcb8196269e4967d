"""The fleet's metrics in Prometheus's text format, read from store and broker at each scrape.

This process counts nothing itself, so any number of exporters report the same values, and none
loses values when it ends. Totals over a large store are cached and reported with their age: a
scrape that timed out would report nothing, not even the queue depths that scale workers.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from dispatcher.services.stage_times import PARTS, RECENT
from sidelight.fleet.advisory_updates.ages import ages_of
from sidelight.fleet.rate_limit.limiter import met
from sidelight.model import STAGE_OF, STAGES, FindingStatus, Severity, State
from sidelight.report.escape import printable
from workers.message_queue import depths
from workers.queues import queues

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from dispatcher.services.cached_value import RefreshingValue
    from dispatcher.services.fleet_totals import Sums
    from sidelight.fleet.settings import Settings
    from sidelight.store import Store

log = logging.getLogger(__name__)

BROKER_SECONDS = 2.0  # the longest that a scrape waits for a broker that does not answer


class FleetCollector(Collector):
    """The collector of one scrape. Raises StoreError while the store does not answer."""

    def __init__(self, store: Store, settings: Settings, kept: RefreshingValue[Sums]) -> None:
        self._store = store
        self._settings = settings
        self._kept = kept

    def collect(self) -> Iterator[Metric]:
        """Return all metrics, with escaped labels."""
        return map(inert, self._metrics())

    def _metrics(self) -> Iterator[Metric]:
        yield from self._queues()
        yield from self._scans()
        yield from self._stages()
        yield from self._budgets()
        yield from self._sweeps()
        yield self._events()
        yield CounterMetricFamily(
            "sidelight_messages_dropped",
            "Messages that no part of Sidelight sent, or that are not signed: should stay 0.",
            value=self._store.dropped_messages.total(),
        )
        yield from advisories(self._settings, datetime.now(UTC))
        totals = self._kept()
        yield GaugeMetricFamily(
            "sidelight_sums_age_seconds",
            "How old the sums over the whole store are: instances, coverage, findings, costs.",
            value=totals.age,
        )
        yield from covered(totals.value)
        yield from costs(totals.value)

    def _queues(self) -> Iterator[Metric]:
        """Yield waiting and running jobs: an autoscaler of workers needs their sum.

        A broker's own count misses messages that workers have fetched; the store's leases show
        them.
        """
        jobs = GaugeMetricFamily(
            "sidelight_queue_jobs", "Jobs of a queue: waiting in the broker, or held by a worker.",
            labels=["queue", "state"],
        )  # fmt: skip
        live = self._store.totals.live_scans()
        regions = (
            sorted({group.region for group in live})
            if self._settings.broker.regional_queues
            else [""]
        )
        running = dict.fromkeys(queues(STAGES, regions, self._settings), 0)
        for group in live:
            region = group.region if self._settings.broker.regional_queues else ""
            (name, *_) = queues([STAGE_OF[group.state]], [region], self._settings)
            running[name] += group.held
        queued = depths(self._settings, list(running))
        for name, count in running.items():
            jobs.add_metric([name, "running"], count)
            if name in queued:
                jobs.add_metric([name, "queued"], queued[name])
        yield jobs
        yield GaugeMetricFamily(
            "sidelight_broker_up", "Whether the broker answered.", value=bool(queued)
        )

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
        for group in self._store.totals.live_scans():
            age = (now - group.oldest).total_seconds()
            oldest[group.state] = max(age, oldest.get(group.state, 0.0))
        for state, age in oldest.items():
            ages.add_metric([state.value], age)
        yield ages

    def _stages(self) -> Iterator[Metric]:
        """Yield quantiles and sums over the last hour's scans.

        They are computed from the scans' rows, so they are exact, and equal in every exporter.
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
        for times in self._store.stage_times.times(self._store.clock() - RECENT):
            scans.add_metric([times.stage], times.scans)
            for part in PARTS:
                spread = getattr(times, part)
                seconds.add_metric([times.stage, part, "0.5"], spread.p50)
                seconds.add_metric([times.stage, part, "0.95"], spread.p95)
                sums.add_metric([times.stage, part], spread.sum)
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
        for limiter in met(self._settings):
            place = [limiter.account, limiter.region, limiter.budget]
            waits.add_metric(place, limiter.stats.waited)
            refused.add_metric(place, limiter.stats.refused)
            throttles.add_metric(place, limiter.stats.throttles)
        yield from (waits, refused, throttles)

    def _events(self) -> Metric:
        lag = GaugeMetricFamily(
            "sidelight_event_lag_seconds",
            "Age of the oldest event that a target of events has not taken; 0 where it has all.",
            labels=["target"],
        )
        for target, seconds in self._store.outbox.lags(self._store.clock()).items():
            lag.add_metric([target], seconds)
        return lag

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
        foreign = GaugeMetricFamily(
            "sidelight_foreign_snapshots",
            "Snapshots that carried our tags at the last sweep and are not ours: not touched.",
            labels=["account", "region"],
        )
        for sweep in self._store.sweeps.all():
            orphans.add_metric([sweep.account, sweep.region], sweep.orphans)
            left.add_metric([sweep.account, sweep.region], sweep.remaining)
            foreign.add_metric([sweep.account, sweep.region], sweep.foreign_snapshots)
        yield from (orphans, left, foreign)


def advisories(settings: Settings, now: datetime) -> Iterator[Metric]:
    """Yield the ages of the advisory database and of its feeds; nothing without a database."""
    if not settings.findings.has_advisories:
        return
    ages = ages_of(settings.findings.advisories_path)
    if ages is None:
        return
    yield GaugeMetricFamily(
        "sidelight_advisories_age_seconds", "Seconds since the advisory database was built.",
        value=(now - ages.built_at).total_seconds(),
    )  # fmt: skip
    feeds = GaugeMetricFamily(
        "sidelight_feed_age_seconds",
        "Seconds since a feed's publisher last confirmed it; absent for feeds never confirmed.",
        labels=["feed"],
    )
    failed = GaugeMetricFamily(
        "sidelight_feed_failed", "1 where the last update of a feed failed.", labels=["feed"]
    )
    for feed in ages.feeds:
        failed.add_metric([feed.name], int(bool(feed.error)))
        if (age := feed.age(now)) is not None:
            feeds.add_metric([feed.name], age.total_seconds())
    yield from (feeds, failed)


def covered(sums: Sums) -> Iterator[Metric]:
    """Yield the metrics of instances, coverage and findings."""
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
    active = GaugeMetricFamily(
        "sidelight_findings", "Active findings by severity.", labels=["severity"]
    )
    for severity in Severity:
        active.add_metric([severity.value], sums.findings.get(severity.value, 0))
    yield active
    kept = GaugeMetricFamily(
        "sidelight_findings_by_status", "Findings that are kept, by status.", labels=["status"]
    )
    for status in FindingStatus:
        kept.add_metric([status.value], sums.findings_by_status.get(status.value, 0))
    yield kept


def costs(sums: Sums) -> Iterator[Metric]:
    """Yield the metrics of the scans' costs."""
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


def inert(metric: Metric) -> Metric:
    """Return the metric with unprintable characters of its labels escaped."""
    metric.samples = [
        sample._replace(labels={name: printable(text) for name, text in sample.labels.items()})
        for sample in metric.samples
    ]
    return metric


def exposition(store: Store, settings: Settings, kept: RefreshingValue[Sums]) -> bytes:
    """Return the text of one scrape. Raises StoreError."""
    # Without auto_describe: registration would collect, which is a scrape of its own.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FleetCollector(store, settings, kept))
    return generate_latest(registry)
