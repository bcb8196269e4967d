"""Inventories from a resource data sync's bucket: an object for each instance and type.

Keys are `[prefix/]TYPE/accountid=…/region=…/resourcetype=ManagedInstanceInventory/INSTANCE.json`,
an entry a line, with resourceId, captureTime and schemaVersion. One ListObjectsV2 call names 1,000
objects with their ETags: an object whose ETag is known is not fetched.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from sidelight.aws.faults import translated
from sidelight.aws.ssm.capture import Capture, captured, digest_of
from sidelight.errors import CloudError, LimitError
from sidelight.inventory.ssm import items
from sidelight.inventory.ssm.items import InventoryItem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sidelight.aws.session import Session

MAX_OBJECT: Final = 16 << 20  # bytes; PutInventory takes 1 MiB of one type
MOST_KEYS: Final = 1_000_000  # of one type in one account and Region
_KEY = re.compile(r"resourcetype=ManagedInstanceInventory/(i-[0-9a-f]{8,17})\.json$")
_ABOUT: Final = ("resourceId", "captureTime", "schemaVersion")
_ABSENT: Final = frozenset({"NoSuchKey", "404"})


class DataSyncObjects:
    """Reads one account and Region's inventories from the bucket, as the bucket's own account."""

    def __init__(
        self, session: Session, bucket: str, account: str, region: str, prefix: str = ""
    ) -> None:
        self._client = session.client("s3")
        self._bucket = bucket
        self._start = f"{prefix.strip('/')}/" if prefix else ""
        self._middle = f"accountid={account}/region={region}/"
        self._types: dict[str, list[str]] | None = None  # by instance, as versions() listed them

    def versions(self) -> dict[str, str]:
        """Return a text for each instance with software that changes with any of its objects.

        From then on `read` fetches the objects that were listed alone: an object that appears later
        changes the version that is listed next.
        """
        found: dict[str, list[str]] = {}
        types: dict[str, list[str]] = {}
        for name in items.WANTED_TYPES:
            for instance_id, etag, _at in self._listed(name):
                if name == items.APPLICATION:
                    found[instance_id] = [etag]
                elif instance_id in found:
                    found[instance_id].append(etag)
                else:
                    continue
                types.setdefault(instance_id, []).append(name)
        self._types = types
        return {instance_id: ",".join(etags) for instance_id, etags in found.items()}

    def times(self) -> dict[str, datetime]:
        """Return when the bucket got each instance's last AWS:Application.

        That is some minutes at most after its capture.
        """
        return {
            instance_id: at
            for instance_id, _etag, at in self._listed(items.APPLICATION)
            if at is not None
        }

    def _listed(self, type_name: str) -> Iterator[tuple[str, str, datetime | None]]:
        """Yield instance, ETag and time of all objects of a type. Needs s3:ListBucket.

        Raises AccessDeniedError, CloudError; LimitError for more than MOST_KEYS keys.
        """
        prefix = f"{self._start}{type_name}/{self._middle}"
        request: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix}
        where = f"s3://{self._bucket}/{prefix}"
        count = 0
        while True:
            with translated(where):
                answer = self._client.list_objects_v2(**request)
            for item in answer.get("Contents") or ():
                count += 1
                match = _KEY.search(str(item.get("Key") or ""))
                if match:
                    etag = str(item.get("ETag") or "").strip('"')
                    yield match[1], etag, item.get("LastModified")
            if count > MOST_KEYS:
                raise LimitError(f"more than {MOST_KEYS} objects", where=where)
            token = answer.get("NextContinuationToken")
            if not token or token == request.get("ContinuationToken"):
                return
            request["ContinuationToken"] = token

    def read(self, instance_id: str) -> Capture:
        """Return an instance's inventory; without items where the bucket has none.

        Needs s3:GetObject. Raises AccessDeniedError, CloudError, LimitError.
        """
        found: dict[str, InventoryItem] = {}
        listed = self._types
        for name in items.WANTED_TYPES if listed is None else listed.get(instance_id, ()):
            data = self._object(name, instance_id)
            if data is not None:
                found[name] = _item(name, data)
        application = found.get(items.APPLICATION)
        at = captured(application.capture_time) if application else None
        return Capture(instance_id, found, digest_of(found.values()), at)

    def _object(self, type_name: str, instance_id: str) -> bytes | None:
        folder = f"{self._start}{type_name}/{self._middle}resourcetype=ManagedInstanceInventory"
        key = f"{folder}/{instance_id}.json"
        where = f"s3://{self._bucket}/{key}"
        try:
            with translated(where):
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
                data: bytes = answer["Body"].read(MAX_OBJECT + 1)
        except CloudError as error:
            if error.code in _ABSENT:
                return None
            raise
        if len(data) > MAX_OBJECT:
            raise LimitError(f"larger than {MAX_OBJECT} bytes", where=where)
        return data


def _item(type_name: str, data: bytes) -> InventoryItem:
    """Return the entries of an object's lines. A line that is not JSON stays as it is: text.

    The parser makes a Problem of it. Empty lines count as nothing.
    """
    entries: list[object] = []
    times: set[str] = set()
    for line in data.split(b"\n", items.MAX_ENTRIES + 1)[: items.MAX_ENTRIES + 1]:
        if not line.strip():
            continue
        entry = _decoded(line)
        if isinstance(entry, dict):
            times.add(str(entry.get("captureTime") or ""))
            entry = {name: value for name, value in entry.items() if name not in _ABOUT}
        entries.append(entry)
    return InventoryItem(type_name, entries, max(times, default=""))


def _decoded(line: bytes) -> object:
    try:
        value: Mapping[str, object] | object = json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return line[:200].decode("utf-8", "replace")
    return value
