"""Network Firewall's policies and rule groups, from their describe answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.bundles import Match
from sidelight.reachability.addresses.prefixes import ALL, IPV4, IPV6, address, prefix
from sidelight.reachability.answers.fields import Fields, inner, items, number, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.addresses.prefixes import Prefix
    from sidelight.reachability.components.records import Blocks

PASS, DROP, FORWARD, UNKNOWN = "pass", "drop", "forward", "unknown"

_STATELESS: Final = {"aws:pass": PASS, "aws:drop": DROP, "aws:forward_to_sfe": FORWARD}
_STATEFUL: Final = {"PASS": PASS, "DROP": DROP, "REJECT": DROP, "ALERT": ""}
_HEADER_PROTOCOLS: Final = {"IP": None, "TCP": (6,), "UDP": (17,), "ICMP": (1, 58)}
_LAST_PORT: Final = 65535
_RULE_LIMIT: Final = 30_000  # rules of a policy: the quota of stateful rules
_OPTIONS_OF_NO_EFFECT: Final = frozenset({"sid", "msg", "rev", "metadata", "reference", "priority"})


class FirewallRule(NamedTuple):
    """A rule for one family: its protocols (None for all), what it has, and its action.

    With `by_flags` it matches only packets with some TCP flags, which are not evaluated.
    """

    family: int
    protocols: tuple[int, ...] | None
    match: Match
    action: str
    by_flags: bool = False


class _Unreadable(ValueError):  # noqa: N818 - it never leaves this module
    """A term of a rule that the model does not evaluate."""


def stateless_rules(group: Fields) -> Iterator[FirewallRule]:
    """The rules of a stateless group, by priority."""
    source = inner(inner(group, "RuleGroup"), "RulesSource")
    rules = items(inner(source, "StatelessRulesAndCustomActions"), "StatelessRules")
    for rule in sorted(rules, key=_priority)[:_RULE_LIMIT]:
        definition = inner(rule, "RuleDefinition")
        named = (_STATELESS.get(action) for action in texts(definition, "Actions"))
        action = next((found for found in named if found), UNKNOWN)
        match = inner(definition, "MatchAttributes")
        numbers = match.get("Protocols")
        protocols = (
            tuple(one for one in numbers if isinstance(one, int))
            if isinstance(numbers, list)
            else ()
        )
        by_flags = bool(items(match, "TCPFlags"))
        if by_flags and action == DROP:  # the packets with other flags pass
            action = UNKNOWN
        for family in (IPV4, IPV6):
            src, dst = (_blocks(match, key, family) for key in ("Sources", "Destinations"))
            if src != () and dst != ():
                found = Match(
                    src, dst, _ports(match, "DestinationPorts"), _ports(match, "SourcePorts")
                )
                yield FirewallRule(family, protocols or None, found, action, by_flags)


def _priority(fields: Fields) -> int:
    found = number(fields, "Priority")
    return 1 << 30 if found is None else found


def _blocks(match: Fields, key: str, family: int) -> Intervals | None:
    """The addresses of a match in a family; None if it does not restrict them."""
    named = [text(item, "AddressDefinition") for item in items(match, key)]
    if not named:
        return None
    return _of_family((_block(one) for one in named), family)


def _of_family(blocks: Iterable[Prefix | None], family: int) -> Intervals:
    return intervals.of(
        (block.first, block.last)
        for block in blocks
        if block is not None and block.family == family
    )


def _block(value: str) -> Prefix | None:
    if "/" not in value and (found := address(value)) is not None:
        value = f"{value}/{32 if found[0] == IPV4 else 128}"
    return prefix(value)


def _ports(match: Fields, key: str) -> Intervals | None:
    ranges = [(number(item, "FromPort"), number(item, "ToPort")) for item in items(match, key)]
    return (
        intervals.of(
            (first, last) for first, last in ranges if first is not None and last is not None
        )
        if ranges
        else None
    )


class Variables(NamedTuple):
    """The sets that a stateful group's headers name with `$` and `@`."""

    addresses: Mapping[str, list[str]]
    ports: Mapping[str, list[str]]
    home: Blocks


def variables(
    group: Fields, policy: Fields, home: Blocks, lists: Mapping[str, tuple[Prefix, ...]]
) -> Variables:
    """The variables of a group; without them, the policy's HOME_NET and the VPC's blocks."""
    addresses: dict[str, list[str]] = {}
    ports: dict[str, list[str]] = {}
    own = inner(group, "RuleGroup")
    for source in (inner(policy, "PolicyVariables"), own):
        variables = inner(source, "RuleVariables")
        for sets, found in (("IPSets", addresses), ("PortSets", ports)):
            for name, value in inner(variables, sets).items():
                if isinstance(value, dict):
                    found[f"${name}"] = texts(value, "Definition")
    for name, value in inner(inner(own, "ReferenceSets"), "IPSetReferences").items():
        if isinstance(value, dict):
            list_id = text(value, "ReferenceArn").rpartition("/")[2]
            if list_id in lists:
                addresses[f"@{name}"] = [f"\0{list_id}"]
    return Variables(addresses, ports, home)


