"""`sidelight serve`."""

from __future__ import annotations

import logging
import signal
import threading

import click

from sidelight.errors import UsageError
from sidelight.store import Store
from workers.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True,
              help="There is no authentication: think before you name another.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8417, show_default=True)
@click.option("--store", "store_url", metavar="URL",
              help="sqlite:///FILE or postgresql://…  [SIDELIGHT_STORE_URL]")  # fmt: skip
def serve(host: str, port: int, store_url: str | None) -> None:
    """Serve /metrics for Prometheus, sums of costs and coverage as JSON, and a page of them."""
    try:
        from dispatcher.serving import Server
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is missing: pip install 'sidelight[serve]'") from error
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = Settings.from_environment()
    with Store(store_url or settings.store_url) as store:
        store.migrate()
        with Server(store, settings, host, port) as server:
            signal.signal(
                signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start()
            )
            click.echo(server.url)
            server.serve_forever(poll_interval=0.2)
