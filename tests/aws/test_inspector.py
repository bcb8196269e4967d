"""Inspector's listings: pages, the limit to one account, and refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from sidelight.aws.inspector import InspectorCalls
from sidelight.errors import AccessDeniedError, CloudError
from tests.fakes.scripted_aws import ACCOUNT, REGION, Scripted, Sessions, refused

if TYPE_CHECKING:
    from sidelight.aws.session import Session


def calls(client: Scripted, **options: Any) -> InspectorCalls:
    session = cast("Session", Sessions(client))
    return InspectorCalls(session, ACCOUNT, REGION, sleep=lambda _: None, **options)


def test_all_pages_of_one_accounts_instances_are_listed() -> None:
    client = Scripted(
        list_findings=[{"findings": [1], "nextToken": "a"}, {"findings": []}],
        list_coverage=[{"coveredResources": [2], "nextToken": "b"}, {"coveredResources": [3]}],
    )
    inspector = calls(client)
    assert list(inspector.findings()) == [1]
    assert list(inspector.coverage()) == [2, 3]
    criteria = {
        "awsAccountId": [{"comparison": "EQUALS", "value": ACCOUNT}],
        "resourceType": [{"comparison": "EQUALS", "value": "AWS_EC2_INSTANCE"}],
    }
    first, second = client.requests[:2]
    assert first == ("list_findings", {"filterCriteria": criteria, "maxResults": 100})
    assert second[1]["nextToken"] == "a"
    assert client.requests[2][1]["filterCriteria"] == {
        "accountId": criteria["awsAccountId"], "resourceType": criteria["resourceType"],
    }  # fmt: skip


def test_a_listing_without_an_end_ends() -> None:
    repeated = Scripted(list_findings=[{"findings": [1], "nextToken": "a"}])
    with pytest.raises(CloudError, match="repeats the token"):
        list(calls(repeated).findings())
    pages = [{"findings": [1], "nextToken": str(number)} for number in range(9)]
    with pytest.raises(CloudError, match="more than 3 pages"):
        list(calls(Scripted(list_findings=pages), most_pages=3).findings())


def test_a_throttled_page_is_read_again_and_a_refused_one_is_named() -> None:
    throttled = Scripted(list_findings=[refused("ThrottlingException"), {"findings": [1]}])
    assert list(calls(throttled).findings()) == [1]
    denied = Scripted(list_coverage=[refused("AccessDeniedException", status=403)])
    with pytest.raises(AccessDeniedError, match=f"{ACCOUNT}/{REGION} list_coverage"):
        list(calls(denied).coverage())
