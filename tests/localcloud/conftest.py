"""A running local cloud and clients for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.local_clouds import ACCOUNT, Clients, noise, write_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client


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
    created: list[Any] = []

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
            created.append(client)
            return client

        return make

    yield of
    for client in created:
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


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """A data disk of 3 GiB."""
    path = tmp_path / "data.img"
    write_blocks(path, 3 << 30, {9: b"data"})
    return path
