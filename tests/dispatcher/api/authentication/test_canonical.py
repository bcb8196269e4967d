"""Canonical requests and signatures, against AWS's own test suite for Signature Version 4."""

from __future__ import annotations

import hashlib

import pytest

from dispatcher.api.authentication.canonical import (
    Scope,
    SignedParts,
    canonical_path,
    canonical_query,
    canonical_request,
    signature,
)

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105 - of AWS's documentation
TIME = "20150830T123600Z"
SCOPE = Scope("20150830", "us-east-1", "service")
EMPTY = hashlib.sha256(b"").hexdigest()
HEADERS = [("host", "example.amazonaws.com"), ("x-amz-date", TIME)]


@pytest.mark.parametrize(
    ("method", "query", "headers", "expected"),
    [
        ("GET", [], [], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "GET", [("Param2", "value2"), ("Param1", "value1")], [],
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        ("POST", [], [], "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "POST", [], [("my-header1", "value1")],
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
    ],
    ids=["get-vanilla", "get-vanilla-query-order-key-case", "post-vanilla", "post-header-key-sort"],
)  # fmt: skip
def test_aws_s_test_suite_has_the_same_signature(
    method: str, query: list[tuple[str, str]], headers: list[tuple[str, str]], expected: str
) -> None:
    sent = sorted([*HEADERS, *headers])
    parts = SignedParts(method, "/", query, sent, EMPTY)
    request = canonical_request(parts, [name for name, _ in sent])
    assert signature(SECRET, SCOPE, TIME, request) == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("/", "/"), ("", "/"), ("/a/./b/../c", "/a/c"), ("//a//b", "/a/b"), ("/../..", "/"),
        ("/a/", "/a/"), ("/tags/arn%3Aaws%2Fx", "/tags/arn%253Aaws%252Fx"), ("/a b", "/a%20b"),
        ("/-._~", "/-._~"),
    ],
)  # fmt: skip
def test_a_path_is_normalised_and_encoded_once_more(sent: str, expected: str) -> None:
    assert canonical_path(sent) == expected


def test_a_query_is_encoded_and_sorted_by_name_then_value() -> None:
    fields = [("b", "2"), ("a", "z"), ("a", "A b/é"), ("A", "")]
    assert canonical_query(fields) == "A=&a=A%20b%2F%C3%A9&a=z&b=2"


def test_blanks_in_headers_are_folded_and_values_of_one_name_joined() -> None:
    parts = SignedParts("GET", "/", [], [("a", "  x  \t y "), ("a", "z")], EMPTY)
    assert "\na:x y,z\n" in canonical_request(parts, ["a"])
