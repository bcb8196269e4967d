"""Inventories over Systems Manager: CPU seconds of a round of a fleet, by what its agents sent.

The figures of docs/ssm.md. `INSTANCES=100000` machines of 600 packages. What costs the same for
each machine is measured on some and multiplied. AWS's answers are canned: what botocore does for a
call counts, and no network. Of a round of the dispatcher also what the store and planning take: who
is scanned how, and when each was scanned last.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from dispatcher.planning import cadence
from dispatcher.planning.eligibility import Configuration
from dispatcher.planning.plan import plan
from sidelight.advisories import AdvisoryDatabase, build
from sidelight.aws.session import Session
from sidelight.aws.ssm.data_sync_objects import DataSyncObjects
from sidelight.aws.ssm.instances import managed_instances
from sidelight.fleet.advisory_file import Opened
from sidelight.fleet.agents.collector import ByDataSync, InventoryCollector
from sidelight.fleet.evaluation import evaluate_agent_inventory
from sidelight.inventory.ssm.items import APPLICATION, InventoryItem
from sidelight.inventory.ssm.parse import read
from sidelight.inventory.ssm.platforms import Platform
from sidelight.model import (
    Coverage,
    Instance,
    InstanceRef,
    ManagedInstance,
    PingStatus,
    PlatformType,
    SeenInventory,
    Volume,
)
from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

INSTANCES = int(os.environ.get("INSTANCES", "100000"))
MACHINES, PACKAGES = 20, 600
CYCLE = 1800.0  # seconds; agents send every 30 minutes
CHANGED = 0.02  # of the instances in a round: each gets new software once a day
AMAZON = Platform("Amazon Linux", "2023", "Linux")
ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "inventories"
KEYS, LISTED = 1000, 50  # objects and instances that one call lists


class Unread:
    """A bucket that is not to be read."""

    def read(self, instance_id: str, seen: SeenInventory) -> NoReturn:
        """Fail: nothing changed."""
        raise AssertionError(instance_id, seen)


def item(machine: int) -> InventoryItem:
    """AWS:Application of one machine: the fleet's packages, and one of its own."""
    versions = [f"1.{machine}", *["1.0"] * (PACKAGES - 1)]
    entries = [
        {
            "Name": f"package{number}",
            "Version": version,
            "Release": "1.amzn2023",
            "Architecture": "x86_64",
            "Publisher": "Amazon Linux",
            "PackageId": f"package{number}-{version}-1.amzn2023.src.rpm",
            "Summary": "a package of a benchmark, with a summary of usual length",
        }
        for number, version in enumerate(versions)
    ]
    return InventoryItem(APPLICATION, entries, "2026-11-29T12:00:00Z")


class Body(BytesIO):
    """A canned body of an answer, as botocore reads it."""

    def stream(self, **_options: object) -> list[bytes]:
        """Return all of it."""
        return [self.read()]


class CannedAws:
    """Answers of S3 and Systems Manager for one account and Region, without a network."""

    def __init__(self) -> None:
        about = {"resourceId": identity(0), "captureTime": "2026-11-29T12:00:00Z",
                 "schemaVersion": "1.1"}  # fmt: skip
        lines = [json.dumps({**one, **about}) for one in item(0).entries if isinstance(one, dict)]
        self._software, self._one = "\n".join(lines).encode(), lines[0].encode()
        self._page = _listing(KEYS)
        self._nothing = _listing(0)
        self._instances = json.dumps({"InstanceInformationList": [
            {"InstanceId": identity(n), "PingStatus": "Online", "LastPingDateTime": 1.7e9,
             "AgentVersion": "3.3.40.0", "IsLatestVersion": True, "PlatformType": "Linux",
             "PlatformName": "Amazon Linux", "PlatformVersion": "2023", "IPAddress": "10.0.0.1",
             "ResourceType": "EC2Instance", "ComputerName": "web", "AssociationStatus": "Success"}
            for n in range(LISTED)
        ]}).encode()  # fmt: skip
        os.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
                       "AWS_DEFAULT_REGION": REGION}  # fmt: skip
        self.session = Session()
        self.session.client("s3").meta.events.register_first("before-send.s3", self._of_s3)
        ssm = self.session.client("ssm", account=ACCOUNT, region=REGION, attempts=1)
        of_ssm: Any = self._of_ssm  # a hook's answer takes the place of the network's
        ssm.meta.events.register_first("before-send.ssm", of_ssm)

    def _of_s3(self, request: Any, **_options: object) -> AWSResponse:
        is_linux = not any(name in request.url for name in ("Windows", "File"))
        if "list-type" in request.url:
            body = self._page if is_linux else self._nothing
        else:
            body = self._software if "Application" in request.url else self._one
        return AWSResponse(request.url, 200, HTTPHeaders(), Body(body))

    def _of_ssm(self, request: Any, **_options: object) -> AWSResponse:
        return AWSResponse(request.url, 200, HTTPHeaders(), Body(self._instances))


def identity(number: int) -> str:
    """The id of an instance."""
    return f"i-{number:017x}"


def _listing(count: int) -> bytes:
    start = f"AWS:Application/accountid={ACCOUNT}/region={REGION}"
    contents = "".join(
        f"<Contents><Key>{start}/resourcetype=ManagedInstanceInventory/{identity(n)}.json</Key>"
        "<LastModified>2026-11-29T12:00:00.000Z</LastModified>"
        f'<ETag>"{n:032x}"</ETag><Size>1000</Size><StorageClass>STANDARD</StorageClass></Contents>'
        for n in range(count)
    )
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<ListBucketResult xmlns="{space}">{contents}</ListBucketResult>'.encode()


