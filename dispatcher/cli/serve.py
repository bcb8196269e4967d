"""`sidelight serve`."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import click

from dispatcher.cli.fleet.options import opened_store
from dispatcher.cli.interrupts import stop_by
from dispatcher.cli.setting_options import STORE, takes_settings
from sidelight.report import logs
from sidelight.report.output import say

if TYPE_CHECKING:
    from sidelight.fleet.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to bind. There is no authentication; keep it on loopback.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8417, show_default=True,
              help="Port to bind; 0: any free one.")  # fmt: skip
@takes_settings(STORE)
def serve(host: str, port: int, settings: Settings) -> None:
    """Serve metrics for Prometheus, a JSON API and a web page.

    Until SIGTERM or Ctrl-C. Needs the extra `serve`.
    """
    from dispatcher.api.http_server import Server

    logs.configure()
    with (
        opened_store(settings) as store,
        Server(store, settings, host, port) as server,
    ):
        stop = stop_by(lambda: threading.Thread(target=server.shutdown).start())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        say(server.url)
        server.serve_forever(poll_interval=0.2)
