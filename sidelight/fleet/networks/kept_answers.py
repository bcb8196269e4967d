"""The describe answers of an account-region's last evaluation, as the store keeps them.

Peers need a part of them for their own evaluation, and questions of people all of them.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Collected = Mapping[str, Sequence[object]]

MOST_KEPT: Final = 16 << 20  # bytes, compressed: a network of about 100,000 interfaces
MOST_READ: Final = 256 << 20  # bytes of JSON
_OF_PEERS: Final = (
    "Vpcs", "Subnets", "SecurityGroups", "SecurityGroupVpcAssociations", "NetworkInterfaces",
    "RouteTables", "NetworkAcls", "ManagedPrefixLists", "ManagedPrefixListEntries", "PrefixLists",
    "VpcPeeringConnections", "TransitGateways", "TransitGatewayAttachments",
    "TransitGatewayVpcAttachments", "TransitGatewayPeeringAttachments",
    "TransitGatewayRouteTables", "TransitGatewayPropagations", "TransitGatewayStaticRoutes",
)  # fmt: skip
_OF_INSTANCES: Final = ("InstanceId", "State", "VpcId")


def kept_of(collected: Collected) -> bytes:
    """Return an account-region's answers, compressed; only peers' part, or none, of a huge one.

    Of instances only what decides about reachability is kept: no tags, keys or roles.
    """
    # An empty list says that AWS has no such object, a missing one that nobody knows.
    whole: dict[str, Sequence[object]] = dict(collected)
    if "Reservations" in whole:
        whole["Reservations"] = [_reservation(item) for item in whole["Reservations"]]
    data = _packed(whole)
    if len(data) > MOST_KEPT:
        data = _packed(part_for_peers(whole))
    return data if len(data) <= MOST_KEPT else b""


def read_kept(data: bytes, limit: int = MOST_READ) -> dict[str, list[Any]] | None:
    """Return kept answers; None for damaged ones, and for more than `limit` bytes of JSON."""
    try:
        decoder = zlib.decompressobj()
        text = decoder.decompress(data, limit)
        found: object = json.loads(text) if decoder.eof else None
    except (zlib.error, ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {str(stem): items for stem, items in found.items() if isinstance(items, list)}


def part_for_peers(answers: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return what peers need of an account-region's answers.

    Interfaces lose their attachment: a peer's instances are evaluated in their own account.
    """
    kept = {stem: list(answers[stem]) for stem in _OF_PEERS if stem in answers}
    kept["NetworkInterfaces"] = [
        {key: value for key, value in item.items() if key != "Attachment"}
        for item in answers.get("NetworkInterfaces", ())
        if isinstance(item, dict)
    ]
    return kept


def _packed(answers: Collected) -> bytes:
    return zlib.compress(json.dumps(answers, separators=(",", ":"), default=str).encode(), 6)


def _reservation(item: object) -> dict[str, object]:
    instances = item.get("Instances") if isinstance(item, dict) else None
    return {
        "Instances": [
            {name: instance[name] for name in _OF_INSTANCES if name in instance}
            for instance in (instances if isinstance(instances, list) else ())
            if isinstance(instance, dict)
        ]
    }
