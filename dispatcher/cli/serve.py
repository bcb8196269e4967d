"""`sidelight serve`."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from dispatcher.cli.fleet.options import opened_store, report_no_instance
from dispatcher.cli.interrupts import stop_by
from dispatcher.cli.setting_options import STORE, takes_settings
from sidelight.errors import OutdatedCodeError, StoreError
from sidelight.fleet.settings.settings import DEFINITIONS
from sidelight.report.json_logs import configure_logs
from sidelight.report.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.fleet.settings import Settings
    from sidelight.store import Store

CHECK_SECONDS: Final = 10.0


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to bind; beyond loopback only with SIDELIGHT_ACCESS_SEAL.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8417, show_default=True,
              help="Port to bind; 0: any free one.")  # fmt: skip
@takes_settings(STORE)
def serve(host: str, port: int, settings: Settings) -> None:
    """Serve the console, Inspector's API, and metrics for Prometheus.

    The server prints its address, and runs until SIGTERM or Ctrl-C. A store that --store or
    SIDELIGHT_STORE_URL names is created if it does not exist. AWS's own clients work with
    `--endpoint-url` and a key of `sidelight access create` (docs/api.md). Needs the extra `serve`.
    """
    from dispatcher.api.server import ApiServer

    configure_logs(as_json=settings.logs.is_json)
    # Accounts can be enabled in an empty store. It is not created in any folder by the default
    # alone: a server of the wrong store would look like a fleet without findings.
    is_named = settings.store.url != DEFINITIONS["store_url"].default
    with (
        opened_store(settings, create=is_named, hint="; a store that is named is created") as store,
        ApiServer(store, settings, host, port) as server,
    ):
        report_no_instance(store)
        stop = stop_by(server.shutdown)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, stop)
        say(server.url)
        with ended_when_outdated(store, server.shutdown):
            server.serve_forever()


@contextmanager
def ended_when_outdated(
    store: Store, end: Callable[[], object], *, every: float = CHECK_SECONDS
) -> Iterator[None]:
    """Call `end` once a newer version's tables do not work with this one; then raise the error.

    Asks the store each `every` seconds while the block runs. Raises OutdatedCodeError at its end.
    """
    over = threading.Event()
    found: list[OutdatedCodeError] = []

    def watch() -> None:
        while not found and not over.wait(every):
            try:
                store.require_support()
            except OutdatedCodeError as error:
                found.append(error)
                end()
            except StoreError:
                continue  # requests and probes say that it does not answer

    watcher = threading.Thread(target=watch, name="support", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    if found:
        raise found[0]
