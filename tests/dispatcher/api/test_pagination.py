"""Pagination tokens: what was sealed comes back, for the same query and principal alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dispatcher.api.errors import ValidationError
from dispatcher.api.pagination import TOKEN_SECONDS, Pages, answer_page, bound_pages, page_of
from sidelight.model import Principal, Role

KEY = bytes(range(32))
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ALICE = Principal("alice", Role.READER, "111122223333")
QUERY = {"filterCriteria": {"severity": [{"comparison": "EQUALS", "value": "HIGH"}]}}


def _pages(
    key: bytes = KEY,
    principal: Principal = ALICE,
    operation: str = "ListFindings",
    request: dict[str, object] | None = None,
    now: datetime = NOW,
) -> Pages:
    return bound_pages(key, principal, operation, QUERY if request is None else request, now)


def test_a_position_comes_back_as_it_was_sealed() -> None:
    position = {"score": 9.8, "arn": "é/1", "none": None}
    assert _pages().unseal(_pages().seal(position)) == position


def test_a_token_is_opaque_and_differs_at_each_sealing() -> None:
    one, two = _pages().seal({"arn": "secret"}), _pages().seal({"arn": "secret"})
    assert one != two
    assert "secret" not in one


def test_the_size_of_a_page_may_change_between_pages() -> None:
    first = _pages(request={**QUERY, "maxResults": 10})
    token = first.seal({"n": 1})
    assert _pages(request={**QUERY, "maxResults": 99, "nextToken": token}).unseal(token)


@pytest.mark.parametrize(
    "other",
    [
        _pages(key=bytes(32)),
        _pages(principal=replace(ALICE, name="bob")),
        _pages(principal=replace(ALICE, account_id="444455556666")),
        _pages(operation="ListCoverage"),
        _pages(request={"filterCriteria": {}}),
        _pages(now=NOW + timedelta(seconds=TOKEN_SECONDS + 1)),
    ],
    ids=["key", "name", "account", "operation", "query", "expired"],
)
def test_a_token_is_refused_for_anything_else(other: Pages) -> None:
    with pytest.raises(ValidationError):
        other.unseal(_pages().seal({"n": 1}))


def test_a_token_with_any_changed_character_is_refused() -> None:
    token = _pages().seal({"n": 1})
    for at, old in enumerate(token):
        changed = token[:at] + ("A" if old != "A" else "B") + token[at + 1 :]
        # The last character of base64 may have bits that mean nothing.
        if at < len(token) - 1:
            with pytest.raises(ValidationError):
                _pages().unseal(changed)


@pytest.mark.parametrize("token", ["", "A", "é", "=" * 9, "AQ", "\0", "A" * 10_000, "AAAA" * 9])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(ValidationError):
        _pages().unseal(token)


def test_a_page_begins_after_its_token_and_ends_with_one_if_more_follow() -> None:
    items: list[dict[str, object]] = [{"n": n} for n in range(3)]
    first = answer_page("items", items, 2, _pages(), lambda: {"n": 1})
    assert first["items"] == items[:2]
    assert page_of(_pages(), {"maxResults": 2, **first}, 25) == (2, {"n": 1})
    assert page_of(_pages(), {}, 25) == (25, None)
    assert answer_page("items", items[2:], 2, _pages(), dict) == {"items": items[2:]}
