"""The settings of webhooks that get events (docs/webhooks.md)."""

from __future__ import annotations

from dataclasses import dataclass

from sidelight.fleet.settings.definition import Process, setting

_SENDERS = (Process.FLEET, Process.DISPATCHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """How events are sent to `webhook:`, `slack:` and `jira:` (docs/webhooks.md)."""

    secret: str = setting(
        "SIDELIGHT_WEBHOOK_SECRET", "", unit="text", readers=_SENDERS,
        meaning="The secret that requests to `webhook:` are signed with, `whsec_` and base64, or"
        " `file:PATH` of a file with it. Two, separated by a blank, while one replaces the other",
    )  # fmt: skip
    authorization: str = setting(
        "SIDELIGHT_WEBHOOK_AUTHORIZATION", "", unit="text", readers=_SENDERS,
        meaning="The header Authorization of requests to `webhook:`, or `file:PATH`; empty: none",
    )  # fmt: skip
    template: str = setting(
        "SIDELIGHT_WEBHOOK_TEMPLATE", "", unit="path", readers=_SENDERS,
        meaning="A template of the JSON that `webhook:` gets; empty: the event as it is",
    )  # fmt: skip
    jira_project: str = setting(
        "SIDELIGHT_JIRA_PROJECT", "", unit="key", readers=_SENDERS,
        meaning="The project in which `jira:` creates issues",
    )  # fmt: skip
    jira_login: str = setting(
        "SIDELIGHT_JIRA_LOGIN", "", unit="`EMAIL:TOKEN`", readers=_SENDERS,
        meaning="The login of `jira:`, an e-mail address and its API token, or `file:PATH`",
    )  # fmt: skip
    private: bool = setting(
        "SIDELIGHT_WEBHOOK_PRIVATE", False, readers=_SENDERS,
        meaning="Allow receivers at private addresses and by plain HTTP: those of your own network",
    )  # fmt: skip
    ca: str = setting(
        "SIDELIGHT_WEBHOOK_CA", "", unit="path", readers=_SENDERS,
        meaning="A PEM file of certificate authorities that receivers' certificates may also be"
        " signed by",
    )  # fmt: skip
