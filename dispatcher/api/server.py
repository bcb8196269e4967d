"""The server of `sidelight serve`: uvicorn over the application, on a socket of its own."""

from __future__ import annotations

import logging
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

import uvicorn

from dispatcher.api.application import Application
from dispatcher.api.authentication.authenticator import Authenticator
from dispatcher.api.authentication.rate_limits import limiter_of
from dispatcher.api.call import ApiServices
from dispatcher.api.connections import bounded_connection
from dispatcher.api.console_mount import ConsoleMount
from dispatcher.api.gateway import Gateway
from dispatcher.api.operations import HANDLERS
from dispatcher.api.pages import PageContext
from dispatcher.console.application import ConsoleApplication
from dispatcher.console.page import ConsoleServices
from dispatcher.services.access_keys import Seal
from dispatcher.services.cached_value import RefreshingValue
from dispatcher.services.configuration import ConfigurationService
from dispatcher.services.fleet_totals import sums
from dispatcher.services.host_names import is_loopback
from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dispatcher.api.call import Handler
    from sidelight.fleet.settings import Settings
    from sidelight.store import Store

log = logging.getLogger(__name__)

HEAD_LIMIT: Final = 64 << 10  # bytes of a request's head
GRACE_SECONDS: Final = 10  # in which requests in work are answered when the server ends
_BACKLOG: Final = 128


class ApiServer:
    """A server that listens from its construction; `serve_forever` answers requests."""

    def __init__(  # noqa: PLR0913 - all but four by keyword
        self,
        store: Store,
        settings: Settings,
        host: str,
        port: int,
        *,
        handlers: Mapping[str, Handler] = HANDLERS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Bind the address. Raises UsageError where that fails, or would be open to anyone."""
        seal = Seal.of(settings.api.seal)
        self.loopback = is_loopback(host)
        if not self.loopback and seal is None:
            raise UsageError(
                "set SIDELIGHT_ACCESS_SEAL to listen beyond loopback: without it nobody can be"
                " authenticated (docs/api.md)",
                where=f"{host}:{port}",
            )
        names = settings.api.hosts.lower().split(",")
        hosts = frozenset(filter(None, (name.strip() for name in names)))
        self.context = PageContext(store, settings, RefreshingValue(lambda: sums(store)))
        limits = limiter_of(settings)
        authenticator = Authenticator(store, settings, seal, limits)
        configuration = ConfigurationService(store, agent_based=settings.agents.agent_based)
        services = ApiServices(store, settings, configuration)
        self.gateway = Gateway(services, authenticator, handlers, seal, now)
        self._executor = ThreadPoolExecutor(settings.api.threads, thread_name_prefix="api")
        console = ConsoleApplication(
            ConsoleServices(store, settings, configuration, self.context.sums),
            styleguide=settings.api.styleguide,
        )
        self.application = Application(
            context=self.context,
            gateway=self.gateway,
            authenticator=authenticator,
            console=ConsoleMount(console, self._executor),
            executor=self._executor,
            hosts=hosts if self.loopback else None,
            now=now,
        )
        self._tls = settings.api.tls_certificate != ""
        self._server = _Uvicorn(_config(self.application, settings))
        self._socket = _bound(host, port)

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket and end the threads."""
        self._socket.close()
        self._executor.shutdown(wait=True, cancel_futures=True)

    @property
    def server_address(self) -> tuple[str, int]:
        """The address that is listened on."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        """The URL of the listening address."""
        host, port = self.server_address
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self._tls else 'http'}://{shown}:{port}/"

    def serve_forever(self) -> None:
        """Answer requests until `shutdown`."""
        self._server.run(sockets=[self._socket])

    def shutdown(self) -> None:
        """End `serve_forever`, after the requests in work; safe in a signal's handler."""
        self._server.should_exit = True


class _Uvicorn(uvicorn.Server):
    """uvicorn, which leaves signals to the command."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Change no handler."""
        yield


def _config(application: Application, settings: Settings) -> uvicorn.Config:
    """Return uvicorn's configuration. Raises UsageError for a certificate that it cannot use."""
    api = settings.api
    if bool(api.tls_certificate) != bool(api.tls_key):
        raise UsageError("set SIDELIGHT_TLS_CERTIFICATE and SIDELIGHT_TLS_KEY, or neither")
    config = uvicorn.Config(
        application.asgi(),
        loop="asyncio",
        http=bounded_connection(api.request_seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=api.connections,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=HEAD_LIMIT,
        ssl_certfile=api.tls_certificate or None,
        ssl_keyfile=api.tls_key or None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"not a certificate with its key: {error}", where=api.tls_certificate
        ) from error
    return config


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises UsageError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"cannot listen: {error}", where=f"{host}:{port}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise UsageError(f"cannot listen: {error}", where=f"{host}:{port}") from error
    return bound
