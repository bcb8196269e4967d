"""Targets of events by their names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dispatcher.events.publisher import JsonLinesSink
from dispatcher.events.webhook import KINDS, WebhookOptions, webhook_of
from sidelight.aws.events import EventBridge, Topic
from sidelight.aws.security_hub import SecurityHub
from sidelight.errors import UsageError

if TYPE_CHECKING:
    from dispatcher.events.publisher import Sink
    from sidelight.aws.session import Session

NAMES: Final = "eventbridge:BUS, sns:ARN, securityhub, webhook:URL, slack:URL, jira:URL, file:PATH"
_NEXT: Final = re.compile(
    r"\s+(?=(?:eventbridge|sns|securityhub|webhook|slack|jira|file|stdout)(?::|\s|\Z))"
)


def targets_of(text: str) -> list[str]:
    """Return the targets of SIDELIGHT_PUBLISH, each once. Raises UsageError.

    A path of a file may have blanks. All webhooks share their settings, so there is one of each
    kind.
    """
    targets = list(dict.fromkeys(filter(None, _NEXT.split(text.strip()))))
    for kind in KINDS:
        if sum(target.startswith(f"{kind}:") for target in targets) > 1:
            what = f"has more than one target {kind}:, which would share their secrets"
            raise UsageError(what, where="SIDELIGHT_PUBLISH")
    return targets


def shown(target: str) -> str:
    """Return a target for messages: of a webhook the host alone, as its path may be a secret."""
    kind, _, name = target.partition(":")
    if kind not in KINDS or name.startswith("file:"):
        return target
    try:
        return f"{kind}:{urlsplit(name).hostname or ''}"
    except ValueError:
        return f"{kind}:"


def sink_of(target: str, session: Session, options: WebhookOptions | None = None) -> Sink:
    """Return the sink of a target. Raises UsageError.

    Targets are `eventbridge:BUS`, `sns:ARN`, `securityhub[:ACCOUNT[/REGION]]`, `webhook:URL`,
    `slack:URL`, `jira:URL`, `file:PATH` and `stdout`.
    """
    kind, _, name = target.partition(":")
    if kind == "securityhub":
        return SecurityHub.named(session, name)
    if kind == "eventbridge" and name:
        return EventBridge(session, name)
    if kind == "sns" and name.count(":") == 5:
        return Topic(session, name)
    if kind in KINDS and name:
        return webhook_of(kind, name, options or WebhookOptions())
    if kind == "file" and name:
        return JsonLinesSink(Path(name))
    if target == "stdout":
        return JsonLinesSink(None)
    raise UsageError(f"events go to {NAMES} or stdout", where=shown(target) or "publish")
