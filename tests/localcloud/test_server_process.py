"""The local cloud in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.local_clouds import ACCOUNT, BLOCK, noise, write_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    import boto3


pytestmark = pytest.mark.services


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`run` in a process of its own."""
    code = (
        # Kind, as in `make_cloud`.
        "from pathlib import Path\nfrom sidelight.localcloud.conditions import KIND\n"
        "from sidelight.localcloud.server import run\n"
        f"home = Path({str(tmp_path / 'cloud')!r})\n"
        "run(home, conditions=KIND, say=lambda line: print(line, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        yield child
        child.kill()


def environment(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    lines = [process.stdout.readline().strip().removeprefix("export ") for _ in range(5)]
    return dict(line.split("=", 1) for line in lines)


def test_run_says_what_to_export_and_ends_cleanly(
    process: subprocess.Popen[str], tmp_path: Path
) -> None:
    found = environment(process)
    assert found["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert found["AWS_ACCESS_KEY_ID"] == ACCOUNT
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert list((tmp_path / "cloud").iterdir()) == []


def test_memory_does_not_grow_with_the_image(
    process: subprocess.Popen[str], tmp_path: Path, session: boto3.Session
) -> None:
    """100 MB of data in a sparse image of 2 GiB, all of it read by 16 threads."""
    found = environment(process)
    image = tmp_path / "big.img"
    write_blocks(image, 2 << 30, {20 * n: noise(n) for n in range(200)})
    endpoint = found["AWS_ENDPOINT_URL"]
    options: Any = {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": ACCOUNT,
        "aws_secret_access_key": "local",
    }
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{endpoint}/_sidelight/instances",
        data=json.dumps({"name": "big", "images": [str(image)]}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
        volume = json.load(answer)["volumes"]["/dev/sda1"]
    ec2, ebs = session.client("ec2", **options), session.client("ebs", **options)
    ec2.describe_volumes()
    before = memory(process.pid, "VmRSS")
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    blocks = ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=1000)["Blocks"]

    def read(entry: Any) -> int:
        return len(ebs.get_snapshot_block(SnapshotId=snapshot, **entry)["BlockData"].read())

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(read, blocks)) == 200 * BLOCK
    ec2.close()
    ebs.close()
    # At worst each of the connections holds a block or two.
    assert memory(process.pid, "VmHWM") - before < 48 << 20


def memory(pid: int, field: str) -> int:
    """Bytes, of VmRSS (now) or VmHWM (the most ever)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise AssertionError(field)
