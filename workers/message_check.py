"""Check each message before Celery processes it. An invalid message is logged and dropped.

kombu and Celery end the worker at a message that is not JSON, and at some JSON of another shape.
Anyone with write access to the broker could stop every worker with one line each. Our own messages
all have one shape (Celery's protocol 2, JSON, one text argument). So the check accepts the messages
that we send, not all that Celery might survive.
"""

from __future__ import annotations

import base64
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sidelight.errors import SidelightError
from sidelight.model import STAGES
from sidelight.tracing import TRACEPARENT, is_traceparent
from workers.message_signatures import HEADER
from workers.queues import stage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workers.message_signatures import MessageKeys

log = logging.getLogger(__name__)

MAX_MESSAGE = 64 << 10  # characters of a message; ours have about 1,500
MAX_TEXT = 500  # characters of an id, a name or an argument
MAX_TAG = 4096  # characters; SQS's receipt handles are long
MAX_SHOWN = 300  # characters of a bad message in the log
MAX_DELAY = timedelta(days=1)  # of an eta; a countdown of ours is one minute at most
TASKS = frozenset(f"sidelight.{name}" for name in (*STAGES, "reevaluate", "network"))

# The errors that kombu's and Celery's decoders raise for damaged input. The errors of a lost
# connection and Empty are not among them.
DECODING_ERRORS = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip


_counters: list[Callable[[], None]] = []


class BadMessageError(SidelightError):
    """A message that no part of Sidelight sends."""


def is_for_tasks(queue: str) -> bool:
    """Whether a queue belongs to a stage; the others carry events and remote control."""
    return stage_of(queue) in STAGES


def check(message: Any, queue: str, keys: MessageKeys | None = None) -> None:
    """Check a raw message of a queue, as a virtual transport delivers it.

    `keys`: by which the messages of tasks have to be signed. Raises BadMessageError.
    """
    _require(isinstance(message, dict), "is not an object")
    body = _checked_body(message, _checked_properties(message.get("properties")))
    if is_for_tasks(queue):
        _check_headers(message.get("headers"))
        argument = _checked_argument(body)
        if keys:
            _check_signature(message["headers"], argument, queue, keys)
    else:
        _require(isinstance(message.get("headers", {}), dict), "its headers are not an object")
        _require(isinstance(body, dict | list), "its body is neither an object nor a list")


def drop(queue: str, reason: object, message: object) -> None:
    """Log a dropped message. Its content is hostile: it is bounded here and escaped by the log."""
    shown = message if isinstance(message, str) else repr(message)
    if len(shown) > MAX_SHOWN:
        shown = f"{shown[:MAX_SHOWN]}... ({len(shown)} characters)"
    log.error("queue %s: a message is dropped: it %s: %s", queue, str(reason)[:MAX_SHOWN], shown)
    for count in _counters:
        count()


def on_drop(count: Callable[[], None]) -> None:
    """Call a function for each message that this process drops."""
    _counters.append(count)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise BadMessageError(what)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31


def _checked_properties(properties: Any) -> Mapping[str, Any]:
    _require(isinstance(properties, dict), "has no properties")
    tag = properties.get("delivery_tag")
    _require(isinstance(tag, str) and 0 < len(tag) <= MAX_TAG, "has no delivery tag")
    delivery = properties.get("delivery_info")
    _require(isinstance(delivery, dict), "has no delivery information")
    for name in ("exchange", "routing_key"):
        _require(_is_text(delivery.get(name)), f"has no {name}")
    _require(_is_count(properties.get("priority", 0)), "its priority is not a number")
    for name in ("reply_to", "correlation_id"):
        value = properties.get(name)
        _require(value is None or _is_text(value), f"its {name} is not a text")
    checked: Mapping[str, Any] = properties
    return checked


def _checked_body(message: Mapping[str, object], properties: Mapping[str, object]) -> object:
    """Return the body's JSON."""
    _require(message.get("content-type") == "application/json", "is not of JSON by its type")
    _require(message.get("content-encoding") == "utf-8", "is not UTF-8 by its encoding")
    _require(properties.get("body_encoding") == "base64", "its body is not of base64")
    headers = message.get("headers")
    compressed = isinstance(headers, dict) and headers.get("compression")
    _require(not compressed, "is compressed")
    body = message.get("body")
    _require(isinstance(body, str) and len(body) <= MAX_MESSAGE, "its body is not a short text")
    try:
        return json.loads(base64.b64decode(str(body), validate=True).decode("utf-8"))
    except DECODING_ERRORS as error:
        raise BadMessageError(f"its body cannot be decoded ({error})") from error


def _check_headers(headers: Any) -> None:
    """Check for Celery's protocol 2. Headers that we never set must be empty: Celery obeys them."""
    _require(isinstance(headers, dict), "has no headers")
    _require(isinstance(headers.get("task"), str), "names no task")
    _require(headers["task"] in TASKS, "names a task that does not exist")
    _require(_is_text(headers.get("id")) and bool(headers["id"]), "has no id")
    for name in ("expires", "shadow", "stamps", "stamped_headers", "group"):
        _require(not headers.get(name), f"has the header {name}")
    # A task that publishes the next stage is named as the parent of that message.
    for name in ("parent_id", "root_id"):
        _require(headers.get(name) is None or _is_text(headers[name]),
                 f"its header {name} is not an id")  # fmt: skip
    for name in ("argsrepr", "kwargsrepr", "origin", "lang"):
        _require(headers.get(name) is None or isinstance(headers[name], str),
                 f"its header {name} is not a text")  # fmt: skip
    for name in ("retries", "replaced_task_nesting"):
        _require(_is_count(headers.get(name, 0)), f"its header {name} is not a number")
    limits = headers.get("timelimit")
    _require(limits is None or limits == [None, None], "has a time limit")
    parent = headers.get(TRACEPARENT)
    _require(parent is None or is_traceparent(parent), f"its header {TRACEPARENT} is not one")
    _check_eta(headers.get("eta"))


def _check_signature(
    headers: Mapping[str, Any], argument: str, queue: str, keys: MessageKeys
) -> None:
    _require(HEADER in headers, "is not signed")
    verified = keys.verifies(
        headers[HEADER], queue, headers["task"], headers["id"], argument, headers.get("eta") or ""
    )
    _require(verified, "has a wrong signature")


def _check_eta(eta: Any) -> None:
    if eta is None:
        return
    _require(_is_text(eta), "its eta is not a text")
    try:
        due = datetime.fromisoformat(eta)
        late = due - datetime.now(UTC) > MAX_DELAY
    except DECODING_ERRORS as error:
        raise BadMessageError(f"its eta is not a time ({error})") from error
    _require(not late, "is due in more than a day")
    _require(due.year > 2000, "was due long ago")


def _checked_argument(body: Any) -> str:
    """Return the argument of `[[one text], {}, {no tasks to call afterwards}]`."""
    _require(isinstance(body, list) and len(body) == 3, "its body is not that of a task")
    arguments, named, embedded = body
    _require(isinstance(arguments, list) and len(arguments) == 1, "has not one argument")
    _require(_is_text(arguments[0]), "its argument is not a short text")
    _require(named == {}, "has named arguments")
    _require(isinstance(embedded, dict), "embeds no object")
    _require(not any(embedded.values()), "has other tasks to call")
    return str(arguments[0])
