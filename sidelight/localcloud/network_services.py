"""Direct Connect and Network Firewall of the local cloud, which has no circuit and no policy.

moto lacks these listings. The network model's collection asks for them in each Region.
"""

from __future__ import annotations

import json

from moto.core.responses import ActionResult
from moto.directconnect.responses import DirectConnectResponse
from moto.networkfirewall.responses import NetworkFirewallResponse


class DirectConnectCalls(DirectConnectResponse):
    """moto's Direct Connect, with the listings of interfaces and gateways."""

    def describe_virtual_interfaces(self) -> str:
        """No virtual interface: nothing in the local cloud can create one."""
        return json.dumps({"virtualInterfaces": []})

    def describe_direct_connect_gateways(self) -> str:
        """No Direct Connect gateway, likewise."""
        return json.dumps({"directConnectGateways": []})


class FirewallCalls(NetworkFirewallResponse):
    """moto's Network Firewall, with the listings of policies and rule groups."""

    def list_firewall_policies(self) -> ActionResult:
        """No policy: moto keeps firewalls alone."""
        return ActionResult({"FirewallPolicies": []})

    def list_rule_groups(self) -> ActionResult:
        """No rule group, likewise."""
        return ActionResult({"RuleGroups": []})
