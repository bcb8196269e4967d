"""One snapshot, read by Sidelight and by Trivy over the same EBS direct endpoint in one run.

    python benchmarks/trivy_vm.py [IMAGE]

Prints wall and CPU seconds, peak memory, Get calls and distinct blocks at 0 and 30 ms a call, and
what each found by type. The image defaults to build/debian.img (see make_debian.sh; needs root,
made when absent). Trivy comes from PyPI into an environment of its own, build/compare.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
TRIVY = "vm ebs:{} --format json --list-all-pkgs --scanners license --skip-db-update --skip-java-db-update --offline-scan --quiet"  # noqa: E501
# Trivy's names of types -> purl's.
TYPES = {"debian": "deb", "node-pkg": "npm", "python-pkg": "pypi", "gemspec": "gem", "jar": "maven"}


HEADING = "             ms/call  wall s  CPU s    MB   Gets distinct at once"


@dataclass
class ProcessRun:
    """What one process took, by the kernel's account."""

    seconds: float
    cpu: float
    peak_mb: float


def run(command: Sequence[str], environment: dict[str, str]) -> ProcessRun:
    """Run to its end. Exits where it fails (3 is Sidelight's `partial`)."""
    begun = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, 3}:
        sys.exit(f"{command[0]} ended with {process.returncode}")
    seconds = time.monotonic() - begun
    return ProcessRun(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@contextmanager
def local_cloud(image: Path) -> Iterator[dict[str, str]]:
    """A local cloud in a process of its own with one machine; the environment to reach it."""
    with tempfile.TemporaryDirectory(dir=BUILD) as directory:
        process = subprocess.Popen(
            [sys.executable, "-m", "dispatcher.cli", "local", "up", "--kind", "--port", "0",
             "--directory", directory, "--image", str(image)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            variables: dict[str, str] = {}
            while len(variables) < 5:
                name, _, value = process.stdout.readline().removeprefix("export ").partition("=")
                variables[name] = value.strip().strip("'\"")
            yield {**os.environ, **variables}
        finally:
            process.terminate()
            process.wait()


def control(environment: dict[str, str], method: str, path: str, body: object = None) -> Any:
    """One call of the local cloud's control endpoint."""
    request = urllib.request.Request(
        f"{environment['AWS_ENDPOINT_URL']}/_sidelight/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def snapshot_of(environment: dict[str, str]) -> str:
    """Take a snapshot of the one instance's volume."""
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
    url, key, secret, region = (environment[name] for name in names)
    make: Any = boto3.client
    ec2 = make("ec2", endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret,
               region_name=region)  # fmt: skip
    instance = ec2.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"]
    answer = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})
    snapshot: str = answer["Snapshots"][0]["SnapshotId"]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot])
    return snapshot


def calls_of(environment: dict[str, str], snapshot: str) -> tuple[int, int, int]:
    """Get calls, distinct blocks and the most calls at once since they were forgotten."""
    found = control(environment, "GET", "calls")
    gets = [item for item in found["calls"] if item["operation"].endswith("GetSnapshotBlock")]
    at_once = max((item["max_in_flight"] for item in gets), default=0)
    return sum(item["calls"] for item in gets), found["distinct_blocks"].get(snapshot, 0), at_once


def found_by_trivy(path: Path) -> set[tuple[str, str, str]]:
    """(type, name, version) of Trivy's JSON."""
    found = set()
    for result in json.loads(path.read_text()).get("Results") or []:
        for package in result.get("Packages") or []:
            purl = package.get("Identifier", {}).get("PURL", "")
            kind = purl.removeprefix("pkg:").partition("/")[0] or result.get("Type", "")
            kind = TYPES.get(kind, kind)
            version = purl.partition("@")[2].partition("?")[0]
            if "@" in purl.partition("?")[0].removeprefix("pkg:npm/%40"):
                version = purl.partition("?")[0].rpartition("@")[2]
            name = package["Name"].lower().replace("_", "-") if kind == "pypi" else package["Name"]
            found.add((kind, name, version if kind != "deb" else package["Version"]))
    return found


