"""A webhook's target: its address and its secret, as options name them."""

from __future__ import annotations

import pytest

from dispatcher.events.signatures import WebhookSigner
from dispatcher.events.targets import shown, sink_of, targets_of
from dispatcher.events.webhook import WebhookOptions
from sidelight.aws.session import Session
from sidelight.download.event_posts import EventPosts
from sidelight.errors import UsageError
from tests.fixtures.stored_findings import REGION

pytestmark = [pytest.mark.services, pytest.mark.enable_socket]


@pytest.mark.parametrize(
    ("secret", "why"),
    [("", "needs a secret"), ("hunter2", "whsec_"), ("whsec_!", "whsec_"),
     ("whsec_YWJj", "24 to 64 bytes")],
)  # fmt: skip
def test_a_weak_secret_is_refused(secret: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        WebhookSigner(secret)


@pytest.mark.parametrize(
    "url",
    ["http://hooks.example/x", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.8/",
     "https://169.254.169.254/latest", "https://[fd00:ec2::254]/", "https://[::ffff:10.1.1.1]/",
     "https://[64:ff9b::a00:1]/", "https://0.0.0.0/", "https://user@hooks.example/",
     "https://hooks.example/#x", "https://", "ftp://hooks.example/", "https://hooks.example/a b"],
)  # fmt: skip
def test_an_address_that_is_not_of_the_internet_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        EventPosts(url)


def test_targets_are_separated_by_blanks() -> None:
    text = "eventbridge:default slack:https://hooks.slack.example/a\n file:/tmp/a b.jsonl stdout"
    assert targets_of(text) == [
        "eventbridge:default", "slack:https://hooks.slack.example/a", "file:/tmp/a b.jsonl",
        "stdout",
    ]  # fmt: skip
    assert targets_of("  ") == []
    with pytest.raises(UsageError, match="more than one target webhook:"):
        targets_of("webhook:https://a.example/ webhook:https://b.example/")


def test_an_address_that_is_a_secret_is_in_no_message() -> None:
    assert shown("slack:https://hooks.slack.example/services/T0/B0/secret") == (
        "slack:hooks.slack.example"
    )
    with pytest.raises(UsageError) as caught:
        sink_of("webhook:https://hooks.example/secret", Session(region=REGION), WebhookOptions())
    assert "hooks.example/secret" not in str(caught.value)
