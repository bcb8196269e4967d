"""Calls that wait for their slot, are counted, renewed and retried; and listings of many pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoRegionError
from botocore.parsers import ResponseParserError

from sidelight.aws.paced_calls import PacedCalls, Retries
from sidelight.aws.pages import NextPage, pages
from sidelight.errors import AccessDeniedError, CloudError, SidelightError, UsageError

if TYPE_CHECKING:
    from sidelight.aws.session import Session

UNREACHABLE = EndpointConnectionError(endpoint_url="https://here")


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Describe")


class Fleet:
    """A session, a rate limiter, and a client whose outcomes are scripted."""

    def __init__(self, *outcomes: Exception | str, renewable: bool = True) -> None:
        self.outcomes = list(outcomes)
        self.renewable = renewable
        self.renewed = 0
        self.throttles: list[str] = []
        self.waits: list[float] = []

    def renew(self, account: str | None, client: object) -> bool:
        assert account == "123456789012"
        assert client is self
        self.renewed += 1
        return self.renewable

    def before(self, kind: str) -> None:
        """Have a slot at once."""

    def throttled(self, kind: str) -> None:
        self.throttles.append(kind)

    def describe(self) -> str:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def ask(self, attempts: int = 0, retries: Retries | None = None) -> str:
        client = PacedCalls(
            cast("Session", self), lambda: self, "123456789012",
            pace=self, sleep=self.waits.append, retries=retries or Retries(attempts=4),
        )  # fmt: skip
        return client.call(lambda fleet: fleet.describe(), "here", kind="list", attempts=attempts)


def test_a_throttle_is_reported_and_the_call_repeated() -> None:
    fleet = Fleet(refusal("RequestLimitExceeded"), UNREACHABLE, "answer")
    assert fleet.ask() == "answer"
    assert fleet.throttles == ["list"]
    assert len(fleet.waits) == 2


def test_an_answer_that_is_not_awss_is_an_error_of_the_call_without_its_text() -> None:
    """The error of botocore has the whole answer, and no base class of its own errors."""
    page = ResponseParserError("invalid XML received: b'<html>secret'")
    undecodable = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    assert Fleet(page, undecodable, "answer").ask() == "answer"
    with pytest.raises(CloudError, match="here: the answer is not one of AWS") as caught:
        Fleet(page, page, page, page).ask()
    assert "secret" not in str(caught.value)


def test_expired_credentials_are_renewed_once_and_cost_no_attempt() -> None:
    fleet = Fleet(refusal("ExpiredToken"), "answer")
    assert fleet.ask(attempts=1) == "answer"
    assert (fleet.renewed, fleet.waits) == (1, [])
    with pytest.raises(AccessDeniedError):
        Fleet(refusal("ExpiredToken"), refusal("ExpiredToken"), "answer").ask()
    with pytest.raises(AccessDeniedError):
        Fleet(refusal("ExpiredToken"), "answer", renewable=False).ask()


@pytest.mark.parametrize(
    ("outcome", "error"),
    [(refusal("UnauthorizedOperation"), AccessDeniedError), (NoRegionError(), UsageError)],
)
def test_what_does_not_pass_is_raised_at_once(
    outcome: Exception, error: type[SidelightError]
) -> None:
    fleet = Fleet(outcome, "answer")
    with pytest.raises(error):
        fleet.ask()
    assert fleet.waits == []


def test_the_last_attempts_error_is_raised() -> None:
    fleet = Fleet(UNREACHABLE, UNREACHABLE, "answer")
    with pytest.raises(CloudError) as caught:
        fleet.ask(attempts=2)
    assert caught.value.where == "here"
    assert len(fleet.waits) == 1


def test_a_services_own_codes_pass_where_they_are_named() -> None:
    busy = refusal("ConcurrentModificationException")
    with pytest.raises(CloudError):
        Fleet(busy, "answer").ask()
    assert Fleet(busy, "answer").ask(
        retries=Retries(codes=frozenset({busy.response["Error"]["Code"]}))
    )


def test_a_page_without_items_does_not_end_a_listing() -> None:
    answers: list[dict[str, object]] = [{"Marker": "a"}, {"Marker": "b", "Items": [1]}, {}]
    tokens: list[str] = []

    def call(following: NextPage) -> dict[str, object]:
        tokens.append(following.get("NextToken", ""))
        return answers[len(tokens) - 1]

    assert list(pages(call, "here", member="Marker")) == answers
    assert tokens == ["", "a", "b"]


def test_a_listing_that_repeats_its_token_or_has_no_end_is_an_error() -> None:
    numbers = iter(range(100))
    with pytest.raises(CloudError, match="repeats the token"):
        list(pages(lambda _following: {"NextToken": "a"}, "here"))
    with pytest.raises(CloudError, match="more than 9 pages"):
        list(pages(lambda _following: {"NextToken": str(next(numbers))}, "here", most=9))
