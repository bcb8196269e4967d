"""Targets of events with what the settings say of them: secrets are read from their files here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.events.event_messages import EventChoice
from dispatcher.events.publisher import Publisher
from dispatcher.events.targets import shown, sink_of
from dispatcher.events.webhook import KINDS, WebhookOptions
from dispatcher.services.secret_settings import secret_of

if TYPE_CHECKING:
    from sidelight.aws.session import Session
    from sidelight.fleet.settings import Settings
    from sidelight.store import Store


def publisher_of(
    store: Store, settings: Settings, session: Session, target: str, *, after: int | None = None
) -> Publisher:
    """Return the publisher of a target, from its position or from `after` on. Raises UsageError.

    The address of a webhook may be `file:PATH` of a file with it: `slack:file:/run/secrets/slack`.
    """
    kind, _, name = target.partition(":")
    options, address = None, target
    if kind in KINDS:
        address = f"{kind}:{secret_of(name, kind)}"
        options = _options(settings)
    sink = sink_of(address, session, options)
    return Publisher(
        store, target, sink, after=after, where=shown(target), choice=choice_of(settings)
    )


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
