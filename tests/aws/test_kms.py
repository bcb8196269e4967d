"""Keys that exclude their volumes by a tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.aws.kms import Kms
from sidelight.aws.session import Session
from sidelight.errors import AccessDeniedError
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAG = "InspectorEc2Exclusion"

pytestmark = pytest.mark.services


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield cloud


def test_only_keys_with_the_tag_are_named_whatever_its_value(cloud: LocalCloud) -> None:
    session = Session()
    client = session.client("kms")
    tagged = client.create_key(Tags=[{"TagKey": TAG, "TagValue": ""}])["KeyMetadata"]["Arn"]
    plain = client.create_key()["KeyMetadata"]["Arn"]
    absent = plain[:-1] + ("0" if plain[-1] != "0" else "1")
    kms = Kms(session, "123456789012", "us-east-1")
    assert kms.tagged([tagged, plain, absent, ""], TAG) == {tagged}
    assert cloud.calls("ListResourceTags") == 3


def test_another_accounts_key_is_not_asked_for_its_tags(cloud: LocalCloud) -> None:
    foreign = "arn:aws:kms:us-east-1:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    assert Kms(Session(), "123456789012", "us-east-1").tagged([foreign], TAG) == frozenset()
    assert cloud.calls("ListResourceTags") == 0


def test_a_denied_key_is_no_untagged_key(cloud: LocalCloud) -> None:
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "kms:*")])
    with pytest.raises(AccessDeniedError):
        Kms(Session(), "123456789012", "us-east-1").tagged(["k"], TAG)
