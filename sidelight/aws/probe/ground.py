"""The working context of a probe: clients, tags, and the created resources until their deletion."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sidelight.aws.probe.recorder import Exchange, Recorder, error_of
from sidelight.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RETRIES = 8  # of a call that has to succeed
# Seconds after a creation in which EC2's "not found" may mean "not yet".
YOUNG_SECONDS = 300.0
CLEAR_SECONDS = 1800.0  # how long deletions are tried; a pending snapshot is deleted later
ROUND_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Reader:
    """One connection of EBS direct: a client with a pool of one."""

    name: str
    client: Any


@dataclass(frozen=True, slots=True)
class ProbeResource:
    """A resource that the probe created. `at`: seconds by the probe's clock."""

    kind: str  # "snapshot", "volume" or "grant"
    id: str
    at: float
    key: str = ""  # of a grant


@dataclass
class Ground:
    """One account-region with the probe's clients and resources.

    `tags` mark all created resources; `mark` is the key of the tag whose value is unique to this
    probe. `call_id` ends the description of its snapshots.
    """

    account: str
    region: str
    ec2: Any
    readers: Sequence[Reader]
    recorder: Recorder
    tags: Mapping[str, str]
    mark: str
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    kms: Any = None
    call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    created: list[ProbeResource] = field(default_factory=list)
    last_creation: float = 0.0

    @property
    def description(self) -> str:
        """The description of each snapshot of the probe; nobody can change it afterwards."""
        return f"Sidelight probe {self.tags[self.mark]}, call {self.call_id}"

    def ask(self, operation: str, **request: Any) -> Exchange:
        """Make one recorded call of EC2."""
        return self.recorder.call("ec2", self.ec2, operation, **request)

    def need(self, operation: str, **request: Any) -> Mapping[str, Any]:
        """Make an EC2 call that has to succeed. Raises CloudError, AccessDeniedError."""
        for attempt in range(RETRIES):
            exchange = self.ask(operation, **request)
            if exchange.ok:
                return exchange.answer
            if not exchange.throttled and exchange.status < 500:
                break
            self.sleep(2.0**attempt / 4)
        raise error_of(exchange)

    def volume(self, zone: str, **options: Any) -> str:
        """Create a volume of 1 GiB, and wait until it is available. Raises CloudError."""
        self.last_creation = self.clock()
        answer = self.need(
            "create_volume",
            AvailabilityZone=zone,
            Size=1,
            VolumeType="gp3",
            TagSpecifications=self._specification("volume"),
            **options,
        )
        volume_id = str(answer["VolumeId"])
        self.created.append(ProbeResource("volume", volume_id, self.clock()))
        wanted = [{"Name": "volume-id", "Values": [volume_id]}]
        for _ in range(60):
            found = self.ask("describe_volumes", Filters=wanted).answer.get("Volumes", ())
            if any(item.get("State") == "available" for item in found):
                return volume_id
            self.sleep(2.0)
        raise CloudError("a new volume does not become available", where=volume_id)

    def snapshot(self, volume_id: str) -> tuple[str, Exchange]:
        """Call CreateSnapshot once; return the snapshot's id, empty where EC2 refuses."""
        self.last_creation = self.clock()
        exchange = self.ask(
            "create_snapshot",
            VolumeId=volume_id,
            Description=self.description,
            TagSpecifications=self._specification("snapshot"),
        )
        snapshot_id = str(exchange.answer.get("SnapshotId", ""))
        if snapshot_id:
            self.created.append(ProbeResource("snapshot", snapshot_id, self.clock()))
        return snapshot_id, exchange

    def snapshots(self, instance_id: str) -> tuple[list[str], Exchange]:
        """Call CreateSnapshots for an instance once; return no ids where EC2 refuses."""
        self.last_creation = self.clock()
        exchange = self.ask(
            "create_snapshots",
            InstanceSpecification={"InstanceId": instance_id},
            Description=self.description,
            TagSpecifications=self._specification("snapshot"),
        )
        ids = [str(item["SnapshotId"]) for item in exchange.answer.get("Snapshots", ())]
        self.created += [ProbeResource("snapshot", name, self.clock()) for name in ids]
        return ids, exchange

    def filters(self) -> list[dict[str, Any]]:
        """Of what carries all our tags."""
        return [{"Name": f"tag:{key}", "Values": [value]} for key, value in self.tags.items()]

    def _specification(self, kind: str) -> list[dict[str, Any]]:
        tags = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        return [{"ResourceType": kind, "Tags": tags}]


class Clearing:
    """Deletes all resources of a probe, and polls until none is left."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._accepted: set[str] = set()  # deletions
        self._gone: set[str] = set()

    def run(self) -> list[str]:
        """Return the resources that remain: none, unless AWS refused for half an hour."""
        ground = self._ground
        ground.recorder.step = "clear"
        until = ground.clock() + CLEAR_SECONDS
        while True:
            left = self._round()
            # A creation whose answer was lost is found by its tags, which may appear late.
            settled = ground.clock() >= ground.last_creation + 60 or not ground.last_creation
            if not left and settled:
                return []
            if ground.clock() >= until:
                return left
            ground.sleep(ROUND_SECONDS)

    def _round(self) -> list[str]:
        ground = self._ground
        for item in ground.created:
            if item.kind == "grant" and item.id not in self._gone:
                self._revoke(item)
        snapshots = {item.id for item in ground.created if item.kind == "snapshot"}
        volumes = {item.id for item in ground.created if item.kind == "volume"}
        listed_snapshots = self._listed_snapshots()
        listed_volumes = self._listed_volumes()
        for name in sorted((snapshots - self._gone) | listed_snapshots):
            self._delete("snapshot", name, listed=name in listed_snapshots)
        for name in sorted((volumes - self._gone) | listed_volumes):
            self._delete("volume", name, listed=name in listed_volumes)
        known = snapshots | volumes | listed_snapshots | listed_volumes
        grants = {item.id for item in ground.created if item.kind == "grant"}
        return sorted((known | grants) - self._gone)

    def _listed_snapshots(self) -> set[str]:
        """Return snapshots with our tags, description and owner, whether recorded or not."""
        ground = self._ground
        answer = ground.need("describe_snapshots", OwnerIds=["self"], Filters=ground.filters())
        return {
            str(item["SnapshotId"])
            for item in answer.get("Snapshots", ())
            if item.get("Description") == ground.description
            and item.get("OwnerId") == ground.account
        }

    def _listed_volumes(self) -> set[str]:
        ground = self._ground
        answer = ground.need("describe_volumes", Filters=ground.filters())
        return {
            str(item["VolumeId"])
            for item in answer.get("Volumes", ())
            if item.get("State") not in ("deleting", "deleted") and item.get("Size") == 1
        }

    def _delete(self, kind: str, name: str, *, listed: bool) -> None:
        ground = self._ground
        member = "SnapshotId" if kind == "snapshot" else "VolumeId"
        if name in self._accepted:
            if not listed:
                self._gone.add(name)
            return
        exchange = ground.ask(f"delete_{kind}", **{member: name})
        if exchange.ok:
            self._accepted.add(name)
        elif exchange.code.endswith(".NotFound"):
            made_at = next((item.at for item in ground.created if item.id == name), 0.0)
            if ground.clock() - made_at >= YOUNG_SECONDS and not listed:
                self._gone.add(name)

    def _revoke(self, item: ProbeResource) -> None:
        ground = self._ground
        exchange = ground.recorder.call(
            "kms", ground.kms, "revoke_grant", KeyId=item.key, GrantId=item.id
        )
        if exchange.ok or exchange.code == "NotFoundException":
            self._gone.add(item.id)
