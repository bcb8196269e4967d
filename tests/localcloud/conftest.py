"""A running local cloud and clients for it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import pytest
from botocore.config import Config

from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

BLOCK = 524288
ACCOUNT = "123456789012"


class Clients(Protocol):
    """Makes boto3 clients that try once."""

    def __call__(self, service: str, account: str = ACCOUNT, region: str = "us-east-1") -> Any: ...


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """One session: the service models are loaded once."""
    return boto3.Session()


@pytest.fixture
def make_cloud(tmp_path: Path) -> Iterator[Callable[..., LocalCloud]]:
    """Start a cloud with options; it is stopped after the test."""
    started: list[LocalCloud] = []

    def make(**options: Any) -> LocalCloud:
        # Kind: each test here is about one limit or lag, and asks for that one.
        options = {"conditions": KIND, **options}
        cloud = LocalCloud(tmp_path / "cloud", **options).start()
        started.append(cloud)
        return cloud

    yield make
    for cloud in started:
        cloud.stop()


@pytest.fixture
def cloud(make_cloud: Callable[..., LocalCloud]) -> LocalCloud:
    """A cloud whose snapshots are completed at once."""
    return make_cloud()


@pytest.fixture
def clients(session: boto3.Session) -> Iterator[Callable[[LocalCloud], Clients]]:
    """Clients of a cloud; their connections are closed after the test."""
    made: list[Any] = []

    def of(cloud: LocalCloud) -> Clients:
        def make(service: str, account: str = ACCOUNT, region: str = "us-east-1") -> Any:
            client = session.client(  # type: ignore[call-overload] # any service's name
                service,
                endpoint_url=cloud.endpoint,
                region_name=region,
                aws_access_key_id=account,
                aws_secret_access_key="local",  # noqa: S106 - nobody checks it
                config=Config(retries={"total_max_attempts": 1}, max_pool_connections=100),
            )
            made.append(client)
            return client

        return make

    yield of
    for client in made:
        client.close()


@pytest.fixture
def ec2(cloud: LocalCloud, clients: Callable[[LocalCloud], Clients]) -> EC2Client:
    """EC2 of the cloud."""
    client: EC2Client = clients(cloud)("ec2")
    return client


@pytest.fixture
def ebs(cloud: LocalCloud, clients: Callable[[LocalCloud], Clients]) -> EBSClient:
    """EBS direct of the cloud."""
    client: EBSClient = clients(cloud)("ebs")
    return client


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A sparse image of 1 GiB and a bit: blocks 0, 3, 4 and the last, cut, one have data."""
    path = tmp_path / "disk.img"
    write_blocks(path, (1 << 30) + 1000, {0: b"zero", 3: b"three", 4: noise(4), 2048: b"tail"})
    return path


def noise(seed: int, size: int = BLOCK) -> bytes:
    """Bytes that no compression takes away."""
    return random.Random(seed).randbytes(size)


def write_blocks(path: Path, size: int, blocks: dict[int, bytes]) -> None:
    """A sparse file of `size` bytes with data at the beginnings of these blocks."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.truncate(size)
        for index, data in blocks.items():
            file.seek(index * BLOCK)
            file.write(data)


def take(ec2: EC2Client, cloud: LocalCloud, instance_id: str, device: str = "/dev/sda1") -> str:
    """A snapshot of one of the instance's volumes; its id."""
    volume = cloud.volumes(instance_id)[device]
    return ec2.create_snapshot(VolumeId=volume)["SnapshotId"]


def code_of(error: Any) -> tuple[str, str]:
    """A ClientError's code and the EBS direct APIs' reason."""
    response = error.value.response
    return response["Error"]["Code"], response.get("Reason", "")
