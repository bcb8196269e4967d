"""EC2 and EBS direct behind boto3's face, as unkind as AWS's references allow them to be.

The real `Ec2` and `SnapshotBlocks` call it, so a test meets the codes of AWS and no errors of ours.
Listings come in short pages, some of them empty, with items twice; a host may lag; DeleteSnapshot
may be refused for a lock or an image; any call may be refused, or executed and its answer lost.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ConnectionClosedError

from sidelight.aws.ebs import EbsOptions, SnapshotBlocks, SnapshotSource
from sidelight.aws.ec2 import Ec2
from tests.fakes.fake_ec2 import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sidelight.model import Scan
    from tests.fakes.clocks import Clock
    from tests.fakes.fake_fleet import FakeFleet

BLOCK = 524288
PENDING_SECONDS = 25.0
# EC2's states of an instance that may be snapshotted.
ALIVE = ("pending", "running", "stopping", "stopped")


@dataclass
class StoredSnapshot:
    """A snapshot as AWS holds it."""

    id: str
    volume: str
    description: str
    tags: dict[str, str]
    started: datetime
    seconds: float
    owner: str = ACCOUNT
    message: str = ""  # not empty: it ends in error
    locked: bool = False
    in_use: bool = False
    deleted: bool = False  # while pending


@dataclass
class Refusal:
    """An answer in place of the call's: `code` of EC2 or EBS direct, with its HTTP status.

    `operation` is boto3's name, or empty for all. `times`: how many calls; `seconds`: until when,
    from the first that it meets. `lost`: the call is executed, and its answer is lost.
    """

    operation: str
    code: str = ""
    status: int = 400
    reason: str = ""
    message: str = "Refused."
    times: float = float("inf")
    seconds: float = float("inf")
    after: int = 0  # how many calls pass before the first that is refused
    lost: bool = False
    begun: datetime | None = field(default=None, init=False)

    def error(self) -> Exception:
        """As botocore raises it."""
        if self.lost or not self.code:
            return ConnectionClosedError(endpoint_url="https://aws")
        headers = {"date": format_datetime(datetime.now(UTC))}
        answer: Any = {
            "Error": {"Code": self.code, "Message": self.message},
            "ResponseMetadata": {"HTTPStatusCode": self.status, "HTTPHeaders": headers},
        }
        if self.reason:
            answer["Reason"] = self.reason
        return ClientError(answer, self.operation)

    def meets(self, operation: str, now: datetime) -> bool:
        """Whether this call is refused. Counts it."""
        if self.operation not in ("", operation):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.begun = self.begun or now
        if self.times <= 0 or now - self.begun >= timedelta(seconds=min(self.seconds, 1e8)):
            return False
        self.times -= 1
        return True


class UnkindAws:
    """One account and Region."""

    def __init__(self, clock: Clock, volumes: Mapping[str, Sequence[str]]) -> None:
        self.clock = clock
        self.volumes = {name: list(ids) for name, ids in volumes.items()}  # by instance
        self.instance_states = dict.fromkeys(volumes, "running")
        self.snapshots: dict[str, StoredSnapshot] = {}
        self.refusals: list[Refusal] = []
        self.calls: list[str] = []
        self.page = 1  # items of a page
        self.twice = True  # each page begins with the last item of the one before
        self.empty_pages = True
        self.lag = 1.0  # seconds until a snapshot is listed
        self.hidden: set[str] = set()  # snapshots that no describe lists
        self.left_out: set[str] = set()  # volumes that CreateSnapshots makes nothing of
        self.lost_members: tuple[str, ...] = ()  # that no answer of EC2 has
        self.broken: dict[str, str] = {}  # volume -> why its snapshots end in error
        self.deletes_late = False  # a pending snapshot is listed until it would be completed
        self.spoil: Callable[[str, Any], Any] = lambda _operation, answer: answer
        self._numbers = itertools.count(1)

    def client(self, *_names: Any, **_options: Any) -> Any:
        return _Client(self)

    def renew(self, *_names: Any) -> bool:
        return True

    def regions_to_ask(self, region: str) -> list[str]:
        return [region]

    def put(self, volume: str, description: str, tags: Mapping[str, str], **more: Any) -> str:
        """A snapshot of somebody's; its id."""
        name = f"snap-{next(self._numbers):017x}"
        self.snapshots[name] = StoredSnapshot(
            name, volume, description, dict(tags), self.clock(), PENDING_SECONDS, **more
        )
        return name

    def answer(self, operation: str, request: Mapping[str, Any]) -> Any:
        """What AWS does with a call. Raises botocore's errors."""
        self.calls.append(operation)
        self._finish_deletions()
        for refusal in self.refusals:
            if refusal.meets(operation, self.clock()):
                if refusal.lost:
                    getattr(self, f"_{operation}")(**request)
                raise refusal.error()
        answer = self.spoil(operation, getattr(self, f"_{operation}")(**request))
        return copy.deepcopy(answer) if "BlockData" not in answer else answer

    def state(self, snapshot: StoredSnapshot) -> str:
        age = (self.clock() - snapshot.started).total_seconds()
        done = "error" if snapshot.message else "completed"
        return "pending" if age < snapshot.seconds else done

    # EC2

    def _create_snapshots(self, **request: Any) -> Any:
        instance = request["InstanceSpecification"]["InstanceId"]
        if self.instance_states.get(instance) not in ALIVE:
            raise Refusal("CreateSnapshots", "InvalidInstanceID.NotFound").error()
        tags = {tag["Key"]: tag["Value"] for tag in request["TagSpecifications"][0]["Tags"]}
        created = [
            self.put(volume, request["Description"], tags, message=self.broken.get(volume, ""))
            for volume in self.volumes[instance]
            if volume not in self.left_out
        ]
        return {"Snapshots": [self._described(self.snapshots[name]) for name in created]}

    def _describe_snapshots(self, **request: Any) -> Any:
        found = [
            self._described(one)
            for one in self.snapshots.values()
            if self.clock() - one.started >= timedelta(seconds=self.lag)
            and one.id not in self.hidden
            and all(_matches(self, one, item) for item in request.get("Filters", ()))
        ]
        return self._paged("Snapshots", found, request)

    def _describe_instances(self, **request: Any) -> Any:
        (wanted,) = [item["Values"] for item in request["Filters"]]
        found = [
            {
                "InstanceId": name,
                "State": {"Name": self.instance_states[name]},
                "BlockDeviceMappings": [
                    {"DeviceName": f"/dev/sd{chr(97 + place)}", "Ebs": {"VolumeId": volume}}
                    for place, volume in enumerate(volumes)
                ],
            }
            for name, volumes in self.volumes.items()
            if self.instance_states[name] and {name, self.instance_states[name]} & set(wanted)
        ]
        whole = self._paged("Instances", found, request)
        return {"Reservations": [{"Instances": whole.pop("Instances", [])}]} | whole

    def _delete_snapshot(self, **request: Any) -> Any:
        one = self.snapshots.get(request["SnapshotId"])
        if one is None or one.deleted:
            raise Refusal("DeleteSnapshot", "InvalidSnapshot.NotFound").error()
        if one.locked:
            raise Refusal("DeleteSnapshot", "OperationNotPermitted", message="locked").error()
        if one.in_use:
            raise Refusal("DeleteSnapshot", "InvalidSnapshot.InUse", message="in use").error()
        if self.deletes_late and self.state(one) == "pending":
            one.deleted = True
        else:
            del self.snapshots[one.id]
        return {}

    def _modify_snapshot_attribute(self, **_request: Any) -> Any:
        return {}

    def _finish_deletions(self) -> None:
        for one in list(self.snapshots.values()):
            if one.deleted and self.state(one) != "pending":
                del self.snapshots[one.id]

    def _described(self, one: StoredSnapshot) -> dict[str, Any]:
        return {
            "SnapshotId": one.id,
            "VolumeId": one.volume,
            "State": self.state(one),
            "Description": one.description,
            "StartTime": one.started,
            "OwnerId": one.owner,
            "VolumeSize": 1,
            "StateMessage": one.message,
            "Tags": [{"Key": key, "Value": value} for key, value in one.tags.items()],
        }

    def _paged(self, member: str, items: list[Any], request: Mapping[str, Any]) -> dict[str, Any]:
        """The page that a token names: `N` or, for an empty page before it, `eN`."""
        token = str(request.get("NextToken") or "0")
        if not token.startswith("e") and self.empty_pages:
            return {member: [], "NextToken": f"e{token}"}
        start = int(token.removeprefix("e"))
        begin = max(0, start - 1) if self.twice else start
        page: dict[str, Any] = {member: items[begin : start + self.page]}
        if start + self.page < len(items):
            page["NextToken"] = str(start + self.page)
        return page

    # EBS direct

    def _list_snapshot_blocks(self, **request: Any) -> Any:
        self._readable(request["SnapshotId"])
        return {
            "BlockSize": BLOCK,
            "VolumeSize": 1,
            "ExpiryTime": datetime.now(UTC) + timedelta(days=7),
            "Blocks": [{"BlockIndex": 0, "BlockToken": "t"}],
        }

    def _get_snapshot_block(self, **request: Any) -> Any:
        one = self._readable(request["SnapshotId"])
        data = one.volume.encode().ljust(512, b" ").ljust(BLOCK, b"\0")
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        return {"DataLength": BLOCK, "Checksum": checksum, "BlockData": io.BytesIO(data)}

    def _readable(self, name: str) -> StoredSnapshot:
        one = self.snapshots.get(name)
        if one is None or self.state(one) != "completed":
            text = f"The snapshot '{name}' does not exist."
            raise Refusal(
                "ListSnapshotBlocks", "ResourceNotFoundException", 404, "SNAPSHOT_NOT_FOUND", text
            ).error()
        return one


