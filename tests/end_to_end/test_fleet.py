"""The whole fleet through a real broker and worker processes, seen by tools that are not ours.

Oracles: dpkg-query, rpm and (apk itself not being in Debian) awk over apk's database, each on the
tree that the disk was made of; boto3 for what is left in the account.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import filesystems  # the demo's: its folder is on the path
import pytest

from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
MACHINES = ROOT / "demo" / "machines"
SIDELIGHT = (sys.executable, "-m", "dispatcher.cli")

pytestmark = [pytest.mark.services, pytest.mark.images, pytest.mark.enable_socket]


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    for program in ("sfdisk", "mkfs.ext4"):
        if shutil.which(program, path=path) is None:
            pytest.skip(f"{program} is absent (Debian packages: e2fsprogs, fdisk)")
    directory = tmp_path_factory.mktemp("disks")
    subprocess.run([sys.executable, ROOT / "demo" / "build.py", directory], check=True)
    return sorted(directory.glob("*.img"))


@contextmanager
def local_cloud(disks: list[Path], directory: Path) -> Iterator[dict[str, str]]:
    # As unkind as the local clouds of all other tests: a minute of AWS is a second.
    command = [*SIDELIGHT, "local", "up", "--port", "0", "--lag-scale", str(1 / 60)]
    command += ["--snapshot-seconds", "1", "--seed", "0"]
    command += ["--directory", str(directory), *(f"--image={disk}" for disk in disks)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        variables: dict[str, str] = {}
        for line in process.stdout:
            name, _, value = line.removeprefix("export ").partition("=")
            variables[name] = value.strip().strip("'\"")
            if len(variables) == 5:
                break
        yield variables
    finally:
        process.terminate()
        process.communicate()


class Fleet:
    """One local cloud and one store; `scan` runs the fleet's command as a user would."""

    def __init__(self, environment: dict[str, str], store_url: str, parsing: Path) -> None:
        self.environment = environment
        self.store_url = store_url
        self.parsing = parsing  # a line for each process that imported the parsers

    def scan(self, *options: str) -> Any:
        return json.loads(self.run("fleet", "scan", "--embedded", "--format", "json", *options))

    def findings(self) -> list[dict[str, Any]]:
        document = json.loads(self.run("fleet", "findings", "--format", "json"))
        found: list[dict[str, Any]] = (
            document["findings"] if isinstance(document, dict) else document
        )
        return found

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*SIDELIGHT, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        # 3: the demo's advisories have nothing on its Alpine, and `fleet scan` says so.
        assert done.returncode in ((0, 3) if "scan" in arguments else (0,)), done.stderr
        return done.stdout

    def client(self) -> Any:
        make: Any = boto3.client
        return make(
            "ec2",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="123456789012",
            aws_secret_access_key="local",  # noqa: S106 -- the local cloud takes any
        )

    def instances(self) -> dict[str, str]:
        """Name -> instance id."""
        found = {}
        for reservation in self.client().describe_instances()["Reservations"]:
            for instance in reservation["Instances"]:
                tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
                found[tags["Name"]] = instance["InstanceId"]
        return found

    def snapshots(self) -> list[str]:
        answer = self.client().describe_snapshots(
            OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": ["InspectorScan"]}]
        )
        return [item["SnapshotId"] for item in answer["Snapshots"]]

    def packages(self, name: str, kind: str) -> set[str]:
        """`name version` of one machine's packages of a type, from its stored inventory."""
        store = Store(self.store_url)
        try:
            inventory = store.findings.inventory("123456789012", self.instances()[name])
        finally:
            store.close()
        assert inventory.status == "complete", inventory.problems
        return {f"{item.name} {item.version}" for item in inventory.packages if item.type == kind}


