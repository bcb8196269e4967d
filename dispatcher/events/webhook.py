"""Events to a webhook, one a request, in order: signed, by a template, tried again.

A receiver has an event when it answers 200 to 299. Anything else holds the target: no later event
overtakes, and nothing is passed over.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from dispatcher.events.signatures import WebhookSigner
from sidelight.aws.events import Sent
from sidelight.backoff import doubled
from sidelight.download.event_posts import EventPosts
from sidelight.errors import DownloadError, UsageError
from sidelight.report.escape import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dispatcher.events.event_templates import EventTemplate
    from sidelight.aws.events import Message
    from sidelight.download.event_posts import PostAnswer

ATTEMPTS: Final = 3
FIRST_PAUSE: Final = 0.5  # seconds
SHORT: Final = 5.0  # seconds of Retry-After that are waited for at once
LONGEST: Final = 3600.0  # seconds of Retry-After that are respected
_SHOWN: Final = 120  # characters of a refusing answer
KINDS: Final = ("webhook", "slack", "jira")


class ReceiverCalls(Protocol):
    """How a receiver is called; `where` is its scheme and host."""

    where: str

    def post(self, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        """Return the answer to a request. Raises DownloadError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    """What webhooks are sent with, as SIDELIGHT_WEBHOOK_… and SIDELIGHT_JIRA_… set it."""

    secret: str = ""
    authorization: str = ""
    template: str = ""
    jira_project: str = ""
    jira_login: str = ""
    private: bool = False
    ca: str = ""


class Webhook:
    """A sink that posts each event. `template` writes its body, and may pass over it."""

    whole = True

    def __init__(  # noqa: PLR0913 - all but one by keyword
        self,
        calls: ReceiverCalls,
        *,
        signer: WebhookSigner | None = None,
        template: EventTemplate | None = None,
        names: Mapping[str, str] | None = None,
        authorization: str = "",
        pause: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._calls = calls
        self._signer = signer
        self._template = template
        self._names = dict(names or {})
        self._headers = {"Content-Type": "application/json"}
        if authorization:
            self._headers["Authorization"] = authorization
        self._pause = pause
        self._clock = clock

    def send(self, messages: Sequence[Message]) -> Sent:
        """Post in order; return how many of the first arrived. Raises UsageError of a template."""
        for number, message in enumerate(messages):
            body = self._body(message)
            refused, seconds = self._posted(message.id, body) if body else ("", 0.0)
            if refused:
                return Sent(number, f"{self._calls.where}: {refused}", seconds)
        return Sent(len(messages))

    def _body(self, message: Message) -> bytes:
        if self._template is None:
            return message.text.encode()
        return self._template.render(json.loads(message.text), **self._names)

    def _posted(self, name: str, body: bytes) -> tuple[str, float]:
        """Return why a receiver does not take a request, and for how long it wants none."""
        refused, seconds = "", 0.0
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(max(seconds, doubled(FIRST_PAUSE, attempt - 1, SHORT)))
            headers = dict(self._headers)
            if self._signer is not None:
                headers |= self._signer.headers(name, body, self._clock())
            try:
                answer = self._calls.post(body, headers)
            except DownloadError as error:
                refused, seconds = error.what, 0.0
                continue
            if 200 <= answer.status < 300:
                return "", 0.0
            refused = _refusal(answer)
            seconds = self._seconds(answer.retry_after)
            if seconds > SHORT or not _may_pass(answer.status):
                break
        return refused, seconds

    def _seconds(self, text: str) -> float:
        """Return the seconds of a Retry-After: a number, or a date (RFC 9110, 10.2.3)."""
        word = text.strip()[:40]
        try:
            seconds = float(word) if word.isdecimal() else self._until(word)
        except (ValueError, TypeError, OverflowError):
            return 0.0
        return min(LONGEST, max(0.0, seconds))

    def _until(self, text: str) -> float:
        return parsedate_to_datetime(text).timestamp() - self._clock()


def _may_pass(status: int) -> bool:
    """Return whether a refusal may pass within seconds."""
    return status in (408, 425, 429) or status >= 500


def _refusal(answer: PostAnswer) -> str:
    if 300 <= answer.status < 400:
        where = printable(answer.location, _SHOWN)
        return f"HTTP {answer.status}: redirects to {where}, which is not followed"
    begin = printable(answer.body[: 4 * _SHOWN].decode("utf-8", "replace").strip(), _SHOWN)
    return f"HTTP {answer.status}{f': {begin}' if begin else ''}"


def webhook_of(kind: str, url: str, options: WebhookOptions) -> Webhook:
    """Return the sink of `webhook`, `slack` or `jira` at an address. Raises UsageError."""
    calls = EventPosts(url, private=options.private, ca=options.ca)
    if kind == "webhook":
        signer = WebhookSigner(options.secret)
        template = _template(options.template) if options.template else None
        return Webhook(calls, signer=signer, template=template, authorization=options.authorization)
    if kind == "slack":
        return Webhook(calls, template=_template(kind))
    if not options.jira_project or ":" not in options.jira_login:
        what = "a target jira: needs SIDELIGHT_JIRA_PROJECT and SIDELIGHT_JIRA_LOGIN (EMAIL:TOKEN)"
        raise UsageError(what, where=calls.where)
    login = base64.b64encode(options.jira_login.encode()).decode()
    return Webhook(
        calls,
        template=_template(kind),
        names={"project": options.jira_project},
        authorization=f"Basic {login}",
    )


def _template(name: str) -> EventTemplate:
    # Jinja is an extra of its own.
    from dispatcher.events.event_templates import EventTemplate

    return EventTemplate.built_in(name) if name in KINDS else EventTemplate.of_file(Path(name))
