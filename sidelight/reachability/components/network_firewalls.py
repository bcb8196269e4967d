"""AWS Network Firewall: the policies of a network's firewalls, by endpoint.

Domain lists, Suricata rules and rules of application protocols may filter: what reaches them
passes, with a note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidelight.reachability.answers.fields import Fields, inner, items, number, text, texts
from sidelight.reachability.components import reading_firewalls as reading
from sidelight.reachability.components.reading_firewalls import DROP, FORWARD, PASS, FirewallRule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.reachability.addresses.prefixes import Prefix
    from sidelight.reachability.answers.collecting import Collector
    from sidelight.reachability.components.records import VpcRecord


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
        whole = True
        for reference in _ordered(policy, "StatelessRuleGroupReferences"):
            group = self._group(reference, name, notes)
            whole = whole and group is not None
            stateless.extend(reading.stateless_rules(group or {}))
        if any(rule.by_flags or rule.action == reading.UNKNOWN for rule in stateless):
            notes.append(f"not accounted for: stateless rules of firewall {name} by TCP flags")
        # A group that no answer has may let through what the default drops.
        default = texts(policy, "StatelessDefaultActions") if whole else []
        stateful, others, known = self._stateful(policy, name, vpc, notes)
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
            PASS if others or not known else stateful_default,
            tuple(dict.fromkeys(notes)),
        )

    def _stateful(
        self, policy: Fields, name: str, vpc: VpcRecord | None, notes: list[str]
    ) -> tuple[list[FirewallRule], list[str], bool]:
        """The 5-tuple rules in their order, what the others are, and whether all are known."""
        rules: list[FirewallRule] = []
        others: list[str] = []
        known = True
        for reference in _ordered(policy, "StatefulRuleGroupReferences"):
            group = self._group(reference, name, notes)
            if group is None:
                known = False
                continue
            names = reading.variables(group, policy, vpc.blocks if vpc else {}, self._prefix_lists)
            found, more = reading.stateful_rules(group, names)
            rules.extend(found)
            others.extend(more)
        strict = text(inner(policy, "StatefulEngineOptions"), "RuleOrder") == "STRICT_ORDER"
        if not strict:  # by action: all that pass, then those that drop
            rules.sort(key=lambda rule: rule.action != PASS)
        return rules, others, known

    def _group(self, reference: Fields, name: str, notes: list[str]) -> Fields | None:
        arn = text(reference, "ResourceArn")
        found = self._groups.get(arn)
        if found is None:
            notes.append(f"not accounted for: rule group {arn} of firewall {name}")
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