def seconds(work: Callable[[], object], times: int) -> float:
    """Return the CPU seconds that one run takes, after a first one."""
    work()
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) / times


class CallCosts(NamedTuple):
    """CPU seconds of listing the whole fleet, and of fetching and comparing one inventory."""

    listing: float
    fetching: float


def of_calls() -> CallCosts:
    """Measure what AWS's answers take, of the fleet and of one instance."""
    aws = CannedAws()
    objects = DataSyncObjects(aws.session, BUCKET, ACCOUNT, REGION)
    pages = seconds(objects.times, 3) + seconds(objects.versions, 3)
    described = seconds(lambda: list(managed_instances(aws.session, ACCOUNT, REGION)), 10)
    one = [ManagedInstance(identity(0), PingStatus.ONLINE)]
    seen = {identity(0): SeenInventory("older", objects.read(identity(0)).digest)}

    def fetched() -> None:
        collector = InventoryCollector(ByDataSync(objects), None, {identity(0): "newer"})
        list(collector.collect(one, seen))
        counts = collector.counts
        assert (counts.fetched, counts.parsed) == (1, 0), "the same content is not parsed"

    listing = INSTANCES / KEYS * pages + INSTANCES / LISTED * described
    return CallCosts(listing, seconds(fetched, 30))


def of_changes() -> tuple[float, float]:
    """Return the CPU seconds of parsing an inventory, and of storing and evaluating it."""
    with tempfile.TemporaryDirectory() as folder, Store(f"sqlite:///{folder}/store.db") as store:
        store.migrate()
        record = {"id": "ALAS2023-2026-001", "modified": "2026-01-01T00:00:00Z",
                  "aliases": ["CVE-2026-0001"], "affected": [{
                      "package": {"ecosystem": "Amazon Linux:2023", "name": "package1"},
                      "ranges": [{"type": "ECOSYSTEM",
                                  "events": [{"introduced": "0"}, {"fixed": "2-1.amzn2023"}]}],
                  }]}  # fmt: skip
        feed, database = Path(folder) / "feed.json", Path(folder) / "advisories.db"
        feed.write_text(json.dumps(record))
        build([feed], database)
        advisories = Opened(AdvisoryDatabase.open(database))
        store.reevaluation.notice(advisories)
        items = [item(machine) for machine in range(MACHINES)]
        started = time.process_time()
        readings = [read({APPLICATION: one}, AMAZON).inventory for one in items]
        parsing = (time.process_time() - started) / MACHINES
        started = time.process_time()
        for number, inventory in enumerate(readings):
            machine = InstanceRef(ACCOUNT, REGION, identity(number))
            store.findings.save_agent_inventory(machine, inventory, SeenInventory("e", "d"))
            evaluate_agent_inventory(store, machine, advisories)
        return parsing, (time.process_time() - started) / MACHINES


def planned() -> float:
    """Return the CPU seconds of planning a fleet, and of moving the time of each last scan."""
    volumes = (Volume("vol-1", "/dev/sda", 8),)
    instances = [
        Instance(identity(n), ACCOUNT, REGION, "running", volumes) for n in range(INSTANCES)
    ]
    with tempfile.TemporaryDirectory() as folder, Store(f"sqlite:///{folder}/store.db") as store:
        store.migrate()
        store.instances.discovered(ACCOUNT, REGION, instances)
        now = store.clock()
        store.instances.cover(
            [
                Coverage(ACCOUNT, REGION, one.id, "", "ACTIVE", "SUCCESSFUL", "",
                         "EC2_SSM_AGENT_BASED", scanned_at=now)
                for one in instances
            ]
        )  # fmt: skip
        managed = {
            one.id: ManagedInstance(one.id, PingStatus.ONLINE, inventory_at=now,
                                    platform_type=PlatformType.LINUX, platform_name="Debian")
            for one in instances
        }  # fmt: skip
        started = time.process_time()
        known = store.instances.with_history(ACCOUNT, REGION, instances)
        rules = Configuration(asks_agents=True)
        assert not plan(known, now, rules, managed=managed, by=cadence.is_due).due
        rows = store.instances.coverage(account=ACCOUNT, region=REGION)
        store.instances.cover([replace(row, scanned_at=now) for row in rows])
        return time.process_time() - started


def unchanged() -> float:
    """Return the CPU seconds of a fleet whose objects have known ETags."""
    managed = [ManagedInstance(identity(n), PingStatus.ONLINE) for n in range(INSTANCES)]
    versions = {one.instance_id: "etag" for one in managed}
    seen = {name: SeenInventory("etag", "digest") for name in versions}
    started = time.process_time()
    changed = list(InventoryCollector(Unread(), None, versions).collect(managed, seen))
    assert not changed
    return time.process_time() - started


def main() -> None:
    """Print the figures."""
    calls = of_calls()
    parsing, storing = of_changes()
    base = calls.listing + unchanged() + planned()
    again = INSTANCES * calls.fetching
    one = parsing + storing
    print(f"fetch and compare an inventory of {PACKAGES} packages: {calls.fetching * 1e3:.1f} ms")
    print(f"parse it: {parsing * 1e3:.1f} ms; store and evaluate it: {storing * 1e3:.1f} ms")
    print(f"{INSTANCES} instances, a round of {CYCLE:.0f} s, CPU seconds and cores:")
    for name, whole in (
        ("no object is new", base),
        ("each was captured again with the same software", base + again),
        (f"and {CHANGED:.0%} have other software", base + again + INSTANCES * CHANGED * one),
        ("and all have other software", base + again + INSTANCES * one),
    ):
        print(f"  {name}: {whole:.0f} s, {whole / CYCLE:.2f} cores")


if __name__ == "__main__":
    main()
