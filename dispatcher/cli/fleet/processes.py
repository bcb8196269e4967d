"""`sidelight fleet run` and `sidelight fleet worker`: the processes of a fleet."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from dispatcher.cli.finite_range import FiniteRange
from dispatcher.cli.fleet.options import (
    account_region_options,
    configuration_of,
    eligibility_options,
    wanted_of,
)
from dispatcher.cli.interrupts import stop_by
from dispatcher.cli.setting_options import (
    BROKER,
    EVENT_TYPES,
    EXISTING,
    PUBLISH,
    STORE,
    takes_settings,
)
from sidelight import tracing
from sidelight.errors import StoreError
from sidelight.report.json_logs import configure_logs
from sidelight.report.output import say

if TYPE_CHECKING:
    from dispatcher.cli.option_values import FleetValues, QueueValues
    from sidelight.fleet.settings import Settings
    from sidelight.store import Store

EVERY = 3600  # seconds; as dispatcher.loop.Intervals
STAGES = ("take", "await", "inspect", "evaluate", "delete")  # as workers.queues


@click.command()
@account_region_options
@eligibility_options
@takes_settings(STORE, BROKER, PUBLISH, EVENT_TYPES, EXISTING)
@click.option("--every", type=FiniteRange(0), default=EVERY, show_default=True,
              metavar="SECONDS", help="Seconds between discoveries.")  # fmt: skip
@click.option("--health", type=click.Path(dir_okay=False, path_type=Path),
              help="Write to this file every 10 seconds whether this process is active, and the"
              " last error (JSON).")  # fmt: skip
def run(
    settings: Settings, every: float, health: Path | None, **options: Unpack[FleetValues]
) -> None:
    """Run the dispatcher: discover, schedule, publish and sweep, until SIGTERM.

    Several may run: one is active, the others stand by.
    """
    from dispatcher.loop import DispatcherLoop, Intervals
    from dispatcher.services.fleet_service import FleetService
    from sidelight.fleet.settings.validation import validate_sources

    validate_sources(settings)
    configure_logs(as_json=settings.logs.is_json)
    tracing.enable(settings.logs.traces, "sidelight-dispatcher")
    control = FleetService(settings)
    schedule = DispatcherLoop(
        control,
        wanted_of(options),
        configuration_of(options),
        pace=Intervals(round=every),
        health=health,
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop_by(schedule.stop))
    try:
        schedule.run()
    finally:
        control.close()


@click.command()
@takes_settings()
@click.argument("kind", type=click.Choice(["waiting", "computing"]))
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="REGION",
    help="Serve this region's queues, with SIDELIGHT_REGIONAL_QUEUES. Repeatable.",
)
@click.option("--stage", "stages", multiple=True, type=click.Choice(STAGES),
              help="Run only this stage. Repeatable.")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1),
              help="Tasks at once.  [default: 32 threads, or one process per core]")  # fmt: skip
@click.option("--print", "printed", is_flag=True, help="Print Celery's command; do not run it.")
def worker(
    settings: Settings,
    kind: str,
    concurrency: int | None,
    *,
    printed: bool,
    **queues: Unpack[QueueValues],
) -> None:
    """Run a worker process, until SIGTERM.

    `waiting` creates, awaits and deletes snapshots, with threads; `computing` reads disks and
    matches packages, with one process per core.
    After SIGTERM, stages that run have SIDELIGHT_SOFT_SHUTDOWN_SECONDS to finish; then another
    worker continues them.
    """
    from sidelight.fleet.settings.validation import validate
    from sidelight.store import Store
    from workers.broker import wait_for_broker
    from workers.worker_command import ENVIRONMENT, worker_command

    validate(settings)
    size = concurrency or (32 if kind == "waiting" else os.cpu_count() or 1)
    command = worker_command(
        kind, settings, regions=queues["regions"] or ("",), stages=queues["stages"], size=size
    )
    if printed:
        say(" ".join(command))
        return
    with Store(settings.store.url) as store:  # its address and its driver, before the first task
        _refuse_newer(store)
    wait_for_broker(settings)
    os.execvpe(command[0], command, os.environ | ENVIRONMENT)  # noqa: S606 - itself, as celery


def _refuse_newer(store: Store) -> None:
    """Raise StoreError for tables of a newer version that do not work with this one.

    Each task would fail, in the place of a worker that could run it. A store that is not there, or
    does not answer, is a matter of the tasks.
    """
    try:
        supported = bool(store.missing()) or store.is_supported()
    except StoreError:
        return
    if not supported:
        store.migrate()
