"""The answers of other account-regions that a network's paths depend on: peered VPCs, attachments.

Each evaluation keeps its answers, so that no account's network is collected twice. The answers of a
peer are as old as its last evaluation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sidelight.fleet.networks.gaps import PEERS, MissingAnswer
from sidelight.fleet.networks.kept_answers import part_for_peers, read_kept
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sidelight.store import Store

    Collected = Mapping[str, Sequence[object]]

MOST_PEERS: Final = 50  # account-regions of one network


class PeerAnswers(NamedTuple):
    """The answers of the peers that the fleet evaluates, by account-region, and their gaps."""

    lists: dict[tuple[str, str], dict[str, list[Any]]]
    gaps: frozenset[MissingAnswer]
    problems: tuple[Problem, ...]


def peers_of(collected: Collected, account: str, region: str) -> list[tuple[str, str]]:
    """Return the account-regions that this one is joined with, in order, at most MOST_PEERS."""
    found = {place for place in _joined(collected, region) if place != (account, region)}
    return sorted(found)[:MOST_PEERS]


def load_peers(store: Store, places: Sequence[tuple[str, str]]) -> PeerAnswers:
    """Load the answers of the peers that the fleet evaluates; others are not known, as in AWS."""
    lists: dict[tuple[str, str], dict[str, list[Any]]] = {}
    problems = []
    for account, region in places:
        kept = store.network_evaluations.answers(account, region)
        if kept is None:
            continue
        answers = read_kept(kept.answers) if kept.answers else None
        if answers is None:
            why = "is not evaluated yet" if kept.evaluated_at is None else "has no kept answers"
            problems.append(Problem(f"{account}/{region}", f"a peer that {why}"))
        else:
            lists[account, region] = part_for_peers(answers)
    gaps = frozenset({MissingAnswer(PEERS)} if problems else ())
    return PeerAnswers(lists, gaps, tuple(problems))


def _joined(collected: Collected, region: str) -> Iterator[tuple[str, str]]:
    for item in collected.get("VpcPeeringConnections", ()):
        if isinstance(item, dict):
            for side in ("AccepterVpcInfo", "RequesterVpcInfo"):
                yield from _place(item.get(side), "OwnerId", region)
    for stem in ("TransitGatewayAttachments", "TransitGatewayVpcAttachments", "TransitGateways"):
        for item in collected.get(stem, ()):
            for key in ("ResourceOwnerId", "VpcOwnerId", "OwnerId"):
                yield from _place(item, key, region)


def _place(item: object, key: str, region: str) -> Iterator[tuple[str, str]]:
    if not isinstance(item, dict):
        return
    owner, at = item.get(key), item.get("Region", region)
    if isinstance(owner, str) and owner and isinstance(at, str) and at:
        yield owner, at
