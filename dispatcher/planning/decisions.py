"""The decision table: how an instance is scanned, and its coverage. PURE: facts in, decision out.

A table is a list of rules, and the first rule that matches decides. docs/eligibility.md is written
from these tables (`dispatcher.planning.decision_document`), and a test compares the two.

Source of the codes and their meaning: Inspector's ScanStatus. Where Inspector's documents leave a
case open, the rule's `note` gives the reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dispatcher.planning.facts import (
    Exclusion,
    Facts,
    FilesystemSupport,
    KeyAccess,
    Lifecycle,
    OsSupport,
    Storage,
    VolumeLimits,
)
from sidelight.model import AccountStatus, Ec2ScanMode, ScanMode, SsmState

if TYPE_CHECKING:
    from collections.abc import Mapping

ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"
NO_EBS_VOLUME = "NO_EBS_VOLUME"  # as sidelight.fleet.stages.final_errors; Inspector has no code


class Method(StrEnum):
    """How packages are collected."""

    AGENT_BASED = "AGENT_BASED"
    AGENTLESS = "AGENTLESS"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A rule's result. Without a `reason` there is no coverage entry."""

    method: Method = Method.NONE
    status_code: str = INACTIVE
    reason: str = ""
    scan_mode: ScanMode | None = None  # None: the one of the configured mode


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """A row of a decision table: it matches facts that have one of `values` in each field named.

    A field of which `values` has no member is not looked at.
    """

    values: frozenset[StrEnum]
    outcome: Outcome
    note: str = ""
    conditions: Mapping[str, frozenset[StrEnum]] = field(init=False)

    def __post_init__(self) -> None:
        """Sort the values by the field that they are of: each enumeration is of one field."""
        by_field = {
            item.name: frozenset(v for v in self.values if type(v) is type(item.default))
            for item in fields(Facts)
        }
        object.__setattr__(self, "conditions", {k: v for k, v in by_field.items() if v})

    def matches(self, facts: Facts) -> bool:
        """Whether each named field has one of the rule's values."""
        return all(getattr(facts, name) in allowed for name, allowed in self.conditions.items())


def _rule(*values: StrEnum, to: Outcome, note: str = "") -> DecisionRule:
    return DecisionRule(frozenset(values), to, note)


def _inactive(reason: str, scan_mode: ScanMode | None = None) -> Outcome:
    return Outcome(Method.NONE, INACTIVE, reason, scan_mode)


_PENDING: Final = "PENDING_INITIAL_SCAN"
_BY_AGENT: Final = Outcome(Method.AGENT_BASED, ACTIVE, _PENDING, ScanMode.AGENT_BASED)
_BY_SNAPSHOT: Final = Outcome(Method.AGENTLESS, ACTIVE, _PENDING, ScanMode.AGENTLESS)
_NO_ENTRY: Final = Outcome()
_VOLUMES_EXCLUDED: Final = (Ec2ScanMode.HYBRID, Exclusion.VOLUME, Exclusion.KMS_KEY)
_LISTED: Final = (Ec2ScanMode.HYBRID, Lifecycle.RUNNING, OsSupport.BOTH, OsSupport.AGENT_BASED)

_COMMON: Final = (
    _rule(AccountStatus.DISABLED, to=_NO_ENTRY, note="a disabled account has no coverage"),
    _rule(AccountStatus.PENDING_DISABLE, to=_inactive("PENDING_DISABLE")),
    _rule(Lifecycle.TERMINATED, to=_inactive("RESOURCE_TERMINATED")),
    _rule(Exclusion.INSTANCE, to=_inactive("EXCLUDED_BY_TAG")),
)

