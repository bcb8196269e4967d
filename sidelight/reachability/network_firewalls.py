"""AWS Network Firewall: what its stateless and 5-tuple stateful rules let through.

Packets meet the stateless rules first, by priority; those that are forwarded meet the stateful.
Answers of a connection that the stateful engine let through pass it. Domain lists, Suricata rules
and rules of application protocols may filter: what reaches them passes, with a note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.reachability import reading_firewalls as reading
from sidelight.reachability.bundle_algebra import cut
from sidelight.reachability.fields import Fields, inner, items, number, text, texts
from sidelight.reachability.reading_firewalls import DROP, FORWARD, PASS, FirewallRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidelight.reachability.collecting import Collector
    from sidelight.reachability.packets import Bundle
    from sidelight.reachability.prefixes import Prefix
    from sidelight.reachability.records import VpcRecord

PIECE_LIMIT: Final = 2_000  # pieces that the rules of one policy may cut a bundle into


class FirewallPolicy(NamedTuple):
    """A firewall's rules in the order in which they are asked."""

    stateless: tuple[FirewallRule, ...]
    stateless_default: str
    stateful: tuple[FirewallRule, ...]
    stateful_default: str
    notes: tuple[str, ...]


class NetworkFirewalls:
    """The firewall policies of a network by the endpoint that routes name."""

    def __init__(
        self,
        collector: Collector,
        vpcs: Mapping[str, VpcRecord],
        prefix_lists: Mapping[str, tuple[Prefix, ...]],
    ) -> None:
        self._groups = {
            _arn(fields, "RuleGroupResponse", "RuleGroupArn"): fields
            for fields, _, _ in collector.objects("RuleGroups")
        }
        self._prefix_lists = prefix_lists
        policies = {
            _arn(fields, "FirewallPolicyResponse", "FirewallPolicyArn"): fields
            for fields, _, _ in collector.objects("FirewallPolicies")
        }
        self.by_endpoint: dict[str, FirewallPolicy] = {}
        for fields, _, _ in collector.objects("NetworkFirewalls"):
            firewall = inner(fields, "Firewall")
            policy = policies.get(text(firewall, "FirewallPolicyArn"))
            vpc = vpcs.get(text(firewall, "VpcId"))
            found = self._policy(text(firewall, "FirewallName"), policy, vpc)
            for state in inner(inner(fields, "FirewallStatus"), "SyncStates").values():
                endpoint = (
                    text(inner(state, "Attachment"), "EndpointId")
                    if isinstance(state, dict)
                    else ""
                )
                if endpoint:
                    self.by_endpoint[endpoint] = found

    def _policy(self, name: str, fields: Fields | None, vpc: VpcRecord | None) -> FirewallPolicy:
        if fields is None:
            note = f"not accounted for: the policy of firewall {name}, which is not in the answers"
            return FirewallPolicy((), PASS, (), PASS, (note,))
        policy = inner(fields, "FirewallPolicy")
        notes: list[str] = []
        stateless: list[FirewallRule] = []
        for reference in _ordered(policy, "StatelessRuleGroupReferences"):
            group = self._group(reference, name, notes)
            stateless.extend(reading.stateless_rules(group))
        if any(rule.action == reading.UNKNOWN for rule in stateless):
            notes.append(f"not accounted for: stateless rules of firewall {name} by TCP flags")
        default = texts(policy, "StatelessDefaultActions")
        stateful, others = self._stateful(policy, name, vpc, notes)
        named = texts(policy, "StatefulDefaultActions")
        stateful_default = DROP if "aws:drop_strict" in named else PASS
        if any(one.startswith("aws:drop_established") for one in named):
            notes.append(f"not accounted for: firewall {name} drops data of unknown connections")
        notes += [
            f"not accounted for: firewall {name} may filter by {other}"
            for other in sorted(set(others))
        ]
        return FirewallPolicy(
            tuple(rule for rule in stateless if rule.action != reading.UNKNOWN),
            next((action for one in default if (action := _default(one))), PASS),
            tuple(stateful),
            PASS if others else stateful_default,
            tuple(dict.fromkeys(notes)),
        )

    def _stateful(
        self, policy: Fields, name: str, vpc: VpcRecord | None, notes: list[str]
    ) -> tuple[list[FirewallRule], list[str]]:
        rules: list[FirewallRule] = []
        others: list[str] = []
        for reference in _ordered(policy, "StatefulRuleGroupReferences"):
            group = self._group(reference, name, notes)
            names = reading.variables(group, policy, vpc.blocks if vpc else {}, self._prefix_lists)
            found, more = reading.stateful_rules(group, names)
            rules.extend(found)
            others.extend(more)
        strict = text(inner(policy, "StatefulEngineOptions"), "RuleOrder") == "STRICT_ORDER"
        if not strict:  # by action: all that pass, then those that drop
            rules.sort(key=lambda rule: rule.action != PASS)
        return rules, others

    def _group(self, reference: Fields, name: str, notes: list[str]) -> Fields:
        arn = text(reference, "ResourceArn")
        found = self._groups.get(arn)
        if found is None:
            notes.append(f"not accounted for: rule group {arn} of firewall {name}")
            return {}
        return found


def _arn(fields: Fields, response: str, key: str) -> str:
    return text(inner(fields, response), key) or text(fields, "Arn")


def _ordered(policy: Fields, key: str) -> list[Fields]:
    def priority(fields: Fields) -> int:
        found = number(fields, "Priority")
        return 1 << 30 if found is None else found

    return sorted(items(policy, key), key=priority)


def _default(action: str) -> str:
    return {"aws:pass": PASS, "aws:drop": DROP, "aws:forward_to_sfe": FORWARD}.get(action, "")


def passed(
    policy: FirewallPolicy, bundle: Bundle, family: int, protocol: int, *, replies: bool
) -> tuple[list[Bundle], bool]:
    """The parts of a bundle that a policy lets through, and whether it was cut into too many."""
    through: list[Bundle] = []
    forwarded: list[Bundle] = []
    left, whole = _sorted_out(
        _for(policy.stateless, family, protocol), [bundle], through, forwarded
    )
    if policy.stateless_default == PASS:
        through += left
    elif policy.stateless_default == FORWARD:
        forwarded += left
    if replies:
        return through + forwarded, whole
    left, complete = _sorted_out(_for(policy.stateful, family, protocol), forwarded, through, [])
    if policy.stateful_default == PASS:
        through += left
    return through, whole and complete


def _for(rules: Sequence[FirewallRule], family: int, protocol: int) -> list[FirewallRule]:
    return [
        rule
        for rule in rules
        if rule.family == family and (not rule.protocols or protocol in rule.protocols)
    ]


def _sorted_out(
    rules: Sequence[FirewallRule],
    bundles: list[Bundle],
    through: list[Bundle],
    forwarded: list[Bundle],
) -> tuple[list[Bundle], bool]:
    """Sort by the first rule that has each packet; what no rule has, False if rules are left."""
    left = bundles
    for rule in rules:
        rest: list[Bundle] = []
        for bundle in left:
            inside, outside = cut(bundle, rule.match)
            rest.extend(outside)
            if inside is not None and rule.action != DROP:
                (forwarded if rule.action == FORWARD else through).append(inside)
        left = rest
        if len(left) + len(through) + len(forwarded) > PIECE_LIMIT:
            return left, False
    return left, True