class _Client:
    """A boto3 client of any service."""

    def __init__(self, aws: UnkindAws) -> None:
        self._aws = aws

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **request: self._aws.answer(operation, request)


def _matches(aws: UnkindAws, one: StoredSnapshot, item: Mapping[str, Any]) -> bool:
    name, values = item["Name"], item["Values"]
    if name == "snapshot-id":
        return one.id in values
    if name == "status":
        return aws.state(one) in values
    if name == "tag-key":
        return bool(set(values) & set(one.tags))
    return one.tags.get(name.removeprefix("tag:")) in values


def scan_by(fake_fleet: FakeFleet) -> UnkindAws:
    """Let a fleet scan through the real calls, in an unkind AWS; that AWS."""
    aws = UnkindAws(fake_fleet.clock, fake_fleet.ec2.volumes)
    session: Any = aws
    sleep = fake_fleet.clock.advance
    ec2: Any = Ec2(session, ACCOUNT, REGION, sleep=sleep)

    def opened(_scan: Scan, snapshot_id: str) -> SnapshotSource:
        options = EbsOptions(sleep=sleep, renew=aws.client)
        blocks = SnapshotBlocks(snapshot_id, aws.client(), options)
        return SnapshotSource(blocks, budget=1 << 22, in_flight=1)

    fake_fleet.ec2 = ec2
    fake_fleet.context = replace(
        fake_fleet.context, ec2=lambda _account, _region: ec2, open_snapshot=opened
    )
    return aws


def ids(snapshots: Iterable[StoredSnapshot]) -> set[str]:
    return {one.id for one in snapshots}