PACKAGE_RULES: Final[tuple[DecisionRule, ...]] = (
    *_COMMON,
    _rule(
        *_VOLUMES_EXCLUDED, *(state for state in SsmState if state is not SsmState.MANAGED),
        to=_inactive("EXCLUDED_BY_TAG", ScanMode.AGENTLESS),
        note="a tag on a volume or its key excludes the volumes, so the agentless method only",
    ),
    _rule(Lifecycle.STARTING, to=_inactive(_PENDING), note="the next discovery decides"),
    _rule(Lifecycle.STOPPED, to=_inactive("EC2_INSTANCE_STOPPED")),
    _rule(
        SsmState.MANAGED, Lifecycle.RUNNING, OsSupport.BOTH, OsSupport.AGENT_BASED, to=_BY_AGENT
    ),
    _rule(
        Ec2ScanMode.AGENT_BASED, Lifecycle.STOPPED_READABLE,
        to=_inactive("EC2_INSTANCE_STOPPED"), note="only its volumes could be read",
    ),
    _rule(
        Ec2ScanMode.AGENT_BASED, OsSupport.AGENTLESS, OsSupport.NEITHER,
        to=_inactive("UNSUPPORTED_OS"),
    ),
    _rule(
        Ec2ScanMode.AGENT_BASED, SsmState.UNMANAGED, SsmState.CONNECTION_LOST,
        to=_inactive("UNMANAGED_EC2_INSTANCE"),
    ),
    _rule(Ec2ScanMode.AGENT_BASED, SsmState.NO_INVENTORY, to=_inactive("NO_INVENTORY")),
    _rule(Ec2ScanMode.AGENT_BASED, SsmState.STALE, to=_inactive("STALE_INVENTORY")),
    _rule(*_VOLUMES_EXCLUDED, to=_inactive("EXCLUDED_BY_TAG", ScanMode.AGENTLESS)),
    _rule(
        Exclusion.NONE, KeyAccess.USABLE, OsSupport.BOTH, OsSupport.AGENTLESS, Storage.EBS,
        VolumeLimits.WITHIN, FilesystemSupport.UNKNOWN, FilesystemSupport.READABLE,
        to=_BY_SNAPSHOT,
    ),
    _rule(
        *_LISTED, SsmState.NO_INVENTORY, to=_inactive("NO_INVENTORY", ScanMode.AGENT_BASED),
        note="no method works; the agent is the one to repair",
    ),
    _rule(
        *_LISTED, SsmState.STALE, to=_inactive("STALE_INVENTORY", ScanMode.AGENT_BASED),
        note="as above",
    ),
    _rule(
        *_LISTED, SsmState.CONNECTION_LOST,
        to=_inactive("UNMANAGED_EC2_INSTANCE", ScanMode.AGENT_BASED), note="as above",
    ),
    _rule(
        KeyAccess.TAGS_DENIED, KeyAccess.UNSHAREABLE,
        to=_inactive("ACCESS_DENIED_TO_ENCRYPTION_KEY", ScanMode.AGENTLESS),
    ),
    _rule(OsSupport.AGENT_BASED, OsSupport.NEITHER,
          to=_inactive("UNSUPPORTED_OS", ScanMode.AGENTLESS)),
    _rule(Storage.INSTANCE_STORE, to=_inactive(NO_EBS_VOLUME, ScanMode.AGENTLESS),
          note="Inspector has no code for it"),
    _rule(
        VolumeLimits.EXCEEDED,
        to=_inactive("AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED", ScanMode.AGENTLESS),
    ),
    _rule(
        FilesystemSupport.UNREADABLE,
        to=Outcome(Method.AGENTLESS, INACTIVE, "UNSUPPORTED_OS", ScanMode.AGENTLESS),
        note="read again at its daily time: the volumes may have been replaced",
    ),
)  # fmt: skip

NETWORK_RULES: Final[tuple[DecisionRule, ...]] = (
    *_COMMON,
    _rule(Lifecycle.STARTING, to=_inactive(_PENDING), note="the next discovery decides"),
    _rule(
        Lifecycle.STOPPED,
        Lifecycle.STOPPED_READABLE,
        to=_inactive("EC2_INSTANCE_STOPPED"),
        note="a stopped instance has no open port",
    ),
    _rule(Lifecycle.RUNNING, to=Outcome(Method.NONE, ACTIVE, _PENDING)),
)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """How an instance is scanned. `package` and `network` are its coverage entries.

    `detail` names what the reason is about. PENDING_INITIAL_SCAN of an ACTIVE entry is the reason
    until a scan has ended; a later scan's result stays.
    """

    package: Outcome
    network: Outcome
    detail: str = ""

    @property
    def method(self) -> Method:
        """How its packages are collected."""
        return self.package.method

    @property
    def eligible(self) -> bool:
        """Whether its volumes are to be read."""
        return self.method is Method.AGENTLESS

    @property
    def reason(self) -> str:
        """The reason of an INACTIVE package entry; empty for an ACTIVE one."""
        return "" if self.package.status_code == ACTIVE else self.package.reason


def decide(facts: Facts) -> Eligibility:
    """Return how an instance with these facts is scanned."""
    return Eligibility(_first(PACKAGE_RULES, facts), _first(NETWORK_RULES, facts))


def _first(rules: tuple[DecisionRule, ...], facts: Facts) -> Outcome:
    rule = next(rule for rule in rules if rule.matches(facts))
    outcome = rule.outcome
    if outcome.scan_mode is not None or not outcome.reason or rules is NETWORK_RULES:
        return outcome
    is_agent_based = facts.mode is Ec2ScanMode.AGENT_BASED
    scan_mode = ScanMode.AGENT_BASED if is_agent_based else ScanMode.AGENTLESS
    return Outcome(outcome.method, outcome.status_code, outcome.reason, scan_mode)
