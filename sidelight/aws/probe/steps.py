"""The steps of a probe, each a function of its Ground.

A step creates its resources and records AWS's answers; the deletion follows at the end.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sidelight.aws.probe.ground import ProbeResource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.aws.probe.ground import Ground, Reader
    from sidelight.aws.probe.recorder import Exchange

REFUSED_SECONDS = 30.0  # how long a refused deletion is retried
EVERY = 1.0  # seconds between two polls
SEEN_OFTEN_ENOUGH = 3  # successes in a row
LIMIT = 101  # AWS allows 100 pending snapshots
APART = 16.0  # seconds: EC2 requires 15 between two snapshots of a volume


def rules(ground: Ground, rbin: object) -> None:
    """Record the account's settings that affect our snapshots: Recycle Bin, public access."""
    listed = ground.recorder.call("rbin", rbin, "list_rules", ResourceType="EBS_SNAPSHOT")
    for rule in listed.answer.get("Rules", ()):
        identifier = rule.get("Identifier", "")
        ground.recorder.call("rbin", rbin, "get_rule", Identifier=identifier)
    ground.ask("get_snapshot_block_public_access_state")
    ground.ask("describe_snapshots", OwnerIds=["self"], Filters=[
        {"Name": "status", "Values": ["pending"]}
    ])  # fmt: skip


def visibility(ground: Ground, zone: str, patience: float) -> str:
    """Snapshot our own volume, and poll it each second from its creation; return its id."""
    volume = ground.volume(zone)
    snapshot, _ = ground.snapshot(volume)
    if snapshot:
        watch(ground, [snapshot], ground.readers, patience)
    return snapshot


def instance(ground: Ground, instance_id: str, patience: float) -> None:
    """Do the same for an instance, by CreateSnapshots, as a scan does."""
    ids, _ = ground.snapshots(instance_id)
    if ids:
        watch(ground, ids, ground.readers, patience)


def refusals(ground: Ground, instances: Sequence[str]) -> None:
    """Call CreateSnapshots for instances that it may refuse: terminated ones, or without EBS."""
    for instance_id in instances:
        ground.snapshots(instance_id)


def pace(ground: Ground, volume: str) -> None:
    """Create two snapshots of a volume without the 15 seconds between them."""
    ground.sleep(APART)
    for _ in range(2):
        ground.snapshot(volume)


def pending_deletion(ground: Ground, volume: str, patience: float) -> None:
    """Record how DescribeSnapshots shows a snapshot that is deleted while it is pending."""
    ground.sleep(APART)
    snapshot, _ = ground.snapshot(volume)
    if not snapshot:
        return
    begun = ground.clock()
    accepted = False
    while ground.clock() < begun + patience:
        if not accepted:
            deletion = ground.ask("delete_snapshot", SnapshotId=snapshot)
            accepted = deletion.ok
            may_pass = deletion.throttled or deletion.status >= 500
            # New permissions and tags lag by seconds; the final deletion handles lasting refusals.
            if not accepted and not may_pass and ground.clock() >= begun + REFUSED_SECONDS:
                return
        look = ground.ask("describe_snapshots", SnapshotIds=[snapshot])
        if accepted and look.code == "InvalidSnapshot.NotFound":
            return
        ground.sleep(EVERY)


def limits(ground: Ground, zone: str) -> None:
    """Create 101 snapshots of as many volumes, as fast as EC2 accepts them, until it refuses."""
    volumes = [ground.volume(zone) for _ in range(LIMIT)]
    for volume in volumes:
        snapshot, exchange = ground.snapshot(volume)
        while not snapshot and exchange.throttled:
            ground.sleep(EVERY)
            snapshot, exchange = ground.snapshot(volume)
        if not snapshot:
            return


def shares(ground: Ground, snapshot: str, account: str, reader: Reader, patience: float) -> None:
    """Share a completed snapshot, and read it from another account as soon as possible."""
    permission = {"Add": [{"UserId": account}]}
    until = ground.clock() + patience
    while ground.clock() < until:
        shared = ground.ask(
            "modify_snapshot_attribute",
            SnapshotId=snapshot,
            Attribute="createVolumePermission",
            CreateVolumePermission=permission,
        )
        if shared.ok:
            break
        ground.sleep(EVERY)
    watch(ground, [snapshot], [reader], patience)


def key(ground: Ground, zone: str, key_id: str, grantee: str, patience: float) -> str:
    """Create a snapshot under a customer's key, and a grant for the reader; return its id."""
    volume = ground.volume(zone, Encrypted=True, KmsKeyId=key_id)
    snapshot, _ = ground.snapshot(volume)
    if snapshot:
        watch(ground, [snapshot], ground.readers, patience)
    if grantee:
        granted = ground.recorder.call(
            "kms",
            ground.kms,
            "create_grant",
            KeyId=key_id,
            GranteePrincipal=grantee,
            Operations=["Decrypt"],
        )
        if granted.ok:
            grant = ProbeResource(
                "grant", str(granted.answer["GrantId"]), ground.clock(), key=key_id
            )
            ground.created.append(grant)
    return snapshot


def watch(
    ground: Ground, snapshots: Sequence[str], readers: Sequence[Reader], patience: float
) -> None:
    """Poll each second, by EC2 and all readers in parallel, until every reader sees all snapshots.

    It ends when each reader has read each completed snapshot SEEN_OFTEN_ENOUGH times in a row, or
    after `patience` seconds.
    """
    wins = {(reader.name, snapshot): 0 for reader in readers for snapshot in snapshots}
    until = ground.clock() + patience
    with ThreadPoolExecutor(len(readers)) as pool:
        while ground.clock() < until:
            states = [_state(ground, snapshot) for snapshot in snapshots]
            ground.ask("describe_snapshots", OwnerIds=["self"], Filters=ground.filters())
            for snapshot in snapshots:
                looks = pool.map(lambda reader, name=snapshot: _read(ground, reader, name), readers)
                for reader, seen in zip(readers, looks, strict=True):
                    place = (reader.name, snapshot)
                    wins[place] = wins[place] + 1 if seen else 0
            finished = all(state in ("completed", "error") for state in states)
            if "error" in states or (finished and min(wins.values()) >= SEEN_OFTEN_ENOUGH):
                return
            ground.sleep(EVERY)


def _state(ground: Ground, snapshot: str) -> str:
    look: Exchange = ground.ask("describe_snapshots", SnapshotIds=[snapshot])
    found = look.answer.get("Snapshots", ())
    return str(found[0].get("State", "")) if found else ""


def _read(ground: Ground, reader: Reader, snapshot: str) -> bool:
    """List the snapshot's blocks, and read the first block."""
    listed = ground.recorder.call(
        reader.name, reader.client, "list_snapshot_blocks", SnapshotId=snapshot, MaxResults=100
    )
    blocks = listed.answer.get("Blocks") or ()
    if not listed.ok or not blocks:
        return listed.ok
    block = ground.recorder.call(
        reader.name,
        reader.client,
        "get_snapshot_block",
        SnapshotId=snapshot,
        BlockIndex=blocks[0]["BlockIndex"],
        BlockToken=blocks[0]["BlockToken"],
    )
    return block.ok