def found_by_sidelight(path: Path) -> set[tuple[str, str, str]]:
    """(type, name, version) of Sidelight's JSON."""
    found = set()
    for package in json.loads(path.read_text())["packages"]:
        name, version = package["name"], package["version"]
        if package["type"] == "deb":
            version = version.partition(":")[2] or version
            version = version.rpartition("-")[0] or version
        if package["type"] == "pypi":
            name = name.lower().replace("_", "-")
        found.add((package["type"], name, version))
    return found


def compare(trivy: set[tuple[str, str, str]], own: set[tuple[str, str, str]]) -> None:
    """Print what each found, by type, and what Trivy lists and Sidelight does not."""
    trivy = {(k, n, v.partition(":")[2] or v if k == "deb" else v) for k, n, v in trivy}
    plain = {(k, n) for k, n, _ in own}
    for kind in sorted({item[0] for item in trivy | own}):
        of_kind = {item[:2] for item in trivy if item[0] == kind}
        missing = sorted(of_kind - plain)
        counts = Counter(item[0] for item in own)
        print(f"  {kind:8} Trivy {len(of_kind):5}  Sidelight {counts[kind]:5}  "
              f"in Trivy's only {len(missing):4} {missing[:5] or ''}")  # fmt: skip


def trivy_program() -> Path:
    """Trivy's binary, installed into build/compare where it is not yet."""
    home = BUILD / "compare"
    if not (home / "bin" / "trivy").exists():
        subprocess.run(["make", "--no-print-directory", "readers"], check=True, cwd=ROOT)
    return home / "bin" / "trivy"


def main() -> None:
    """Measure and print."""
    BUILD.mkdir(exist_ok=True)
    image = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILD / "debian.img"
    if not image.exists():
        subprocess.run([ROOT / "benchmarks" / "make_debian.sh", image], check=True)
    programs = {
        "Trivy 0.76": [str(trivy_program()), *TRIVY.split(), "--output", str(BUILD / "trivy.json")],
        "Sidelight": [sys.executable, "-m", "dispatcher.cli", "inventory", "ebs:{}", "--format",
                      "json", "--output", str(BUILD / "sidelight.json"),
                      "--stats", str(BUILD / "stats.json")],
    }  # fmt: skip
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    with local_cloud(image) as environment:
        environment["TRIVY_CACHE_DIR"] = str(BUILD / "trivy-cache")
        snapshot = snapshot_of(environment)
        print(HEADING)
        for milliseconds in (0, 30):
            control(environment, "PUT", "latency", {"seconds": milliseconds / 1000})
            runs = {}
            for name, command in programs.items():
                shutil.rmtree(BUILD / "trivy-cache", ignore_errors=True)
                control(environment, "DELETE", "calls")
                runs[name] = run([part.format(snapshot) for part in command], environment)
                gets, distinct, at_once = calls_of(environment, snapshot)
                figures = runs[name]
                print(
                    f"{name:12} {milliseconds:7} {figures.seconds:7.2f} {figures.cpu:6.2f} "
                    f"{figures.peak_mb:5.0f} {gets:6} {distinct:8} {at_once:7}",
                    flush=True,
                )
            trivy_run, own_run = runs["Trivy 0.76"], runs["Sidelight"]
            print(
                f"  ratio Trivy / Sidelight: wall {trivy_run.seconds / own_run.seconds:.1f}, "
                f"CPU {trivy_run.cpu / own_run.cpu:.1f}, "
                f"memory {trivy_run.peak_mb / own_run.peak_mb:.1f}"
            )
        compare(found_by_trivy(BUILD / "trivy.json"), found_by_sidelight(BUILD / "sidelight.json"))


if __name__ == "__main__":
    main()
