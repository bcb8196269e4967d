"""Wait for the broker at a command's start, at most SIDELIGHT_BROKER_SECONDS."""

from __future__ import annotations

import logging
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from kombu.exceptions import OperationalError

from sidelight.errors import BrokerError
from sidelight.fleet.settings.validation import scheme
from sidelight.url_masks import masked
from workers.app import make_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.fleet.settings import Settings

log = logging.getLogger(__name__)

BETWEEN_TRIES = 1.0  # seconds
CONNECT_SECONDS = 3.0
# The server's answers to wrong credentials: a retry gets the same answer.
_REFUSED = (
    "WRONGPASS", "NOAUTH", "invalid username-password", "invalid password",
    "client already authenticated",
)  # fmt: skip


def wait_for_broker(
    settings: Settings,
    *,
    connect: Callable[[Settings], None] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once the broker answers.

    Raises BrokerError after SIDELIGHT_BROKER_SECONDS, and at once if the broker refuses the
    password; UsageError for an invalid URL; ImportError where SQS's client is not installed.
    """
    connect = connect or try_broker
    until = monotonic() + settings.broker.answer_seconds
    is_reported = False
    while True:
        try:
            connect(settings)
        except (OperationalError, OSError) as error:
            if monotonic() >= until or is_refused(error):
                raise unanswered(settings, error) from error
            if not is_reported:
                log.warning(
                    "%s: the broker does not answer (%s); waiting up to %g s",
                    masked(settings.broker.url), error, settings.broker.answer_seconds,
                )  # fmt: skip
            is_reported = True
            sleep(BETWEEN_TRIES)
        else:
            return


def try_broker(settings: Settings) -> None:
    """Connect once. Raises OperationalError, OSError, UsageError."""
    if scheme(settings.broker.url) == "sqs":
        if find_spec("pycurl") is None:
            raise ImportError("SQS needs pycurl", name="pycurl")
        return  # SQS is called when a queue is used; opening a connection proves nothing
    app = make_app(settings, CONNECT_SECONDS)
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
    finally:
        app.close()


def reach_broker(settings: Settings) -> None:
    """Connect once. Raises BrokerError, UsageError, ImportError where SQS's client is missing."""
    try:
        try_broker(settings)
    except (OperationalError, OSError) as error:
        verb = "refuses the login" if is_refused(error) else "does not answer"
        what = f"{verb}: {str(error).rstrip('.')}"
        raise BrokerError(what, where=masked(settings.broker.url)) from error


def is_refused(error: Exception) -> bool:
    """Whether the server answered that the credentials are wrong, or lacking."""
    return any(word in str(error) for word in _REFUSED)


def unanswered(settings: Settings, error: Exception) -> BrokerError:
    """Return the error for a broker that does not answer, with the remedies."""
    why = str(error).rstrip(".")
    return BrokerError(
        f"the broker does not answer after {settings.broker.answer_seconds:g} s "
        f"(SIDELIGHT_BROKER_SECONDS): {why}. Start it, name another with --broker or "
        "SIDELIGHT_BROKER_URL, or give `fleet scan` --embedded for one of its own",
        where=masked(settings.broker.url),
    )