def stateful_rules(group: Fields, names: Variables) -> tuple[list[FirewallRule], list[str]]:
    """The rules of a stateful group that are 5-tuples, and notes on its other rules."""
    source = inner(inner(group, "RuleGroup"), "RulesSource")
    others = []
    if text(source, "RulesString") or source.get("RulesString"):
        others.append("Suricata rules")
    if inner(source, "RulesSourceList"):
        others.append("a list of domains")
    rules: list[FirewallRule] = []
    for rule in items(source, "StatefulRules")[:_RULE_LIMIT]:
        try:
            rules.extend(_stateful(rule, names))
        except _Unreadable as unreadable:
            others.append(str(unreadable))
    return rules, others


def _stateful(rule: Fields, names: Variables) -> Iterator[FirewallRule]:
    header = inner(rule, "Header")
    protocol = text(header, "Protocol").upper()
    if protocol not in _HEADER_PROTOCOLS:
        raise _Unreadable(f"a rule for {protocol[:20] or 'no protocol'}")
    options = {text(option, "Keyword").lower() for option in items(rule, "RuleOptions")}
    if options - _OPTIONS_OF_NO_EFFECT:
        raise _Unreadable(f"a rule with the option {min(options - _OPTIONS_OF_NO_EFFECT)[:20]}")
    action = _STATEFUL.get(text(rule, "Action").upper())
    if action is None:
        raise _Unreadable("a rule with an action that is not known")
    if not action:
        return
    ends = [(text(header, "Source"), text(header, "SourcePort"))]
    ends.append((text(header, "Destination"), text(header, "DestinationPort")))
    ways = [ends, ends[::-1]] if text(header, "Direction").upper() == "ANY" else [ends]
    for family in (IPV4, IPV6):
        for (src, src_port), (dst, dst_port) in ways:
            match = Match(
                _addresses(src, names, family),
                _addresses(dst, names, family),
                _port_set(dst_port, names),
                _port_set(src_port, names),
            )
            if match.src != () and match.dst != ():
                yield FirewallRule(family, _HEADER_PROTOCOLS[protocol], match, action)


def _terms(value: str) -> list[str]:
    """`[a, b]` or one term. Lists in lists are not evaluated."""
    inside = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if "[" in inside or "]" in inside:
        raise _Unreadable("a list within a list")
    return [term.strip() for term in inside.split(",") if term.strip()]


def _addresses(value: str, names: Variables, family: int) -> Intervals | None:
    """A header's addresses; None for all."""
    negated = value.startswith("!")
    terms = _terms(value.removeprefix("!"))
    wanted = [term for term in terms if not term.startswith("!")]
    unwanted = [term.removeprefix("!") for term in terms if term.startswith("!")]
    # A list of nothing but exclusions excludes from all addresses; one that names addresses of the
    # other family alone has none of this one.
    found = ALL[family] if unwanted and not wanted else _all_of(wanted, names, family)
    found = intervals.difference(found, _all_of(unwanted, names, family))
    if negated:
        found = intervals.difference(ALL[family], found)
    return None if found == ALL[family] else found


def _all_of(terms: Iterable[str], names: Variables, family: int) -> Intervals:
    return intervals.of(pair for term in terms for pair in _named(term, names, family))


def _named(name: str, names: Variables, family: int) -> Intervals:
    if name.lower() == "any":
        return ALL[family]
    if name in ("$HOME_NET", "$EXTERNAL_NET") and name not in names.addresses:
        own = names.addresses.get("$HOME_NET")
        home = (
            names.home.get(family, ())
            if own is None
            else _of_family((_block(one) for one in own), family)
        )
        return home if name == "$HOME_NET" else intervals.difference(ALL[family], home)
    if name in names.addresses:
        if any(one.startswith("\0") for one in names.addresses[name]):
            raise _Unreadable("a rule with a referenced set")
        return _of_family((_block(one) for one in names.addresses[name]), family)
    block = _block(name)
    if block is None:
        raise _Unreadable(f"a rule with the addresses {name[:20]}")
    return _of_family((block,), family)


def _port_set(value: str, names: Variables) -> Intervals | None:
    """A header's ports, as `80`, `80:90`, `:1023`, `[80, 443]`, `!22` or `$NAME`; None for all."""
    negated = value.startswith("!")
    pairs: list[tuple[int, int]] = []
    for term in _terms(value.removeprefix("!")):
        for one in names.ports.get(term, [term]):
            if one.lower() == "any":
                pairs.append((0, _LAST_PORT))
                continue
            first, colon, last = one.partition(":")
            low = first or "0"
            high = (last or str(_LAST_PORT)) if colon else low
            if not (low.isdecimal() and high.isdecimal() and len(low) < 6 and len(high) < 6):
                raise _Unreadable(f"a rule with the ports {one[:20]}")
            if int(low) <= int(high) <= _LAST_PORT:
                pairs.append((int(low), int(high)))
    found = intervals.of(pairs)
    if negated:
        found = intervals.difference(((0, _LAST_PORT),), found)
    return None if found == ((0, _LAST_PORT),) else found
