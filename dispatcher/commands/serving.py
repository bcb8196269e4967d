"""`sidelight fleet run` and `sidelight fleet worker`: the processes that a fleet consists of."""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dispatcher.control import Control
from dispatcher.eligibility import Configuration
from dispatcher.places import Wanted
from dispatcher.schedule import Pace, Schedule
from workers.app import STAGES
from workers.command import ENVIRONMENT, KINDS, worker_command
from workers.contradictions import refuse
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@click.option("--account", "accounts", multiple=True, help="Default: the credentials'.")
@click.option("--region", "regions", multiple=True, help="Default: the environment's.")
@click.option("--organization", is_flag=True, help="All active accounts of ours.")
@click.option("--ou", "units", multiple=True, metavar="OU", help="All accounts in and below it.")
@click.option("--all-regions", is_flag=True, help="All that an account has enabled.")
@click.option("--running-only", is_flag=True, help="Leave stopped instances out.")
@click.option("--exclusion-tag", default=Configuration().exclusion_tag, show_default=True)
@click.option("--every", type=click.FloatRange(0), default=Pace().round, show_default=True,
              help="Seconds between looks for instances.")  # fmt: skip
@click.option("--publish", metavar="TARGET", envvar="SIDELIGHT_PUBLISH", default="",
              help="Send findings' events to eventbridge:BUS, sns:ARN or file:PATH.")  # fmt: skip
@click.option("--health", type=click.Path(dir_okay=False, path_type=Path),
              help="Write this file at every tick, some 10 seconds apart.")  # fmt: skip
def run(running_only: bool, exclusion_tag: str, every: float, publish: str, health: Path | None,
        **given: Any) -> None:  # fmt: skip
    """Run the dispatcher: discover, plan, publish and sweep, until SIGTERM.

    Several may run: one works, the others stand by.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    configuration = Configuration(exclusion_tag=exclusion_tag)
    if running_only:
        configuration = replace(configuration, states=frozenset({"running"}))
    control = Control(replace(Settings.from_environment(), publish=publish))
    schedule = Schedule(
        control, Wanted(**given), configuration, pace=Pace(round=every), health=health
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: schedule.stop())
    try:
        schedule.run()
    finally:
        control.close()


@click.command()
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option("--region", "regions", multiple=True,
              help="Of these regions' queues, with SIDELIGHT_REGIONAL_QUEUES.")  # fmt: skip
@click.option("--stage", "stages", multiple=True, type=click.Choice(STAGES),
              help="Only these stages of its kind.")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1), help="Default: a core each, or 32 threads.")
@click.option("--print", "printed", is_flag=True, help="Only show celery's command.")
def worker(
    kind: str,
    regions: Sequence[str],
    stages: Sequence[str],
    concurrency: int | None,
    printed: bool,
) -> None:
    """Become a worker: `waiting` for EC2 with threads, or `computing` with a process a core.

    SIGTERM ends it: what is under way has SIDELIGHT_SOFT_SHUTDOWN_SECONDS to finish, and is handed
    to another worker then.
    """
    settings = Settings.from_environment()
    refuse(settings)
    size = concurrency or (32 if kind == "waiting" else os.cpu_count() or 1)
    command = worker_command(kind, settings, regions=regions or ("",), stages=stages, size=size)
    if printed:
        click.echo(" ".join(command))
        return
    os.execvpe(command[0], command, os.environ | ENVIRONMENT)  # noqa: S606 - itself, as celery
