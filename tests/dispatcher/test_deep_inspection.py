"""Deep inspection by the control plane on a local cloud: outputs, coverage, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.discovery.accounts import AccountRegion
from dispatcher.on_demand import in_process
from dispatcher.planning.configuration_rules import ConfigurationChange
from dispatcher.planning.eligibility import Configuration
from sidelight.advisories import build
from sidelight.aws.session import Session
from sidelight.fleet.agents.deep_inspection.document import DOCUMENT_NAME
from sidelight.fleet.settings import Settings
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.store import Store
from tests.fixtures.collected_trees import build_machine, by_disk, comparable
from tests.fixtures.collector_outputs import FLASK, RACK, output, tar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dispatcher.services.fleet_service import FleetService
    from sidelight.localcloud.server import LocalCloud
    from sidelight.model import Coverage, Package

pytestmark = [pytest.mark.services, pytest.mark.images]
ACCOUNT, REGION = "123456789012", "us-east-1"
HERE = AccountRegion(ACCOUNT, REGION)
BUCKET = "inventories-of-the-fleet"
SIX_HOURS = 6 * 3600
INVOCATION = "InvokeInspectorLinuxSsmPlugin-do-not-delete"
BASH = {"Name": "bash", "Version": "5.2.15", "Release": "1.amzn2023", "Architecture": "x86_64",
        "Publisher": "Amazon Linux", "PackageId": "bash-5.2.15-1.amzn2023.src.rpm"}  # fmt: skip
DJANGO = (
    '{"id": "PYSEC-2026-1", "modified": "2026-01-01T00:00:00Z", "aliases": ["CVE-2026-0002"],'
    ' "affected": [{"package": {"ecosystem": "PyPI", "name": "flask"}, "ranges": [{"type":'
    ' "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0.1"}]}]}]}'
)


@pytest.fixture
def control(tmp_path: Path, cloud: LocalCloud) -> Iterator[FleetService]:
    assert cloud.endpoint
    (tmp_path / "feed.json").write_text(DJANGO)
    build([tmp_path / "feed.json"], tmp_path / "advisories.db")
    Session().client("s3").create_bucket(Bucket=BUCKET)
    settings = Settings.of(
        store_url=f"sqlite:///{tmp_path}/store.db", advisories=str(tmp_path / "advisories.db"),
        agents=True, inventory_bucket=BUCKET, inventory_prefix="fleet", deep_packages=20,
        deep_daily_mib=1,
        # Not the subject: at the usual rates a test waits for its turns.
        ssm_read_per_second=1000.0, ssm_change_per_second=1000.0,
    )  # fmt: skip
    store = Store(settings.store.url)
    store.migrate()
    control = in_process(settings, store=store)
    control.configuration.enable([ACCOUNT], ConfigurationChange(package_paths=("/opt/my app",)))
    yield control
    control.close()


@pytest.fixture
def instance(cloud: LocalCloud, image: Path, control: FleetService) -> str:
    assert control
    return cloud.add_instance(
        "web",
        [image],
        ssm={"PlatformName": "Amazon Linux", "PlatformVersion": "2023"},
        inventory={"AWS:Application": [BASH]},
    )


def rounds(control: FleetService, count: int = 2) -> int:
    assert control.agent_scans is not None
    done = 0
    for _ in range(count):
        started = control.scans.start_everywhere([HERE], Configuration(), on_demand=False)
        done = control.agent_scans.run(started.reached)
    return done


def entry(control: FleetService, instance: str) -> Coverage:
    (row,) = [row for row in control.store.instances.coverage() if row.instance == instance]
    return row


def packages(control: FleetService, instance: str) -> set[Package]:
    return comparable(control.store.findings.inventory(ACCOUNT, instance).packages)


def vulnerabilities(control: FleetService, instance: str) -> list[str]:
    rows = control.store.findings.rows(instance=instance)
    return [row.package_finding.vulnerability for row in rows]


@pytest.mark.slow
def test_the_real_script_gives_by_agent_what_the_disk_gives(
    control: FleetService, cloud: LocalCloud, instance: str, tmp_path: Path
) -> None:
    root = tmp_path / "machine"
    build_machine(root)
    cloud.set_commands(instance, root=root)

    rounds(control)

    assert packages(control, instance) == by_disk(root)
    assert "CVE-2026-0002" in vulnerabilities(control, instance)
    problems = control.store.findings.inventory(ACCOUNT, instance).problems
    assert any(problem.where.endswith("damaged.jar") for problem in problems)


def test_language_packages_are_evaluated_and_an_unchanged_output_costs_no_fetch(
    control: FleetService, cloud: LocalCloud, instance: str
) -> None:
    cloud.set_commands(instance, output=output(tar(FLASK)))
    rounds(control)
    assert vulnerabilities(control, instance) == ["CVE-2026-0002"]
    before = cloud.calls("GetObject")
    cloud.clock.advance(SIX_HOURS)  # the collector runs again, and finds the same

    assert rounds(control) == 0

    assert cloud.calls("GetObject") == before
    cloud.set_commands(instance, output=output(tar(RACK)))
    cloud.clock.advance(SIX_HOURS)
    rounds(control)
    assert vulnerabilities(control, instance) == []


def test_a_round_in_which_nothing_changed_asks_for_lists_once(
    control: FleetService, cloud: LocalCloud, instance: str
) -> None:
    assert instance
    rounds(control, 3)
    names = ("ListAssociations", "ListResourceDataSync", "GetDocument", "DescribeAssociation",
             "CreateAssociation", "UpdateAssociation", "CreateDocument", "GetObject")  # fmt: skip
    before = {name: cloud.calls(name) for name in names}
    assert control.agent_scans is not None

    control.agent_scans.run([HERE])

    after = {name: cloud.calls(name) - before[name] for name in names}
    assert after == {
        "ListAssociations": 1, "ListResourceDataSync": 1, "GetDocument": 1,
        "DescribeAssociation": 2, "CreateAssociation": 0, "UpdateAssociation": 0,
        "CreateDocument": 0, "GetObject": 0,
    }  # fmt: skip


def test_an_instance_without_an_output_is_covered_with_the_remedy_until_it_sends_one(
    control: FleetService, cloud: LocalCloud, instance: str
) -> None:
    cloud.set_commands(instance, output=b"")
    rounds(control)
    missing = entry(control, instance)
    assert (missing.status_code, missing.reason) == ("ACTIVE", "DEEP_INSPECTION_NO_INVENTORY")
    assert "s3:PutObject" in missing.detail
    assert missing.scanned_at is not None
    cloud.set_commands(instance, output=output(tar(FLASK)))
    cloud.clock.advance(SIX_HOURS)

    rounds(control)

    assert entry(control, instance).reason != "DEEP_INSPECTION_NO_INVENTORY"
    assert vulnerabilities(control, instance) == ["CVE-2026-0002"]


def test_limits_have_their_reasons_and_stay_while_nothing_changes(
    control: FleetService, cloud: LocalCloud, instance: str
) -> None:
    many = [(f"usr/lib/n{n}.dist-info/METADATA", f"Name: n{n}\nVersion: 1\n".encode())
            for n in range(30)]  # fmt: skip
    cloud.set_commands(instance, output=output(tar(*many)))
    rounds(control)
    reason = "DEEP_INSPECTION_PACKAGE_COLLECTION_LIMIT_EXCEEDED"
    assert entry(control, instance).reason == reason
    assert len(packages(control, instance)) == 20

    rounds(control)
    assert entry(control, instance).reason == reason

    cloud.set_commands(instance, output=b"x" * (2 << 20))
    cloud.clock.advance(SIX_HOURS)
    rounds(control)
    assert entry(control, instance).reason == "DEEP_INSPECTION_DAILY_SSM_INVENTORY_LIMIT_EXCEEDED"
    assert len(packages(control, instance)) == 20


def test_a_denied_document_leaves_the_systems_packages_evaluated(
    control: FleetService, cloud: LocalCloud, instance: str
) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "ssm:CreateDocument")])

    rounds(control)

    found = entry(control, instance)
    assert (found.status_code, found.reason) == ("ACTIVE", "DEEP_INSPECTION_NO_INVENTORY")
    assert "create_document" in found.detail
    assert found.scanned_at is not None


def test_switching_deep_inspection_off_removes_its_resources_and_packages(
    control: FleetService, cloud: LocalCloud, instance: str
) -> None:
    cloud.set_commands(instance, output=output(tar(FLASK)))
    rounds(control)
    ssm: Any = Session().client("ssm", region=REGION)
    assert INVOCATION in _associations(ssm)

    control.configuration.configure([ACCOUNT], ConfigurationChange(deep_inspection=False))
    rounds(control)

    assert INVOCATION not in _associations(ssm)
    assert DOCUMENT_NAME not in _documents(ssm)
    assert vulnerabilities(control, instance) == []
    assert entry(control, instance).reason in {"SUCCESSFUL", "PARTIAL"}


def test_disabling_removes_the_document_and_the_association(
    control: FleetService, cloud: LocalCloud, instance: str
) -> None:
    assert cloud.endpoint
    assert instance
    rounds(control)
    ssm: Any = Session().client("ssm", region=REGION)
    assert DOCUMENT_NAME in _documents(ssm)
    planned = control.disabler.plan(ACCOUNT).resources
    assert {f"{REGION}: {INVOCATION}", f"{REGION}: {DOCUMENT_NAME}"} <= set(planned)

    control.configuration.begin_disable([ACCOUNT])
    control.disabler.run(ACCOUNT)

    assert _associations(ssm) == []
    assert DOCUMENT_NAME not in _documents(ssm)


def _associations(ssm: Any) -> list[str]:
    return [item["AssociationName"] for item in ssm.list_associations()["Associations"]]


def _documents(ssm: Any) -> list[str]:
    filters = [{"Key": "Owner", "Values": ["Self"]}]
    found = ssm.list_documents(Filters=filters)["DocumentIdentifiers"]
    return [item["Name"] for item in found]
