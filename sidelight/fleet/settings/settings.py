"""All settings of a process, read once: from options, the environment and defaults, in that order.

docs/settings.md is made of the groups (`make docs`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from sidelight.errors import UsageError
from sidelight.fleet.settings.advisory_updates import UpdateSettings
from sidelight.fleet.settings.agents import AgentSettings
from sidelight.fleet.settings.api import ApiSettings
from sidelight.fleet.settings.changes import ChangeSettings
from sidelight.fleet.settings.cloud import (
    AwsSettings,
    BudgetSettings,
    RateSettings,
    SnapshotSettings,
)
from sidelight.fleet.settings.definition import PREFIX, Definition, Unchosen, definition_of
from sidelight.fleet.settings.infrastructure import (
    BrokerSettings,
    RetrySettings,
    StoreSettings,
    WorkerSettings,
)
from sidelight.fleet.settings.logs import LogSettings
from sidelight.fleet.settings.networks import NetworkSettings
from sidelight.fleet.settings.scanning import FindingSettings, ReadingSettings
from sidelight.fleet.settings.sign_in import OidcSettings
from sidelight.fleet.settings.sources import SourceSettings
from sidelight.fleet.settings.webhooks import WebhookSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

# Variables that are not settings of a process of the fleet, and what reads them.
OTHERS: Final = {
    "SIDELIGHT_CONFIG": "every command: the configuration file; empty: none (docs/config-file.md)",
    "SIDELIGHT_MIRRORS": "`advisories fetch` and `update`: `SOURCE=URL` pairs, separated by blanks",
    "SIDELIGHT_DEBUG": "every command: print the traceback of an error",
    "SIDELIGHT_IMAGE": "deploy/compose.yaml",
    "SIDELIGHT_CONSOLE_URL": "the demo: where its console is",
    "SIDELIGHT_CONSOLE_USER": "the demo: who may sign in to its console",
    "SIDELIGHT_CONSOLE_PASSWORD": "the demo: that user's password",
    "SIDELIGHT_SHARED_DATA": "the tests",
    "SIDELIGHT_LOAD_LOG": "the load proof",
}
TESTS: Final = "SIDELIGHT_TEST_"  # the tests' own worker processes
# Kubernetes sets variables in each pod for the services of its namespace: for a service called
# sidelight-metrics, SIDELIGHT_METRICS_SERVICE_HOST and SIDELIGHT_METRICS_PORT_8417_TCP_ADDR.
_SERVICE = "_SERVICE_HOST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in groups, each immutable. Times are in seconds."""

    store: StoreSettings = field(default_factory=StoreSettings)
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    retries: RetrySettings = field(default_factory=RetrySettings)
    aws: AwsSettings = field(default_factory=AwsSettings)
    snapshots: SnapshotSettings = field(default_factory=SnapshotSettings)
    sources: SourceSettings = field(default_factory=SourceSettings)
    rates: RateSettings = field(default_factory=RateSettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    findings: FindingSettings = field(default_factory=FindingSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    updates: UpdateSettings = field(default_factory=UpdateSettings)
    agents: AgentSettings = field(default_factory=AgentSettings)
    changes: ChangeSettings = field(default_factory=ChangeSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    oidc: OidcSettings = field(default_factory=OidcSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    networks: NetworkSettings = field(default_factory=NetworkSettings)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, **options: object
    ) -> Settings:
        """Read settings from the environment; an option that is not None overrides its variable.

        An option is named as its variable, `store_url` for SIDELIGHT_STORE_URL. Raises UsageError,
        naming the variable, for an invalid value and for a SIDELIGHT_ variable that does not exist.
        """
        variables = os.environ if environment is None else environment
        refuse_unknown(variables)
        values = {key: value for key, value in options.items() if value is not None}
        for key, definition in DEFINITIONS.items():
            if key not in values and definition.variable in variables:
                values[key] = definition.parse(variables[definition.variable])
        return cls.of(**values)

    @classmethod
    def of(cls, **values: Any) -> Settings:
        """Return the defaults with these values, each named as its variable: `store_url`.

        Raises TypeError for a name that no setting has, and for a value of another type.
        """
        return cls().replaced(**values)

    def replaced(self, **values: object) -> Settings:
        """Return a copy with these values, named as in `of`. Raises TypeError likewise."""
        if unknown := values.keys() - DEFINITIONS.keys():
            raise TypeError(f"no setting is called {sorted(unknown)}")
        for key, value in values.items():
            DEFINITIONS[key].check(value)
        changed = {}
        for name, members in _GROUPS.items():
            chosen = {member: values[key] for member, key in members.items() if key in values}
            changed[name] = replace(getattr(self, name), **chosen)
        return Settings(**changed)

    def as_environment(self) -> dict[str, str]:
        """Return a worker's environment, without defaults that are Unchosen: they stay so there."""
        environment = {}
        for name, members in _GROUPS.items():
            for member, key in members.items():
                value, definition = getattr(getattr(self, name), member), DEFINITIONS[key]
                if not isinstance(value, Unchosen):
                    environment[definition.variable] = definition.format(value)
        return environment


def groups() -> dict[str, type]:
    """Return the groups' classes by their name in Settings, in order."""
    return {member.name: type(getattr(Settings(), member.name)) for member in fields(Settings)}


def _by_key() -> tuple[dict[str, dict[str, str]], dict[str, Definition]]:
    """Return each group's members with their keys, and the definitions by key."""
    members: dict[str, dict[str, str]] = {}
    definitions: dict[str, Definition] = {}
    for name, group in groups().items():
        found = {member.name: definition_of(member) for member in fields(group)}
        members[name] = {member: definition.key for member, definition in found.items()}
        definitions |= {definition.key: definition for definition in found.values()}
    return members, definitions


_GROUPS, DEFINITIONS = _by_key()


def variables() -> list[str]:
    """Return every SIDELIGHT_ variable that is read, in order."""
    return [*(definition.variable for definition in DEFINITIONS.values()), *OTHERS]


def refuse_unknown(environment: Mapping[str, str]) -> None:
    """Raise UsageError for a SIDELIGHT_ variable that no code reads: it is misspelt."""
    names = sorted(name for name in environment if name.startswith(PREFIX))
    services = [name.removesuffix(_SERVICE) for name in names if name.endswith(_SERVICE)]
    known = variables()
    for name in names:
        is_service = any(name.startswith((f"{s}_SERVICE_", f"{s}_PORT")) for s in services)
        if name in known or name.startswith(TESTS) or is_service:
            continue
        suffixes = [variable[len(PREFIX) :] for variable in known]
        near = get_close_matches(name[len(PREFIX) :], suffixes, 1)
        hint = f"did you mean {PREFIX}{near[0]}?" if near else "docs/settings.md lists all of them"
        raise UsageError(f"there is no such setting; {hint}", where=name)
