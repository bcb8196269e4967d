"""Refusals by EBS direct: which are final, which are late, and what is asked for again."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from sidelight.aws.ebs import ATTEMPTS
from sidelight.aws.ebs_faults import fault_of, is_late
from sidelight.aws.session import EBS_READ_SECONDS, Session
from sidelight.errors import (
    AccessDeniedError,
    BlockError,
    KeyDeniedError,
    KeyUnusableError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
    SourceError,
    ThrottledError,
)
from tests.aws.scripted_snapshots import BLOCK, SNAPSHOT, block, blocks, page
from tests.fakes.scripted_aws import Scripted, credentials, refused


@pytest.mark.parametrize(
    ("code", "reason", "status", "expected"),
    [
        ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", 404, SnapshotNotFoundError),
        ("ResourceNotFoundException", "", 404, SnapshotNotFoundError),
        ("ValidationException", "INVALID_SNAPSHOT_ID", 400, SnapshotNotFoundError),
        ("ResourceNotFoundException", "GRANT_NOT_FOUND", 404, KeyDeniedError),
        ("ResourceNotFoundException", "DEPENDENCY_RESOURCE_NOT_FOUND", 404, KeyUnusableError),
        ("ValidationException", "INVALID_CUSTOMER_KEY", 400, KeyUnusableError),
        ("AccessDeniedException", "DEPENDENCY_ACCESS_DENIED", 403, KeyDeniedError),
        ("AccessDeniedException", "UNAUTHORIZED_ACCOUNT", 403, AccessDeniedError),
        ("ResourceNotFoundException", "IMAGE_NOT_FOUND", 404, SourceError),
        ("ValidationException", "INVALID_PARAMETER_VALUE", 400, SourceError),
    ],
)
def test_a_refusal_is_what_its_reason_says(
    code: str, reason: str, status: int, expected: type[Exception]
) -> None:
    fault = fault_of(refused(code, status=status, reason=reason), where="x", snapshot=SNAPSHOT)
    assert type(fault) is expected


@pytest.mark.parametrize("text", ["", "is pending", "key is pending deletion", "not completed"])
def test_no_text_decides_what_a_first_refusal_means(text: str) -> None:
    error = refused("ValidationException", text, reason="INVALID_PARAMETER_VALUE")
    assert type(fault_of(error, where="x", snapshot="s", first=True)) is SnapshotNotReadyError
    assert type(fault_of(error, where="x", snapshot="s")) is SourceError


def test_only_what_time_may_fix_is_late() -> None:
    for late in (SnapshotNotFoundError, SnapshotNotReadyError, AccessDeniedError, KeyDeniedError):
        assert is_late(late("x"))
    for lasting in (KeyUnusableError, SourceError, ThrottledError, BlockError):
        assert not is_late(lasting("x"))


NOT_FOUND = refused("ResourceNotFoundException", status=404, reason="SNAPSHOT_NOT_FOUND")

DENIED = refused("AccessDeniedException", status=403)


@pytest.mark.parametrize("refusal", [NOT_FOUND, DENIED])
def test_the_first_refusal_is_the_callers_to_judge(refusal: ClientError) -> None:
    client = Scripted(list_snapshot_blocks=[refusal])
    with pytest.raises(SourceError):
        blocks(client)
    assert len(client.requests) == 1


@pytest.mark.parametrize("refusal", [NOT_FOUND, DENIED])
def test_a_block_that_one_host_refuses_after_others_were_read_is_asked_for_again(
    refusal: ClientError,
) -> None:
    client = Scripted(
        list_snapshot_blocks=[page()], get_snapshot_block=[block(), refusal, refusal, block()]
    )
    opened = blocks(client)
    opened.fetch(0)
    assert opened.fetch(1) == bytes(BLOCK)
    assert opened.stats().get_calls == 4


def test_a_page_that_one_host_refuses_after_others_is_asked_for_again() -> None:
    following = page() | {"NextToken": "more"}
    opened = blocks(Scripted(list_snapshot_blocks=[following, NOT_FOUND, page()]))
    opened.present(opened.size // BLOCK - 1)
    assert opened.stats().list_calls == 3


def test_a_snapshot_that_is_refused_for_good_is_not_asked_for_block_by_block() -> None:
    client = Scripted(list_snapshot_blocks=[page(100)], get_snapshot_block=[block(), NOT_FOUND])
    opened = blocks(client)
    opened.fetch(0)
    for index in range(1, 100):
        with pytest.raises(SnapshotNotFoundError):
            opened.fetch(index)
    assert opened.stats().get_calls == 1 + ATTEMPTS


def test_a_block_without_its_checksum_is_not_believed() -> None:
    client = Scripted(
        list_snapshot_blocks=[page()],
        get_snapshot_block=[{"DataLength": BLOCK, "BlockData": BytesIO(bytes(BLOCK))}],
    )
    client.answers["get_snapshot_block"] = [
        {"DataLength": BLOCK, "BlockData": BytesIO(bytes(BLOCK))} for _ in range(ATTEMPTS)
    ]
    with pytest.raises(BlockError, match=r"block 1: AWS's answer has no Checksum"):
        blocks(client).fetch(1)


def test_a_list_without_sizes_is_one_error_with_its_snapshot() -> None:
    with pytest.raises(BlockError, match=SNAPSHOT):
        blocks(Scripted(list_snapshot_blocks=[{"Blocks": []}]))


def test_a_request_that_is_never_answered_is_cut_and_made_again() -> None:
    hung = ReadTimeoutError(endpoint_url="https://ebs")
    client = Scripted(list_snapshot_blocks=[page()], get_snapshot_block=[hung, block()])
    assert blocks(client).fetch(0) == bytes(BLOCK)


def test_requests_of_ebs_direct_are_cut_early(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch)
    session = Session(region="us-east-1")
    ebs: Any = session.client("ebs")
    ec2: Any = session.client("ec2")
    assert ebs.meta.config.read_timeout == EBS_READ_SECONDS == 12
    assert ec2.meta.config.read_timeout == 60
