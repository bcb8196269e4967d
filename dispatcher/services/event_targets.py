"""Targets of events with what the settings say of them: secrets are read from their files here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.events.event_messages import EventChoice
from dispatcher.events.publisher import Publisher
from dispatcher.events.targets import shown, sink_of, targets_of
from dispatcher.events.webhook import KINDS, WebhookOptions
from dispatcher.services.secret_settings import secret_of
from sidelight.aws.session import Session

if TYPE_CHECKING:
    from dispatcher.events.publisher import Sink
    from sidelight.fleet.settings import Settings
    from sidelight.store import Store


def publisher_of(
    store: Store, settings: Settings, session: Session, target: str, *, after: int | None = None
) -> Publisher:
    """Return the publisher of a target, from its position or from `after` on. Raises UsageError.

    The address of a webhook may be `file:PATH` of a file with it: `slack:file:/run/secrets/slack`.
    """
    sink = settings_sink(settings, session, target)
    return Publisher(
        store, target, sink, after=after, where=shown(target), choice=choice_of(settings)
    )


def settings_sink(settings: Settings, session: Session, target: str) -> Sink:
    """Return the sink of a target, with its secrets. Nothing is called. Raises UsageError."""
    kind, _, name = target.partition(":")
    if kind not in KINDS:
        return sink_of(target, session)
    return sink_of(f"{kind}:{secret_of(name, kind)}", session, _options(settings))


def check_targets(settings: Settings) -> None:
    """Raise UsageError for targets of events that cannot be sent to as they are set."""
    for target in targets_of(settings.findings.publish):
        settings_sink(settings, Session(), target)
    choice_of(settings)


def choice_of(settings: Settings) -> EventChoice:
    """Return the events that the settings choose. Raises UsageError."""
    return EventChoice.of(settings.findings.event_types, settings.findings.event_dates)


def _options(settings: Settings) -> WebhookOptions:
    chosen = settings.webhooks
    return WebhookOptions(
        secret=secret_of(chosen.secret, "SIDELIGHT_WEBHOOK_SECRET"),
        authorization=secret_of(chosen.authorization, "SIDELIGHT_WEBHOOK_AUTHORIZATION"),
        template=chosen.template,
        jira_project=chosen.jira_project,
        jira_login=secret_of(chosen.jira_login, "SIDELIGHT_JIRA_LOGIN"),
        private=chosen.private,
        ca=chosen.ca,
    )
