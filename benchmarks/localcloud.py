"""GetSnapshotBlock calls a second of the local cloud, as one boto3 process sees it.

    .venv/bin/python benchmarks/localcloud.py [--seconds 3]

The cloud runs in a process of its own. The client checks no SHA-256; it is the same process at
every row, so that rows compare with each other and with no other machine's.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

BLOCK = 524288
BLOCKS = 200


def control(endpoint: str, method: str, path: str, body: dict[str, Any]) -> Any:
    """One call of the control endpoint."""
    request = urllib.request.Request(
        f"{endpoint}/_sidelight/{path}",
        method=method,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def client(service: str, endpoint: str) -> Any:
    """A boto3 client with room for 64 connections."""
    return boto3.Session().client(  # type: ignore[call-overload] # any service's name
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="123456789012",
        aws_secret_access_key="local",  # noqa: S106 - nobody checks it
        config=Config(max_pool_connections=64),
    )


def cpu(pid: int) -> float:
    """The process's CPU seconds so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(ebs: Any, snapshot: str, threads: int, seconds: float) -> tuple[int, float]:
    """Calls made and the seconds they took."""
    blocks = ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=1000)["Blocks"]
    end = time.perf_counter() + seconds

    def read(worker: int) -> int:
        calls = 0
        while time.perf_counter() < end:
            entry = blocks[(worker * 37 + calls) % len(blocks)]
            ebs.get_snapshot_block(SnapshotId=snapshot, **entry)["BlockData"].read()
            calls += 1
        return calls

    begin = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        total = sum(pool.map(read, range(threads)))
    return total, time.perf_counter() - begin


def rows(endpoint: str, pid: int, image: Path, seconds: float) -> None:
    """Print the table."""
    instance = control(endpoint, "POST", "instances", {"name": "bench", "images": [str(image)]})
    volume = instance["volumes"]["/dev/sda1"]
    snapshot = client("ec2", endpoint).create_snapshot(VolumeId=volume)["SnapshotId"]
    ebs = client("ebs", endpoint)
    print("  ms  threads   Get/s   MB/s  server CPU ms a Get  client CPU ms a Get")
    for latency in (0.0, 0.03):
        control(endpoint, "PUT", "latency", {"seconds": latency})
        for threads in (1, 16, 64):
            before, own = cpu(pid), time.process_time()
            calls, took = measure(ebs, snapshot, threads, seconds)
            server, own = cpu(pid) - before, time.process_time() - own
            print(
                f"{latency * 1000:4.0f} {threads:8} {calls / took:7.0f}"
                f" {calls * BLOCK / took / 1e6:6.0f} {1000 * server / calls:20.2f}"
                f" {1000 * own / calls:20.2f}"
            )


def main() -> None:
    """Start the cloud, measure, end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="a row")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as home:
        image = Path(home) / "disk.img"
        with image.open("wb") as file:
            for index in range(BLOCKS):
                file.seek(7 * index * BLOCK)
                file.write(random.Random(index).randbytes(BLOCK))  # noqa: S311 - data
        code = (
            "from pathlib import Path\nfrom sidelight.localcloud.conditions import KIND\n"
            "from sidelight.localcloud.server import run\n"
            f"run(Path({home!r}), conditions=KIND, say=lambda line: print(line, flush=True))"
        )
        begin = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            endpoint = process.stdout.readline().strip().partition("=")[2]
            print(f"started in {time.perf_counter() - begin:.2f} s")
            try:
                rows(endpoint, process.pid, image, seconds)
            finally:
                process.terminate()


if __name__ == "__main__":
    main()
