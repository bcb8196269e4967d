"""AWS's rates: a bucket of calls for each account, Region and kind of call, refilled each second.

Source: "Request throttling for the Amazon EC2 API" in EC2's manual; Service Quotas for EBS direct
(L-C125AE42, L-028ACFB9, L-18E976AB). The buckets are the account's: all its tools drink from them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.localcloud.counters import matches
from sidelight.localcloud.messages import AwsError

if TYPE_CHECKING:
    from sidelight.localcloud.clock import Clock
    from sidelight.localcloud.messages import Request


@dataclass(frozen=True, slots=True)
class Rate:
    """The calls that a bucket holds, and those that it gains a second."""

    name: str
    operations: tuple[str, ...]
    burst: float
    refill: float


UNFILTERED = Rate("unfiltered describes", ("ec2:Describe*",), 50, 10)
RATES = (
    Rate("CreateSnapshots", ("ec2:CreateSnapshot", "ec2:CreateSnapshots"), 100, 5),
    Rate("changes", ("ec2:DeleteSnapshot", "ec2:ModifySnapshotAttribute"), 100, 5),
    Rate("CreateTags", ("ec2:CreateTags",), 100, 10),
    Rate("describes", ("ec2:Describe*",), 100, 20),
    Rate("GetSnapshotBlock", ("ebs:GetSnapshotBlock",), 1000, 1000),
    Rate("ListSnapshotBlocks", ("ebs:ListSnapshotBlocks",), 50, 50),
)
A_SNAPSHOT = Rate("GetSnapshotBlock of a snapshot", ("ebs:GetSnapshotBlock",), 1000, 1000)
_NARROWED = (b"Filter.", b"MaxResults=", b"Id.1=")


class Buckets:
    """All buckets of a local cloud. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[tuple[str, str, str, str], tuple[float, float]] = {}

    def take(self, request: Request, operation: str, account: str, region: str) -> None:
        """Count a call. Raises AwsError where a bucket is empty; that costs none of its calls."""
        rate = _rate(request, operation)
        if rate is None:
            return
        service = operation.partition(":")[0]
        if not self._taken(rate, account, region, ""):
            if service == "ec2":
                raise AwsError("RequestLimitExceeded", "Request limit exceeded.", status=503)
            raise AwsError("ThrottlingException", "Rate exceeded")
        snapshot = request.path.split("/")[2] if operation == "ebs:GetSnapshotBlock" else ""
        if snapshot and not self._taken(A_SNAPSHOT, account, region, snapshot):
            code, reason = "RequestThrottledException", "RESOURCE_LEVEL_THROTTLE"
            raise AwsError(code, "Rate exceeded", reason=reason)

    def _taken(self, rate: Rate, account: str, region: str, resource: str) -> bool:
        now = self._clock.now()
        key = (rate.name, account, region, resource)
        with self._lock:
            left, at = self._left.get(key, (rate.burst, now))
            left = min(rate.burst, left + (now - at) * rate.refill)
            taken = left >= 1
            self._left[key] = (left - taken, now)
        return taken


def _rate(request: Request, operation: str) -> Rate | None:
    if operation.startswith("ec2:Describe") and not any(
        part in request.body or part.decode() in request.query_string for part in _NARROWED
    ):
        return UNFILTERED
    for rate in RATES:
        if any(matches(pattern, operation) for pattern in rate.operations):
            return rate
    return None
