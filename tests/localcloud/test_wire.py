"""Callers by their Authorization header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.localcloud.messages import Caller, caller_of


def test_the_caller_is_in_the_credential_scope() -> None:
    header = (
        "AWS4-HMAC-SHA256 Credential=AKIA1/20260101/eu-west-1/ebs/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=00"
    )
    assert caller_of({"authorization": header}) == Caller("AKIA1", "eu-west-1", "ebs")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer x",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=AKIA1/20260101/eu-west-1/ebs",
        "AWS4-HMAC-SHA256 Credential=/20260101/eu-west-1/ebs/aws4_request",
        "AWS AKIA1:signature",
    ],
)
def test_any_other_authorization_has_no_caller(header: str) -> None:
    assert caller_of({"authorization": header}) is None


@given(st.text(max_size=200))
def test_no_header_breaks_the_reader(text: str) -> None:
    caller_of({"authorization": "AWS4-HMAC-SHA256 " + text})
