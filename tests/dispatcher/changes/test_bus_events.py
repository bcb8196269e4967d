"""Events from a queue: what is valid, and that nothing else gets through or harms."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.changes.bus_events import MOST_BYTES, BusEvent, InvalidEvent, parse

# The example of EC2's user guide.
EXAMPLE: dict[str, Any] = {
    "version": "0", "id": "7bf73129-1428-4cd3-a780-95db273d1602",
    "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
    "account": "123456789012", "time": "2021-11-11T21:29:54Z", "region": "us-east-1",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],
    "detail": {"instance-id": "i-abcd1111", "state": "pending"},
}  # fmt: skip


def test_the_example_of_the_guide_is_read() -> None:
    assert parse(json.dumps(EXAMPLE)) == BusEvent(
        id="7bf73129-1428-4cd3-a780-95db273d1602",
        account="123456789012",
        region="us-east-1",
        kind=("aws.ec2", "EC2 Instance State-change Notification"),
        at=datetime(2021, 11, 11, 21, 29, 54, tzinfo=UTC),
        detail={"instance-id": "i-abcd1111", "state": "pending"},
    )


@pytest.mark.parametrize(
    "region", ["us-east-1", "us-gov-west-1", "cn-northwest-1", "ap-southeast-5", "us-iso-east-1"]
)
def test_regions_of_all_partitions_are_read(region: str) -> None:
    assert isinstance(parse(json.dumps(EXAMPLE | {"region": region})), BusEvent)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"account": "1234"}, "account"),
        ({"account": "12345678901\u0662"}, "account"),
        ({"account": 123456789012}, "account"),
        ({"region": "us-east-1/../x"}, "region"),
        ({"region": ""}, "region"),
        ({"id": "x" * 65}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"time": "yesterday"}, "time"),
        ({"time": 5}, "time"),
        ({"source": None}, "source"),
        ({"detail-type": ["x"]}, "detail-type"),
        ({"detail": "x"}, "detail"),
        ({"detail": None}, "detail"),
    ],
)
def test_a_malformed_member_is_refused_by_name(changes: dict[str, object], why: str) -> None:
    found = parse(json.dumps(EXAMPLE | changes))
    assert isinstance(found, InvalidEvent)
    assert f"its {why} " in found.why


@pytest.mark.parametrize(
    "body",
    [
        "", "null", "[]", "5", "{", '"text"', "[" * 100_000, '{"a":' * 50_000, "1" * 5_000,
        " " * (MOST_BYTES + 1), json.dumps(EXAMPLE | {"detail": {"x": "y" * MOST_BYTES}}),
        json.dumps(EXAMPLE | {"detail": {"x": "ÿ" * (MOST_BYTES // 2)}}, ensure_ascii=False),
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(body: str) -> None:
    assert isinstance(parse(body), InvalidEvent)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(EXAMPLE)), json_values))
def test_any_change_of_the_members_gives_an_event_or_a_reason(changes: dict[str, Any]) -> None:
    found = parse(json.dumps(EXAMPLE | changes))
    assert isinstance(found, InvalidEvent) or (len(found.account), len(found.id) <= 64) == (
        12,
        True,
    )