# Every process of the fleet runs this at its start, those with an empty environment too.
SITE = """
import os, sys
def note(event, arguments):
    if event == "import" and arguments[0] == "sidelight.scan":
        with open(f"/proc/{os.getppid()}/cmdline") as parent, open(%r, "a") as file:
            command = " ".join(sys.orig_argv)
            file.write(f"{command}|{parent.read()}\\n".replace("\\0", " "))
sys.addaudithook(note)
"""


@pytest.fixture(scope="module")
def fleet(disks: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    home = tmp_path_factory.mktemp("fleet")
    database = home / "advisories.db"
    subprocess.run(
        [*SIDELIGHT, "advisories", "build", "--out", database, ROOT / "demo" / "advisories"],
        check=True,
    )
    with local_cloud(disks, home / "cloud") as cloud:
        store_url = f"sqlite:///{home / 'fleet.db'}"
        environment = {
            **os.environ,
            **cloud,
            "SIDELIGHT_STORE_URL": store_url,
            "SIDELIGHT_ADVISORIES": str(database),
            "SIDELIGHT_POLL_SECONDS": "0.5",
            "PYTHONPATH": str(home),
        }
        (home / "sitecustomize.py").write_text(SITE % str(home / "parsing"))
        running = Fleet(environment, store_url, home / "parsing")
        running.scan()
        yield running


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home: Path = tmp_path_factory.mktemp("trees")
    for archive in MACHINES.glob("*.tar.xz"):
        filesystems.extract(archive, home / archive.name.removesuffix(".tar.xz"))
    return home


def lines_of(*command: str) -> set[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is absent")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {line for line in done.stdout.split("\n") if line}


def test_disks_are_parsed_by_sealed_readers_and_not_by_workers(fleet: Fleet) -> None:
    fleet.run("inventory", fleet.instances()["edge-1"], "--format", "json")
    processes = [line.split("|") for line in fleet.parsing.read_text().splitlines()]
    assert processes
    for command, parent in processes:
        assert "-m sidelight.cage.zygote" in command
        assert "celery" in parent or "dispatcher.cli inventory" in parent
    assert any("celery" in parent for _, parent in processes)
    assert any("dispatcher.cli inventory" in parent for _, parent in processes)


@pytest.mark.parametrize("name", ["web-1", "batch-1"])
def test_debian_packages_are_those_of_dpkg_query(fleet: Fleet, trees: Path, name: str) -> None:
    expected = lines_of(
        "dpkg-query", f"--admindir={trees / name / 'var/lib/dpkg'}", "-W",
        "-f", "${db:Status-Abbrev}${Package} ${Version}\n",
    )  # fmt: skip
    installed = {line[3:].strip() for line in expected if line[1] not in "nc"}
    assert len(installed) > 100
    assert fleet.packages(name, "deb") == installed


def test_rpm_packages_are_those_of_rpm(fleet: Fleet, trees: Path, tmp_path: Path) -> None:
    # A copy: rpm opens its database for writing.
    shutil.copytree(trees / "db-1" / "var/lib/rpm", tmp_path / "rpm")
    form = "%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n"
    expected = lines_of("rpm", f"--dbpath={tmp_path / 'rpm'}", "-qa", "--qf", form)
    assert len(expected) == 35
    assert fleet.packages("db-1", "rpm") == expected


def test_apk_packages_are_those_of_its_database(fleet: Fleet, trees: Path) -> None:
    script = '/^P:/{p=substr($0,3)} /^V:/{print p" "substr($0,3)}'
    expected = lines_of("awk", script, str(trees / "edge-1/lib/apk/db/installed"))
    assert len(expected) == 15
    assert fleet.packages("edge-1", "apk") == expected


def test_npm_packages_are_those_that_npm_installed(fleet: Fleet, trees: Path) -> None:
    files = [
        path
        for path in (trees / "web-1/srv/shop/node_modules").rglob("package.json")
        if path.parent.parent.name == "node_modules"
        or (
            path.parent.parent.parent.name == "node_modules"
            and path.parent.parent.name.startswith("@")
        )
    ]
    expected = set()
    for path in files:
        document = json.loads(path.read_text())
        expected.add(f"{document['name']} {document['version']}")
    assert {"express 4.17.1", "lodash 4.17.15", "minimist 1.2.0", "axios 0.21.0"} <= expected
    assert fleet.packages("web-1", "npm") == expected


def test_python_packages_are_those_that_pip_installed(fleet: Fleet, trees: Path) -> None:
    found = distributions(path=[str(trees / "batch-1/opt/batch/lib")])
    expected = {f"{item.metadata['Name'].lower()} {item.version}" for item in found}
    assert len(expected) == 6
    assert {name.lower() for name in fleet.packages("batch-1", "pypi")} == expected


def test_known_vulnerabilities_are_found(fleet: Fleet) -> None:
    names = {instance: name for name, instance in fleet.instances().items()}
    found = {
        (names[item["instance"]], item["vulnerability"], item["package"]["name"])
        for item in fleet.findings()
    }
    assert ("web-1", "CVE-2021-44906", "minimist") in found
    assert ("batch-1", "CVE-2022-28346", "django") in {
        (machine, cve, name.lower()) for machine, cve, name in found
    }
    assert ("db-1", "CVE-2022-37434", "libz1") in found


def test_no_snapshot_is_left_and_a_second_run_finds_the_same(fleet: Fleet) -> None:
    def essence() -> set[tuple[str, str, str, str]]:
        return {
            (item["instance"], item["vulnerability"], item["package"]["purl"],
             item["package"]["path"])
            for item in fleet.findings()
        }  # fmt: skip

    assert fleet.snapshots() == []
    first = fleet.findings()
    before = essence()
    assert len(before) == len(first), "a finding is stored once"
    assert len(before) > 100
    fleet.scan()
    assert essence() == before
    assert len(fleet.findings()) == len(first)
    assert fleet.snapshots() == []


def test_coverage_lists_packages_without_advisories(fleet: Fleet) -> None:
    document = json.loads(fleet.run("fleet", "coverage", "--format", "json"))
    rows = document["coverage"] if isinstance(document, dict) else document
    rows_by_name = {row["name"]: row for row in rows}
    assert set(rows_by_name) == {"web-1", "batch-1", "db-1", "edge-1"}
    assert (rows_by_name["edge-1"]["status_code"], rows_by_name["edge-1"]["reason"]) == (
        "ACTIVE",
        "PARTIAL",
    )
    assert "Alpine" in rows_by_name["edge-1"]["detail"]
    assert rows_by_name["db-1"]["reason"] == "SUCCESSFUL"
    assert rows_by_name["db-1"]["detail"] == ""


def test_one_instance_is_scanned_at_once_without_a_broker(fleet: Fleet) -> None:
    instance = fleet.instances()["edge-1"]
    document = json.loads(fleet.run("inventory", instance, "--format", "json"))
    assert document["status"] == "complete"
    assert "musl" in {package["name"] for package in document["packages"]}
    assert fleet.snapshots() == []


def test_a_snapshot_is_a_pyfilesystem_from_the_moment_of_its_creation(fleet: Fleet) -> None:
    """boto3's waiter would end at EC2's first InvalidSnapshot.NotFound; ours is of the reader."""
    instance = fleet.instances()["edge-1"]
    response = fleet.client().create_snapshots(InstanceSpecification={"InstanceId": instance})
    snapshot = response["Snapshots"][0]["SnapshotId"]
    script = (
        "import fs\n"
        f"with fs.open_fs('ebs://{snapshot}!/etc') as etc:\n"
        "    print(sorted(etc.listdir('/')), etc.readtext('os-release').split()[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=fleet.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    fleet.client().delete_snapshot(SnapshotId=snapshot)
    assert done.stdout.strip() == "['os-release'] NAME=\"Alpine", done.stderr
