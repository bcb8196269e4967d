"""Resource data syncs: each inventory that arrives is written to the bucket, an object a type.

Keys: `[prefix/]TYPE/accountid=…/region=…/resourcetype=ManagedInstanceInventory/INSTANCE.json`; the
object has an entry a line, with resourceId, captureTime and schemaVersion.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from moto.s3.models import s3_backends

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.localcloud.ssm.agents import AgentRegion, LocalAgent

QUOTA: Final = 5  # data syncs of an account and Region


def bucket_of(name: str) -> Any:
    """The backend of the account that has the bucket, None if nobody has."""
    for account in s3_backends:
        backend = s3_backends[account]["aws"]
        if name in backend.buckets:
            return backend
    return None


def write(place: AgentRegion, agent: LocalAgent, types: Iterable[str]) -> None:
    """Write an agent's items to the bucket of each data sync of the account and Region."""
    names = list(types)
    for sync in place.syncs.values():
        destination = sync["S3Destination"]
        backend = bucket_of(destination["BucketName"])
        sync["LastSyncTime"] = place.now
        if backend is None:
            sync["LastStatus"] = "Failed"
            sync["LastSyncStatusMessage"] = "The bucket does not exist."
            continue
        sync["LastStatus"] = "Successful"
        sync["LastSuccessfulSyncTime"] = place.now
        sync.pop("LastSyncStatusMessage", None)
        for name in names:
            key = key_of(place, agent.instance_id, name, destination.get("Prefix", ""))
            backend.put_object(destination["BucketName"], key, _lines(agent, name))


def key_of(place: AgentRegion, instance_id: str, type_name: str, prefix: str = "") -> str:
    """The key of an instance's object of one type."""
    start = f"{prefix.strip('/')}/" if prefix else ""
    middle = f"accountid={place.account}/region={place.region}"
    return f"{start}{type_name}/{middle}/resourcetype=ManagedInstanceInventory/{instance_id}.json"


def _lines(agent: LocalAgent, type_name: str) -> bytes:
    item = agent.inventory[type_name]
    about = {
        "resourceId": agent.instance_id,
        "captureTime": item.capture_time,
        "schemaVersion": item.schema_version,
    }
    return "\n".join(json.dumps({**entry, **about}) for entry in item.entries).encode()
