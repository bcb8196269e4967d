"""What DescribeSnapshots shows: filters, pages, and a snapshot as the answer has it."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import EC2ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

MIN_PAGE, MAX_PAGE = 5, 1000
MAX_FILTER_VALUES = 200

# DescribeSnapshots' filters, without those on tags.
FILTERS: dict[str, Callable[[Any], str]] = {
    "description": lambda s: str(s.description or ""),
    "encrypted": lambda s: str(bool(s.encrypted)).lower(),
    "owner-alias": lambda _: "",
    "owner-id": lambda s: str(s.owner_id),
    "progress": lambda s: str(s.progress),
    "snapshot-id": lambda s: str(s.id),
    "start-time": lambda s: s.start_time.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    "status": lambda s: str(s.status),
    "storage-tier": lambda s: str(s.storage_tier),
    "volume-id": lambda s: volume_of(s),  # noqa: PLW0108 - defined below
    "volume-size": lambda s: str(s.volume_size),
}


# What EC2 shows as the volume of a copy: an id of no volume.
COPIED_VOLUME = "vol-ffffffff"


def volume_of(snapshot: Any) -> str:
    """The volume that a snapshot is said to be of."""
    return COPIED_VOLUME if getattr(snapshot, "is_copy", False) else str(snapshot.volume_id)


def filtered(snapshots: list[Any], filters: list[dict[str, Any]], account: str) -> list[Any]:
    """Those that match each filter, by one of its values. Raises EC2ClientError."""
    for item in filters:
        name, values = item.get("Name", ""), item.get("Values", [])
        if len(values) > MAX_FILTER_VALUES:
            raise EC2ClientError(
                "FilterLimitExceeded",
                "The maximum number of filter values specified on a single call is "
                f"{MAX_FILTER_VALUES}",
            )
        plain = {value for value in values if not {"*", "?"} & set(value)}
        patterns = [re.compile(_glob(value)) for value in values if value not in plain]
        read = _filter(name, account)
        snapshots = [
            s
            for s in snapshots
            if any(v in plain or any(p.match(v) for p in patterns) for v in read(s))
        ]
    return snapshots


def _filter(name: str, account: str) -> Callable[[Any], list[str]]:
    """What a filter looks at: a snapshot's values, of which one has to match."""
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda s: [t["Value"] for t in _tags_for(s, account) if t["Key"] == key]
    if name == "tag-key":
        return lambda s: [tag["Key"] for tag in _tags_for(s, account)]
    if name not in FILTERS:
        raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return lambda s: [FILTERS[name](s)]


def _glob(value: str) -> str:
    """EC2's wildcards are `*` and `?` alone; a bracket is a bracket."""
    return translate(value.replace("[", "[[]"))


def page_of(found: list[Any], limit: int | None, token: str | None) -> tuple[list[Any], str]:
    """A page that begins after the snapshot that the token names, and the next token."""
    if limit is not None and not MIN_PAGE <= int(limit) <= MAX_PAGE:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"maxResults is {limit}, not from {MIN_PAGE} to {MAX_PAGE}.",
        )
    begin = 0
    if token:
        try:
            after = base64.b64decode(token, validate=True).decode().split(" ")
        except (binascii.Error, UnicodeDecodeError):
            after = []
        if len(after) != 2:
            raise EC2ClientError("InvalidNextToken", "The token is not valid.")
        begin = sum(1 for s in found if [s.start_time.isoformat(), s.id] <= after)
    size = int(limit) if limit is not None else MAX_PAGE
    page = found[begin : begin + size]
    if begin + size >= len(found):
        return page, ""
    last = page[-1]
    return page, base64.b64encode(f"{last.start_time.isoformat()} {last.id}".encode()).decode()


def described(snapshot: Any, account: str) -> dict[str, Any]:
    """A snapshot as EC2's Snapshot and SnapshotInfo shapes have it."""
    found = {
        "SnapshotId": snapshot.id,
        "VolumeId": volume_of(snapshot),
        "VolumeSize": snapshot.volume_size,
        "State": snapshot.status,
        "Progress": snapshot.progress,
        "StartTime": snapshot.start_time,
        "OwnerId": snapshot.owner_id,
        "Description": snapshot.description or "",
        "Encrypted": bool(snapshot.encrypted),
        "StorageTier": snapshot.storage_tier,
        "Tags": _tags_for(snapshot, account),
    }
    if snapshot.status == "completed" and hasattr(snapshot, "completes"):
        found["CompletionTime"] = datetime.fromtimestamp(snapshot.completes, UTC)
    if snapshot.status == "error":
        found["StateMessage"] = snapshot.fault
    if snapshot.kms_key_id:
        found["KmsKeyId"] = snapshot.kms_key_id
    return found


def tags_of(snapshot: Any) -> list[dict[str, str]]:
    """All of them, as EC2 has them."""
    tags = snapshot.ec2_backend.tags.get(snapshot.id, {})
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _tags_for(snapshot: Any, account: str) -> list[dict[str, str]]:
    """Tags belong to the account that set them: a shared snapshot shows none."""
    return tags_of(snapshot) if snapshot.owner_id == account else []
