"""CloudWatch's GetMetricData for VolumeWriteOps of EBS's volumes, and the writes that it shows.

boto3 speaks JSON with CloudWatch, by botocore's model of the service. A running instance's volume
has a data point each five minutes from its launch on, with one write, or zero if it is idle. Facts:
CloudWatch's API reference.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from moto.ec2.models import ec2_backends

from sidelight.localcloud.messages import AwsError, Reply

if TYPE_CHECKING:
    from sidelight.localcloud.clock import Clock
    from sidelight.localcloud.messages import Request

SERVICE: Final = "monitoring"  # as it signs
PERIOD: Final = 300
MOST_QUERIES, MOST_POINTS = 500, 100_800
OPERATION: Final = "GetMetricData"


@dataclass
class VolumeWritesRecord:
    """What CloudWatch knows of volumes. Times are seconds since the epoch."""

    clock: Clock
    idle_since: dict[str, float] = field(default_factory=dict)
    gaps: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def value(self, volume: str, begun: float, moment: float) -> float | None:
        """Return the writes in the period at `moment` of a volume in use since `begun`.

        None for no data point.
        """
        if moment < begun - PERIOD or moment + PERIOD > self.clock.now():
            return None
        if any(begin <= moment < end for begin, end in self.gaps.get(volume, ())):
            return None
        return 0.0 if moment >= self.idle_since.get(volume, float("inf")) - PERIOD else 1.0


def answer(
    request: Request, action: str, record: VolumeWritesRecord, account: str, region: str
) -> Reply:
    """The reply. Raises AwsError."""
    if action != OPERATION:
        raise AwsError("UnknownOperationException", "Only GetMetricData is in the local cloud.")
    try:
        members = json.loads(request.body)
        document = _answered(members, record, account, region)
    except (ValueError, KeyError, TypeError) as error:
        raise AwsError("SerializationException", f"The request is malformed: {error}") from error
    headers = {"Content-Type": "application/x-amz-json-1.0"}
    return Reply(200, headers, json.dumps(document).encode())


def _answered(
    members: dict[str, Any], record: VolumeWritesRecord, account: str, region: str
) -> dict[str, Any]:
    queries = members.get("MetricDataQueries") or []
    if len(queries) > MOST_QUERIES:
        raise AwsError("ValidationError", f"The collection MetricDataQueries has {len(queries)}"
                       f" members, more than {MOST_QUERIES}.")  # fmt: skip
    begin, end = float(members["StartTime"]), float(members["EndTime"])
    if end <= begin:
        raise AwsError("ValidationError", "The parameter EndTime must be greater than StartTime.")
    used = _used_since(account, region)
    moments = [begin - begin % PERIOD + PERIOD * n for n in range(int((end - begin) // PERIOD))]
    at_once = max(1, MOST_POINTS // max(1, len(queries)))
    first = _position(members.get("NextToken"))
    part = moments[first : first + at_once]
    document: dict[str, Any] = {
        "MetricDataResults": [_result(query, record, used, part) for query in queries]
    }
    if first + at_once < len(moments):
        document["NextToken"] = base64.b64encode(str(first + at_once).encode()).decode()
    return document


def _result(
    query: dict[str, Any],
    record: VolumeWritesRecord,
    used: dict[str, float],
    moments: list[float],
) -> dict[str, Any]:
    metric = query["MetricStat"]["Metric"]
    volume = {one["Name"]: one["Value"] for one in metric["Dimensions"]}.get("VolumeId", "")
    points = {}
    if metric["Namespace"] == "AWS/EBS" and metric["MetricName"] == "VolumeWriteOps":
        points = {
            moment: value
            for moment in moments
            if volume in used and (value := record.value(volume, used[volume], moment)) is not None
        }
    return {
        "Id": query["Id"],
        "Label": metric["MetricName"],
        "Timestamps": list(points),
        "Values": list(points.values()),
        "StatusCode": "Complete",
    }


def _used_since(account: str, region: str) -> dict[str, float]:
    """Return the volumes of running instances, and since when these run."""
    return {
        device.volume_id: instance.launch_time.replace(tzinfo=UTC).timestamp()
        for instance in ec2_backends[account][region].all_instances()
        if instance.state == "running"
        for _, device in instance.get_block_device_mapping
    }


def _position(token: str | None) -> int:
    try:
        return int(base64.b64decode(token)) if token else 0
    except ValueError as error:
        raise AwsError("InvalidNextToken", "The token is not valid.") from error
