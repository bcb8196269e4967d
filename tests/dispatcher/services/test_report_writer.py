"""Reports of findings: what is in them, where they are put, and how they fail."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from dispatcher.services.report_writer import ReportWriter
from sidelight.aws.session import Session
from sidelight.model import FindingStatus
from sidelight.report.finding_reports import COLUMNS, inert, write_csv
from sidelight.store import ReportRequest
from tests.fixtures.searched_findings import ACCOUNTS, START, all_rows, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.store import Store

REGION = "eu-west-1"
ACTIVE: dict[str, object] = {"findingStatus": [{"comparison": "EQUALS", "value": "ACTIVE"}]}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        place = {"LocationConstraint": REGION}
        boto3.client("s3", REGION).create_bucket(
            Bucket="reports",
            CreateBucketConfiguration=place,
        )
        yield "reports"


@pytest.fixture
def writer(store: Store, bucket: str) -> ReportWriter:
    assert bucket
    fill(store, 11, covers=True)
    return ReportWriter(store, Session(region=REGION))


def request(
    form: str = "CSV", to: str = "reports", criteria: dict[str, object] | None = None
) -> ReportRequest:
    key = boto3.client("kms", REGION).create_key()["KeyMetadata"]["Arn"]
    destination = {"bucketName": to, "keyPrefix": "daily/", "kmsKeyArn": key}
    wanted = criteria or ACTIVE
    return ReportRequest("FINDINGS", "", REGION, form, wanted, destination, ACCOUNTS[:2])


def written(key: str) -> tuple[str, str]:
    found = boto3.client("s3", REGION).get_object(Bucket="reports", Key=key)
    return found["Body"].read().decode(), found["ServerSideEncryption"]


def test_a_csv_has_a_line_for_each_active_finding_of_the_visible_accounts(
    store: Store, writer: ReportWriter
) -> None:
    number = store.report_jobs.create(request())
    assert writer.run() == 1
    job = store.report_jobs.get("FINDINGS", number)
    assert job is not None
    assert (job.status, job.error_code) == ("SUCCEEDED", "")
    text, encryption = written(f"daily/{number}.csv")
    assert encryption == "aws:kms"
    lines = list(csv.DictReader(io.StringIO(text)))
    assert tuple(lines[0]) == COLUMNS
    assert sorted(line["Finding ARN"] for line in lines) == sorted(
        row.arn.replace("sidelight", "inspector2")
        for row in all_rows(store)
        if row.status is FindingStatus.ACTIVE and row.account in ACCOUNTS[:2]
    )


def test_a_json_report_has_all_members(store: Store, writer: ReportWriter) -> None:
    number = store.report_jobs.create(
        request("JSON", criteria={"severity": [{"comparison": "EQUALS", "value": "HIGH"}]})
    )
    writer.run()
    findings = json.loads(written(f"daily/{number}.json")[0])["findings"]
    assert findings
    assert {finding["severity"] for finding in findings} == {"HIGH"}
    assert {finding["awsAccountId"] for finding in findings} <= set(ACCOUNTS[:2])


@pytest.mark.parametrize(
    ("to", "criteria", "code"),
    [
        ("nowhere", ACTIVE, "BUCKET_NOT_FOUND"),
        ("reports", {"title": [{"comparison": "EQUALS", "value": "x"}]}, "NO_FINDINGS_FOUND"),
    ],
)
def test_a_report_that_fails_says_why(
    store: Store, writer: ReportWriter, to: str, criteria: dict[str, object], code: str
) -> None:
    number = store.report_jobs.create(request("CSV", to, criteria))
    writer.run()
    job = store.report_jobs.get("FINDINGS", number)
    assert job is not None
    assert (job.status, job.error_code) == ("FAILED", code)
    assert job.error_message
    assert store.report_jobs.create(request())


def test_a_cancelled_report_is_not_written(store: Store, writer: ReportWriter) -> None:
    number = store.report_jobs.create(request())
    claimed = store.report_jobs.claim()
    assert claimed is not None
    assert store.report_jobs.cancel("FINDINGS", number)
    assert not store.report_jobs.extend(claimed)
    assert not store.report_jobs.end(claimed)
    assert writer.run() == 0


def test_a_formula_in_a_tag_is_inert_in_a_spreadsheet(store: Store) -> None:
    machines = fill(store, 11)
    row = next(row for row in all_rows(store) if row.finding.type == "PACKAGE_VULNERABILITY")
    file = io.StringIO()
    evil = "=HYPERLINK(1)"
    assert write_csv([(row, machines[0], evil)], file, START) == 1
    assert next(csv.DictReader(io.StringIO(file.getvalue())))["Platform"] == f"'{evil}"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("a\x1b[31m\x9b31m\u202e\u2028b", r"a\x1b[31m\x9b31m\u202e\u2028b"),
        ("line\r\nline\n\tline", "line\nline\n\tline"),
        ("\r=1", r"'\r=1"),
        ("\ud800 ü €", r"\ud800 ü €"),
        ("x" * 9000 + "\x00" * 9000, "x" * 9000 + r"\x00" * 9000),
        (7, "7"),
    ],
)
def test_a_cell_controls_no_terminal_and_keeps_its_lines(text: object, cell: str) -> None:
    assert inert(text) == cell
