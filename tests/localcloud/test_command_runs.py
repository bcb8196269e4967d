"""Associations of command documents in the local cloud: what AWS refuses, and what agents print."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.aws.session import Session
from sidelight.aws.ssm.documents import Documents
from sidelight.errors import CloudError

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud

pytestmark = [pytest.mark.services, pytest.mark.images]
ACCOUNT, REGION, BUCKET, NAME = "123456789012", "us-east-1", "outputs", "Own-Document"
CONTENT: dict[str, Any] = {
    "schemaVersion": "2.2",
    "description": "A test's",
    "parameters": {"word": {"type": "String", "default": "none", "allowedPattern": "^[a-z]*$"}},
    "mainSteps": [{
        "action": "aws:runShellScript",
        "name": "speak",
        "precondition": {"StringEquals": ["platformType", "Linux"]},
        "inputs": {"runCommand": ["printf '%s in ' '{{ word }}'", 'ls "$SIDELIGHT_ROOT"']},
    }],
}  # fmt: skip


@pytest.fixture
def ssm(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    Session().client("s3").create_bucket(Bucket=BUCKET)
    return Session().client("ssm", region=REGION)


def association(word: str) -> dict[str, Any]:
    place = {"OutputS3BucketName": BUCKET, "OutputS3KeyPrefix": "p", "OutputS3Region": REGION}
    return {
        "Name": NAME, "Targets": [{"Key": "InstanceIds", "Values": ["*"]}],
        "ScheduleExpression": "rate(6 hours)", "Parameters": {"word": [word]},
        "OutputLocation": {"S3Location": place},
    }  # fmt: skip


def test_an_agent_runs_the_document_on_its_directory_and_writes_the_output(
    cloud: LocalCloud, ssm: Any, image: Path, tmp_path: Path
) -> None:
    documents = Documents(Session(), ACCOUNT, REGION)
    assert documents.content(NAME) is None
    documents.create(NAME, json.dumps(CONTENT))
    documents.create(NAME, json.dumps(CONTENT))  # another process was faster: no error
    linux = cloud.add_instance("web", [image], ssm={"PlatformName": "Debian GNU/Linux"})
    cloud.add_instance("win", [image], ssm={"PlatformType": "Windows"})
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").touch()
    cloud.set_commands(linux, root=tmp_path / "root")

    ssm.create_association(**association("hello"))
    ssm.list_associations()

    s3: Any = Session().client("s3")
    (found,) = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert found["Key"].startswith(f"p/{linux}/")
    assert found["Key"].endswith("/awsrunShellScript/0.speak/stdout")
    assert s3.get_object(Bucket=BUCKET, Key=found["Key"])["Body"].read() == b"hello in file\n"


def test_an_updated_document_becomes_the_default_and_a_deleted_one_is_gone(ssm: Any) -> None:
    assert ssm
    documents = Documents(Session(), ACCOUNT, REGION)
    documents.create(NAME, json.dumps(CONTENT))

    documents.update(NAME, json.dumps({**CONTENT, "description": "Newer"}))
    newer = documents.content(NAME)
    documents.delete(NAME)

    assert newer is not None
    assert newer["description"] == "Newer"
    assert documents.content(NAME) is None
    documents.delete(NAME)


@pytest.mark.parametrize(
    ("word", "code", "has_document"),
    [("'; reboot", "InvalidParameters", True), ("hello", "InvalidDocument", False)],
)
def test_what_aws_refuses_is_refused(ssm: Any, word: str, code: str, has_document: bool) -> None:
    if has_document:
        Documents(Session(), ACCOUNT, REGION).create(NAME, json.dumps(CONTENT))

    with pytest.raises(Exception, match=code):
        ssm.create_association(**association(word))


def test_a_document_with_the_content_of_an_older_version_is_an_error_not_silence(ssm: Any) -> None:
    assert ssm
    documents = Documents(Session(), ACCOUNT, REGION)
    documents.create(NAME, json.dumps(CONTENT))
    documents.update(NAME, json.dumps({**CONTENT, "description": "Newer"}))

    with pytest.raises(CloudError, match="Duplicate"):
        documents.update(NAME, json.dumps(CONTENT))
