"""Checks of the broker: it answers, who may use it, and which workers listen."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dispatcher.doctor.results import fault, ok, unchecked, warning
from dispatcher.services.host_names import is_loopback
from sidelight.errors import BrokerError, UsageError
from sidelight.fleet.settings.validation import scheme
from sidelight.url_masks import masked
from workers.broker import is_refused, reach_broker
from workers.listening import LISTEN_SECONDS, alive_workers
from workers.message_queue import depths
from workers.message_signatures import MessageKeys
from workers.queues import queues
from workers.worker_command import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dispatcher.doctor.results import Check
    from sidelight.fleet.settings import Settings

GROUP = "broker"
EMBEDDED = (
    "start it, correct SIDELIGHT_BROKER_URL, or use `fleet scan --embedded`, which needs none"
)

LOGIN = (
    "correct the user and the password in SIDELIGHT_BROKER_URL; the broker's users are as in"
    " deploy/redis/users.acl"
)


def check_broker(settings: Settings) -> Iterator[Check]:
    """Yield whether the broker answers, is encrypted and asks for a login, and has workers."""
    try:
        reach_broker(settings)
    except ImportError as error:
        yield fault(GROUP, "reachable", str(error), "install Sidelight's extra `sqs`")
        return
    except UsageError as error:
        yield fault(GROUP, "SIDELIGHT_BROKER_URL", str(error), "see docs/brokers.md")
        return
    except BrokerError as error:
        # A fleet of one command, with --embedded, has a broker of its own.
        yield warning(GROUP, "reachable", str(error), LOGIN if is_refused(error) else EMBEDDED)
        return
    kind = scheme(settings.broker.url)
    if kind != "memory":
        yield signature_check(settings)
    if kind == "sqs":
        yield unchecked(GROUP, "reachable", "SQS is called when a queue is used",
                        "needs deploy/iam/scanner-queues-policy.json")  # fmt: skip
        yield unchecked(GROUP, "workers", "SQS carries no heartbeats of workers",
                        "`sidelight fleet status` lists scans that no worker claims")  # fmt: skip
        return
    if kind == "memory":
        yield warning(GROUP, "reachable", "memory:// has no worker of another process", EMBEDDED)
        return
    yield ok(GROUP, "reachable", masked(settings.broker.url))
    yield from _protection(settings)
    yield from _workers(settings)


def _protection(settings: Settings) -> Iterator[Check]:
    """Yield whether the connection is encrypted, and by which user."""
    parts = urlsplit(settings.broker.url.partition(";")[0])
    if is_loopback(parts.hostname or ""):
        yield ok(GROUP, "TLS", "on this host")
    elif parts.scheme == "rediss":
        yield ok(GROUP, "TLS", "the connection is encrypted")
    else:
        yield warning(GROUP, "TLS", f"the connection to {parts.hostname} is not encrypted",
                      "use rediss://, see docs/brokers.md")  # fmt: skip
    if parts.username and parts.username != "default":
        yield ok(GROUP, "ACL", f"logged in as {parts.username}")
    else:
        how = "with the default user's password" if parts.password else "without a login"
        yield warning(GROUP, "ACL", f"the broker is used {how}: it may do everything there",
                      "make users as deploy/redis/users.acl has them, and name one in"
                      " SIDELIGHT_BROKER_URL")  # fmt: skip


def signature_check(settings: Settings) -> Check:
    """Return the check whether workers run only what has the deployment's signature."""
    name = "SIDELIGHT_MESSAGE_KEYS"
    try:
        keys = MessageKeys.of(settings)
    except UsageError as error:
        return fault(GROUP, name, str(error), "openssl rand -base64 32")
    if keys:
        return ok(GROUP, name, "messages are signed")
    host = urlsplit(settings.broker.url.partition(";")[0]).hostname or ""
    if is_loopback(host):
        return ok(GROUP, name, "messages are not signed, in a broker on this host")
    return warning(GROUP, name, "messages are not signed: who writes to the broker can start stages"
                   " of scans", "give all processes one key: openssl rand -base64 32")  # fmt: skip


def _workers(settings: Settings) -> Iterator[Check]:
    try:
        names = alive_workers(settings)
    except BrokerError as error:
        yield unchecked(GROUP, "workers", str(error))
        return
    for kind, (stages, _pool) in KINDS.items():
        alive = sorted(name for name in names if name.startswith(kind))
        if alive:
            yield ok(GROUP, f"{kind} workers", f"{len(alive)} alive")
            continue
        waiting = depths(settings, queues(stages, [""], settings))
        held = sum(waiting.values())
        held_text = f"; {held} messages wait in its queues" if held else ""
        text = f"no heartbeat in {LISTEN_SECONDS:g} s{held_text}"
        remedy = f"start one: sidelight fleet worker {kind}; not needed with --embedded"
        yield warning(GROUP, f"{kind} workers", text, remedy)
