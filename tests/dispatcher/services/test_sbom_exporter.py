"""SBOM exports: Inspector's layout, which machines are in them, and how they fail."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import boto3
import pytest
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator
from moto import mock_aws

from dispatcher.services import fleet_boms
from dispatcher.services.report_writer import ReportWriter
from sidelight.aws.session import Session
from sidelight.model import Coverage, Instance, ScanMode
from sidelight.report.sbom import documents
from sidelight.store import SBOM, ReportRequest
from tests.fixtures.stored_findings import ACCOUNT, inventory, package, says, scanned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from sidelight.report.sbom.machine_boms import MachineBom
    from sidelight.store import ReportJob, Store

REGION = "eu-west-1"
INSTANCES = ("i-1", "i-2", "i-3")
UNREAD = "i-9"


@pytest.fixture
def writer(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReportWriter]:
    """A fleet of three scanned instances and one without an inventory, and an empty bucket."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    found = [
        Instance(name, ACCOUNT, REGION, "running", (), tags=(("env", name),), image_id="ami-1")
        for name in (*INSTANCES, UNREAD)
    ]
    store.instances.discovered(ACCOUNT, REGION, found)
    store.instances.cover(
        [
            Coverage(ACCOUNT, REGION, item.id, "", ScanMode.AGENTLESS, "ACTIVE", "SUCCESSFUL")
            for item in found
        ]
    )
    database = says("openssl")
    for name in INSTANCES:
        scanned(store, database, inventory(package("openssl"), package("zlib")), instance=name)
    with mock_aws():
        boto3.client("s3", REGION).create_bucket(
            Bucket="reports", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield ReportWriter(store, Session(region=REGION))


def export(store: Store, form: str = "CYCLONEDX_1_4", to: str = "reports", **criteria: str) -> str:
    key = boto3.client("kms", REGION).create_key()["KeyMetadata"]["Arn"]
    destination = {"bucketName": to, "keyPrefix": "daily/", "kmsKeyArn": key}
    filters = {name: [{"comparison": "EQUALS", "value": value}] for name, value in criteria.items()}
    if "env" in criteria:
        filters = {
            "ec2InstanceTags": [{"comparison": "EQUALS", "key": "env", "value": criteria["env"]}]
        }
    return store.report_jobs.create(
        ReportRequest(SBOM, "", REGION, form, filters, destination, [ACCOUNT])
    )


def job_of(store: Store, number: str) -> ReportJob:
    job = store.report_jobs.get(SBOM, number)
    assert job is not None
    return job


def keys() -> list[str]:
    answer = boto3.client("s3", REGION).list_objects_v2(Bucket="reports")
    return [item["Key"] for item in answer.get("Contents", ())]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["CYCLONEDX_1_4", "SPDX_2_3"])
def test_an_export_has_a_document_for_each_instance_in_the_layout_of_inspector(
    store: Store, writer: ReportWriter, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_boms, "PAGE", 2)
    number = export(store, form)
    assert writer.run() == 1
    assert job_of(store, number).status == "SUCCEEDED"
    place = f"daily/{form}_outputs_{number}/account={ACCOUNT}/resource=AWS_EC2_INSTANCE"
    assert keys() == [f"{place}/{name}_{form}.json" for name in INSTANCES]
    found = boto3.client("s3", REGION).get_object(Bucket="reports", Key=keys()[0])
    assert found["ServerSideEncryption"] == "aws:kms"
    document = json.loads(found["Body"].read())
    if form == "SPDX_2_3":
        assert document["name"] == f"{ACCOUNT}/EC2/i-1/ami-1"
        return
    validator = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_4)
    assert validator.validate_str(json.dumps(document)) is None
    assert {item["name"] for item in document["components"]} >= {"openssl", "zlib"}
    assert len(document["vulnerabilities"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("criteria", "instances"),
    [
        ({"resourceId": "i-2"}, ["i-2"]),
        ({"env": "i-3"}, ["i-3"]),
        ({"accountId": ACCOUNT}, list(INSTANCES)),
        ({"resourceType": "AWS_EC2_INSTANCE"}, list(INSTANCES)),
    ],
)
def test_criteria_choose_the_instances(
    store: Store, writer: ReportWriter, criteria: dict[str, str], instances: list[str]
) -> None:
    export(store, **criteria)
    writer.run()
    assert [key.rpartition("/")[2].partition("_")[0] for key in keys()] == instances


@pytest.mark.slow
@pytest.mark.parametrize(
    ("to", "criteria", "code"),
    [
        ("reports", {"resourceId": UNREAD}, "NO_FINDINGS_FOUND"),
        ("reports", {"resourceType": "AWS_LAMBDA_FUNCTION"}, "NO_FINDINGS_FOUND"),
        ("reports", {"ecrRepositoryName": "debian"}, "NO_FINDINGS_FOUND"),
        ("reports", {"accountId": "999999999999"}, "NO_FINDINGS_FOUND"),
        ("nowhere", {}, "BUCKET_NOT_FOUND"),
    ],
)
def test_an_export_that_fails_says_why(
    store: Store, writer: ReportWriter, to: str, criteria: dict[str, str], code: str
) -> None:
    number = export(store, to=to, **criteria)
    writer.run()
    job = job_of(store, number)
    assert (job.status, job.error_code) == ("FAILED", code)
    assert job.error_message
    assert keys() == []


def test_an_export_that_is_cancelled_ends_at_the_next_page(
    store: Store, writer: ReportWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_boms, "PAGE", 1)
    number = export(store)
    write = documents.write

    def cancelling(form: str, bom: MachineBom, file: TextIO) -> None:
        store.report_jobs.cancel(SBOM, number)
        write(form, bom, file)

    monkeypatch.setattr(documents, "write", cancelling)
    writer.run()
    assert job_of(store, number).status == "CANCELLED"
    assert len(keys()) == 1


def test_another_accounts_machines_are_not_exported(store: Store, writer: ReportWriter) -> None:
    number = export(store)
    request = replace(job_of(store, number).request, accounts=["999999999999"], account="x")
    store.report_jobs.cancel(SBOM, number)
    hidden = store.report_jobs.create(replace(request, account=""))
    writer.run()
    assert job_of(store, hidden).error_code == "NO_FINDINGS_FOUND"
