"""Group findings by the upgrade that closes them, and order the upgrades by what each closes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.errors import SidelightError
from sidelight.model import Severity
from sidelight.remediation.commands import upgrade_command
from sidelight.remediation.reboots import needs_reboot
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# What one finding weighs. An exploited one weighs EXPLOITED times as much; an action's weight
# doubles where all its machines can be reached from the internet.
WEIGHTS: Final[Mapping[Severity, float]] = {
    Severity.CRITICAL: 20.0,
    Severity.HIGH: 8.0,
    Severity.MEDIUM: 2.0,
    Severity.LOW: 0.5,
    Severity.UNTRIAGED: 0.5,
    Severity.INFORMATIONAL: 0.1,
}
EXPLOITED: Final = 5.0


class FixableDetail(NamedTuple):
    """One vulnerability of one version of a package, and how many machines have it unfixed.

    `fixed_version` is not empty; `ecosystem` is the advisory's (`Debian:12`, `npm`).
    """

    purl_type: str
    ecosystem: str
    package: str
    fixed_version: str
    severity: Severity
    vulnerability: str
    exploited: bool
    findings: int


@dataclass(frozen=True, slots=True)
class UpgradeAction:
    """One upgrade: of `package` to `version` at least, on `machines` machines.

    It closes `closes` findings by severity, `exploited` of them with a known exploit. `exposed`
    machines can be reached from the internet. `command` is empty where there is none. `weight`
    orders actions, see `weigh`.
    """

    purl_type: str
    ecosystem: str
    package: str
    version: str
    closes: dict[str, int] = field(default_factory=dict)
    vulnerabilities: int = 0
    exploited: int = 0
    machines: int = 0
    exposed: int = 0
    reboot: bool = False
    command: str = ""
    weight: float = 0.0

    @property
    def findings(self) -> int:
        """The number of findings that it closes."""
        return sum(self.closes.values())

    @property
    def key(self) -> tuple[str, str, str]:
        """What distinguishes actions: purl type, ecosystem and package."""
        return self.purl_type, self.ecosystem, self.package


def plan(
    details: Iterable[FixableDetail], severities: Collection[Severity] = ()
) -> list[UpgradeAction]:
    """Return the actions that close these findings, the heaviest first; their machines are 0.

    `severities` limits what counts to these; the version is still the one that closes all.
    """
    groups: dict[tuple[str, str, str], list[FixableDetail]] = {}
    for detail in details:
        if detail.fixed_version:
            key = (detail.purl_type, detail.ecosystem, detail.package)
            groups.setdefault(key, []).append(detail)
    actions = (_action(some, severities) for some in groups.values())
    return sorted((action for action in actions if action.findings), key=_heaviest_first)


def weigh(actions: Iterable[UpgradeAction]) -> list[UpgradeAction]:
    """Order actions again, once it is known how many of their machines are exposed."""
    weighed = [
        replace(action, weight=action.weight * (1 + action.exposed / action.machines))
        if action.machines
        else action
        for action in actions
    ]
    return sorted(weighed, key=_heaviest_first)


def combine(plans: Iterable[UpgradeAction]) -> list[UpgradeAction]:
    """Return one action for each package of the actions of several accounts, the heaviest first.

    All counts are sums but `vulnerabilities`, which accounts have in common: it is 0.
    """
    groups: dict[tuple[str, str, str], list[UpgradeAction]] = {}
    for action in plans:
        groups.setdefault(action.key, []).append(action)
    return weigh(_combined(some) for some in groups.values())


def _combined(actions: list[UpgradeAction]) -> UpgradeAction:
    first = actions[0]
    versions = {action.version for action in actions}
    version = _highest(versions, first) if len(versions) > 1 else first.version
    closes: dict[str, int] = {}
    for action in actions:
        for grade, number in action.closes.items():
            closes[grade] = closes.get(grade, 0) + number
    return replace(
        first,
        version=version,
        command=upgrade_command(first.purl_type, first.package, first.ecosystem, version),
        closes=closes,
        vulnerabilities=0,
        exploited=sum(action.exploited for action in actions),
        machines=sum(action.machines for action in actions),
        exposed=sum(action.exposed for action in actions),
        # Each is without what its exposed machines added: `weigh` adds that of all.
        weight=sum(
            action.weight / (1 + action.exposed / action.machines)
            if action.machines
            else action.weight
            for action in actions
        ),
    )


def _action(details: list[FixableDetail], severities: Collection[Severity]) -> UpgradeAction:
    first = details[0]
    version = _highest({detail.fixed_version for detail in details}, first)
    closes: dict[str, int] = {}
    exploited = 0
    weight = 0.0
    counted = [item for item in details if not severities or item.severity in severities]
    for detail in counted:
        grade = detail.severity.value
        closes[grade] = closes.get(grade, 0) + detail.findings
        exploited += detail.findings if detail.exploited else 0
        weight += (
            WEIGHTS[detail.severity] * detail.findings * (EXPLOITED if detail.exploited else 1.0)
        )
    return UpgradeAction(
        first.purl_type,
        first.ecosystem,
        first.package,
        version,
        closes,
        len({detail.vulnerability for detail in counted}),
        exploited,
        reboot=needs_reboot(first.purl_type, first.package),
        command=upgrade_command(first.purl_type, first.package, first.ecosystem, version),
        weight=weight,
    )


def _highest(versions: Iterable[str], of: FixableDetail | UpgradeAction) -> str:
    """Return the highest version by the ecosystem's order; a version that it refuses is lowest."""

    def key(version: str) -> tuple[bool, bytes, str]:
        for order in (of.ecosystem, of.purl_type):
            try:
                return True, sort_key(order, version), version
            except SidelightError:
                continue
        return False, b"", version

    return max(versions, key=key)


def _heaviest_first(action: UpgradeAction) -> tuple[object, ...]:
    return -action.weight, -action.findings, action.key
