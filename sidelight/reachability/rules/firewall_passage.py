"""The packets of a bundle that a Network Firewall's policy permits.

Packets meet the stateless rules first, by priority; those that are forwarded meet the stateful.
Answers of a connection that the stateful engine let through pass it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.reachability.addresses.bundles import cut
from sidelight.reachability.components.reading_firewalls import DROP, FORWARD, PASS, FirewallRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.reachability.addresses.bundles import Bundle
    from sidelight.reachability.components.network_firewalls import FirewallPolicy

PIECE_LIMIT: Final = 2_000  # pieces that the rules of one policy may cut a bundle into
CUT_LIMIT: Final = 100_000  # times that a piece meets a rule: a second's work


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
    cuts = 0
    for rule in rules:
        cuts += len(left)
        rest: list[Bundle] = []
        for bundle in left:
            inside, outside = cut(bundle, rule.match)
            rest.extend(outside)
            if inside is not None and rule.action != DROP:
                (forwarded if rule.action == FORWARD else through).append(inside)
        left = rest
        if cuts > CUT_LIMIT or len(left) + len(through) + len(forwarded) > PIECE_LIMIT:
            return left, False
    return left, True
