"""An account's own quotas, where the role may read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidelight.aws import quotas
from sidelight.aws.quotas import GET_PER_SECOND, LIST_PER_SECOND, PENDING_SNAPSHOTS, Quotas
from sidelight.aws.session import Session
from sidelight.errors import AccessDeniedError
from sidelight.localcloud.server import LocalCloud
from tests.fakes.scripted_aws import ACCOUNT, REGION, Scripted, Sessions, refused

if TYPE_CHECKING:
    from pathlib import Path


def value(number: Any) -> dict[str, Any]:
    return {"Quota": {"Value": number}}


def read(*answers: Any) -> tuple[Quotas, Scripted]:
    client = Scripted(get_service_quota=list(answers))
    session: Any = Sessions(client)
    return quotas.read(session, ACCOUNT, REGION), client


def test_the_quotas_of_ebs_are_read_by_their_codes() -> None:
    found, client = read(value(500.0), value(2000.0), value(50.0))
    assert found == Quotas(pending=500.0, get=2000.0, listing=50.0)
    assert [request for _, request in client.requests] == [
        {"ServiceCode": "ebs", "QuotaCode": code}
        for code in (PENDING_SNAPSHOTS, GET_PER_SECOND, LIST_PER_SECOND)
    ]


def test_a_quota_that_was_never_adjusted_is_not_known() -> None:
    found, _ = read(refused("NoSuchResourceException"), value(0), {"Quota": {}})
    assert found == Quotas()


def test_a_denial_is_the_callers_to_ignore() -> None:
    with pytest.raises(AccessDeniedError):
        read(refused("AccessDeniedException"))


@pytest.mark.services
def test_the_local_cloud_has_aws_published_quotas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalCloud(tmp_path / "cloud") as cloud:
        for name, text in cloud.environment().items():
            monkeypatch.setenv(name, text)
        assert quotas.read(Session(), None, REGION) == Quotas(100.0, 1000.0, 50.0)
