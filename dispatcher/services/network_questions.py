"""Questions of people about a network: whether a port is reachable, and would be after a change.

The network is that of the last evaluation, as the store keeps AWS's answers: nothing is asked of
AWS, and nothing is changed. An account-region's peers are part of the network, but only objects of
the account-region itself may be named: who may see it may not see its peers.
"""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sidelight.errors import UsageError
from sidelight.fleet.networks.kept_answers import read_kept
from sidelight.fleet.networks.peers import load_peers, peers_of
from sidelight.reachability import Answers, Network
from sidelight.reachability.addresses.prefixes import address
from sidelight.reachability.answers.fields import inner, items, text
from sidelight.reachability.components.changes import IDS
from sidelight.reachability.components.reading_filters import security_group
from sidelight.reachability.components.records import INGRESS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sidelight.reachability import Explanation
    from sidelight.store import Store

    Lists = Mapping[str, list[Any]]

MOST_READ: Final = 64 << 20  # bytes of JSON: about 25,000 interfaces, some seconds of the model
MOST_REMOVED: Final = 50
INTERNET: Final = "internet"
PROTOCOLS: Final = ("tcp", "udp")
# The model holds one processor for its whole time.
_AT_ONCE = threading.BoundedSemaphore(1)
_PATIENCE: Final = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class AddedRule:
    """An inbound rule of a security group that there is not; `source` is a CIDR block."""

    group: str
    protocol: str
    port: int
    source: str


@dataclass(frozen=True, slots=True)
class NetworkQuestion:
    """Whether a packet of `source` gets to a port of an instance, without and with changes.

    `source` is `internet`, an address, or an id of the account-region. `removed` are ids of rules
    (`sg-1/ingress/tcp/22-22/0.0.0.0/0`) or of whole objects.
    """

    instance: str
    protocol: str
    port: int
    source: str = INTERNET
    removed: tuple[str, ...] = ()
    added: AddedRule | None = None

    @property
    def has_change(self) -> bool:
        """Whether it asks what would be."""
        return bool(self.removed or self.added)


@dataclass(frozen=True, slots=True)
class NetworkAnswer:
    """What is, and what would be (None without a change), by the network of `evaluated_at`."""

    evaluated_at: datetime | None
    now: Explanation
    changed: Explanation | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredNetwork:
    """The network of an account-region, from the store. It never changes."""

    account: str
    region: str
    evaluated_at: datetime | None
    own: Lists
    answers: Answers = field(repr=False)

    @classmethod
    def load(cls, store: Store, account: str, region: str) -> StoredNetwork:
        """Load it. Raises UsageError where there is none that can be asked."""
        where = f"{account}/{region}"
        kept = store.network_evaluations.answers(account, region)
        if kept is None or kept.evaluated_at is None:
            raise UsageError("its network was not evaluated yet", where=where)
        own = read_kept(kept.answers, MOST_READ) if kept.answers else None
        if own is None:
            what = "its network is too large to be asked here: use `sidelight network explain`"
            raise UsageError(what, where=where)
        peers = load_peers(store, peers_of(own, account, region))
        answers = Answers({**peers.lists, (account, region): own}, peers.problems)
        return cls(account, region, kept.evaluated_at, own, answers)

    def groups(self, instance: str) -> list[str]:
        """Return the security groups of an instance's interfaces."""
        found = {
            text(group, "GroupId")
            for item in items(self.own, "NetworkInterfaces")
            if text(inner(item, "Attachment"), "InstanceId") == instance
            for group in items(item, "Groups")
        }
        return sorted(found - {""})

    def rules(self, instance: str) -> list[str]:
        """Return the ids of the inbound rules of an instance's security groups."""
        groups, found = set(self.groups(instance)), set()
        for item in items(self.own, "SecurityGroups"):
            record = security_group(item, lambda _where, _what: None)
            if record is not None and record.id in groups:
                found |= {rule.id for rule in record.rules[INGRESS]}
        return sorted(found)

    def answer(self, question: NetworkQuestion) -> NetworkAnswer:
        """Answer a question. Raises UsageError for one that is not of this network."""
        self._check(question)
        if not _AT_ONCE.acquire(timeout=_PATIENCE):
            raise UsageError("another question is being answered: ask again in a moment")
        try:
            network = Network.from_answers(self.answers)
            terms = question.source, question.instance, question.protocol, question.port
            now = network.explain(*terms)
            if question.added is not None:
                network = network.with_changes(self._with_rule(question.added))
            if question.removed:
                network = network.without(question.removed)
            changed = network.explain(*terms) if question.has_change else None
        finally:
            _AT_ONCE.release()
        problems = tuple(f"{item.where}: {item.what}" for item in network.problems)
        return NetworkAnswer(self.evaluated_at, now, changed, problems)

    def _check(self, question: NetworkQuestion) -> None:
        known = {text(item, name) for stem, name in IDS.items() for item in items(self.own, stem)}
        known |= {
            text(instance, "InstanceId")
            for item in items(self.own, "Reservations")
            for instance in items(item, "Instances")
        }
        named = [question.instance, *(rule.partition("/")[0] for rule in question.removed)]
        if question.source != INTERNET and address(question.source) is None:
            named.append(question.source)
        for name in named:
            if not name or name not in known:
                raise UsageError("no such object in this network", where=name[:80])
        if question.protocol not in PROTOCOLS:
            raise UsageError("a protocol is tcp or udp", where=question.protocol[:20])
        if len(question.removed) > MOST_REMOVED:
            raise UsageError(f"more than {MOST_REMOVED} rules")

    def _with_rule(self, rule: AddedRule) -> Answers:
        """Return the changed security group. Raises UsageError."""
        try:
            block = ipaddress.ip_network(rule.source, strict=False)
        except ValueError as error:
            raise UsageError(
                "not a CIDR block, as 203.0.113.0/24", where=rule.source[:60]
            ) from error
        if rule.protocol not in PROTOCOLS or not 0 <= rule.port <= 65535:
            raise UsageError("a rule is of tcp or udp, and a port of 0 to 65535", where=rule.group)
        ranges = (
            {"IpRanges": [{"CidrIp": str(block)}]}
            if block.version == 4
            else {"Ipv6Ranges": [{"CidrIpv6": str(block)}]}
        )
        opened = {"IpProtocol": rule.protocol, "FromPort": rule.port, "ToPort": rule.port, **ranges}
        for group in items(self.own, "SecurityGroups"):
            if text(group, "GroupId") == rule.group:
                changed = {**group, "IpPermissions": [*items(group, "IpPermissions"), opened]}
                return Answers({(self.account, self.region): {"SecurityGroups": [changed]}})
        raise UsageError("no such security group in this network", where=rule.group[:80])
