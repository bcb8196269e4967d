"""What the collector of deep inspection wrote: objects of an association's output in the bucket.

The keys begin with a prefix of ours for each account and Region. Below it the SSM agent makes
folders of the instance, the association, the run and the plugin, in an order that differs by its
version, and a file `stdout`; so the instance is the one name in the key that is an instance's id.
That layout is unverified (docs/ssm.md), and known here alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sidelight.aws.faults import translated
from sidelight.errors import CloudError, LimitError

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.aws.session import Session

FOLDER: Final = "deep-inspection"
MOST_KEYS: Final = 2_000_000  # of one account and Region
MOST_KEPT: Final = 1_000  # outputs of one instance
MAX_OBJECT: Final = 64 << 20  # bytes
_KEY: Final = re.compile(r"(?:^|/)(i-[0-9a-f]{8,17})/(?:[^/]{1,256}/){0,8}stdout$")
DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class CollectedObject:
    """An instance's newest output; `day_bytes` are those of all its outputs of the last day.

    `keys` has each of its outputs by ETag, since an older one may be that which counts.
    """

    key: str
    etag: str
    size: int
    at: datetime
    day_bytes: int = 0
    keys: dict[str, str] = field(default_factory=dict)


def prefix_of(prefix: str, account: str, region: str) -> str:
    """Return what the keys of an account and Region begin with, without a slash at the end."""
    start = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    return f"{start}{FOLDER}/{account}/{region}"


class CollectedObjects:
    """Reads one account and Region's outputs, as the bucket's own account."""

    def __init__(
        self, session: Session, bucket: str, account: str, region: str, prefix: str = ""
    ) -> None:
        self._client = session.client("s3")
        self._bucket = bucket
        self._prefix = prefix_of(prefix, account, region) + "/"

    def newest(self, now: datetime) -> dict[str, CollectedObject]:
        """Return each instance's newest output. Needs s3:ListBucket.

        Raises AccessDeniedError, CloudError; LimitError for more than MOST_KEYS keys.
        """
        found: dict[str, CollectedObject] = {}
        request: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix}
        where = f"s3://{self._bucket}/{self._prefix}"
        count = 0
        while True:
            with translated(where):
                answer = self._client.list_objects_v2(**request)
            for item in answer.get("Contents") or ():
                count += 1
                self._take(item, now, found)
            if count > MOST_KEYS:
                raise LimitError(f"more than {MOST_KEYS} objects", where=where)
            token = answer.get("NextContinuationToken")
            if not token or token == request.get("ContinuationToken"):
                return found
            request["ContinuationToken"] = token

    def _take(self, item: dict[str, Any], now: datetime, found: dict[str, CollectedObject]) -> None:
        key, at = str(item.get("Key") or ""), item.get("LastModified")
        match = _KEY.search(key[len(self._prefix) - 1 :])
        if match is None or at is None:
            return
        size = int(item.get("Size") or 0)
        known = found.get(match[1])
        etag = str(item.get("ETag") or "").strip('"')
        if known is None or known.at < at:
            older = known or CollectedObject(key, etag, size, at)
            known = CollectedObject(key, etag, size, at, older.day_bytes, older.keys)
            found[match[1]] = known
        known.day_bytes += size if now - at < DAY else 0
        if len(known.keys) < MOST_KEPT:
            known.keys[etag] = key

    def read(self, item: CollectedObject, etag: str) -> bytes:
        """Return the output with this ETag. Needs s3:GetObject.

        Raises AccessDeniedError, CloudError, also where it is not there any more, and LimitError.
        """
        key = item.key if etag == item.etag else item.keys.get(etag, "")
        if not key:
            raise CloudError("the output that was evaluated last is gone", where=item.key)
        where = f"s3://{self._bucket}/{key}"
        with translated(where):
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            data: bytes = answer["Body"].read(MAX_OBJECT + 1)
        if len(data) > MAX_OBJECT:
            raise LimitError(f"larger than {MAX_OBJECT} bytes", where=where)
        return data
