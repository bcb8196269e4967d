"""Readers of AWS over scripted answers."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from io import BytesIO
from typing import Any

from sidelight.aws.ebs import EbsOptions, SnapshotBlocks
from sidelight.aws.ec2 import Ec2
from tests.fakes.scripted_aws import ACCOUNT, REGION, Scripted, Sessions

SNAPSHOT = "snap-00000000000000001"

BLOCK = 512 << 10


class Noted:
    """A pace that notes throttles."""

    def __init__(self) -> None:
        self.slowed: list[str] = []

    def before(self, kind: str) -> None:
        """At once."""

    def throttled(self, kind: str) -> None:
        self.slowed.append(kind)


def ec2(client: Scripted, pace: Noted | None = None) -> Ec2:
    session: Any = Sessions(client)
    return Ec2(session, ACCOUNT, REGION, pace=pace or Noted(), sleep=lambda _: None)


def page(count: int = 4) -> dict[str, Any]:
    blocks = [{"BlockIndex": index, "BlockToken": str(index)} for index in range(count)]
    return {"BlockSize": BLOCK, "VolumeSize": 1, "Blocks": blocks}


def block(**changes: Any) -> dict[str, Any]:
    data = bytes(BLOCK)
    checksum = b64encode(hashlib.sha256(data).digest()).decode()
    return {"DataLength": BLOCK, "Checksum": checksum, "BlockData": BytesIO(data)} | changes


def blocks(client: Scripted) -> SnapshotBlocks:
    return SnapshotBlocks(SNAPSHOT, client, EbsOptions(sleep=lambda _: None))
