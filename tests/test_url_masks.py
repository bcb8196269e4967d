"""No message shows the password of a URL, however the password was written."""

from __future__ import annotations

import pytest

from sidelight.errors import UsageError
from sidelight.fleet.settings.validation import BROKERS, check_url
from sidelight.store import Store
from sidelight.url_masks import masked

MARKS = ("", "/", "@", ":", "%", "#", "?", "[", "]", "$\"'\\", " ", ";", "/0?x=", "@h/", "=&")


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("user", ["", "sidelight"])
def test_a_password_with_any_mark_of_a_url_is_hidden(mark: str, user: str) -> None:
    for password in (f"hunter{mark}2hunter", f"{mark}hunter", f"hunter{mark}"):
        shown = masked(f"rediss://{user}:{password}@redis.example:6379/0")
        assert "hunter" not in shown
        assert shown.endswith("@redis.example:6379/0")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"), ("redis://h", "redis://h"),
        ("redis://user@h:1/0", "redis://user@h:1/0"), ("redis://:word/0", "redis://:***"),
        ("redis://user:word", "redis://user:***"), ("user:word@h", "user:***@h"),
        ("sentinel://:a@b:1/0;sentinel://:a@c:2/0", "sentinel://:***@b:1/0;sentinel://:***@c:2/0"),
        ("sqlite:////var/s.db?mode=ro", "sqlite:////var/s.db?mode=ro"),
        ("postgresql://u@h/s?sslmode=require&password=word",
         "postgresql://u@h/s?sslmode=require&password=***"),
        ("sqlite:///a:b@c.db", "sqlite:///a:b@c.db"), ("sqs://", "sqs://"),
        ("nonsense", "nonsense"),
    ],
)  # fmt: skip
def test_all_else_is_shown(url: str, shown: str) -> None:
    assert masked(url) == shown


def refusal_of_broker(url: str) -> str:
    """The text with which a URL is refused; empty where it is taken."""
    try:
        check_url(url, BROKERS, "SIDELIGHT_BROKER_URL")
    except UsageError as error:
        return str(error)
    return ""


def shown_of_store(url: str) -> str:
    """How a store names itself, or the text with which its URL is refused."""
    try:
        store = Store(url)
    except UsageError as error:
        return str(error)
    store.close()
    return store.where


@pytest.mark.parametrize("mark", MARKS)
def test_a_refused_broker_does_not_show_its_password(mark: str) -> None:
    text = refusal_of_broker(f"redis://:hunter{mark}hunter@redis.example:6379/0")
    assert "hunter" not in text


def test_a_broker_without_a_host_does_not_show_its_password() -> None:
    text = refusal_of_broker("redis://user:hunter/0")
    assert "hunter" not in text
    assert "redis://user:***" in text


def test_a_refused_broker_names_the_way_to_write_its_password() -> None:
    assert "in a password write / as %2F" in refusal_of_broker("redis://:a/b@redis.example/0")


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("rest", ["@db.example/sidelight", "/sidelight", ""])
def test_a_store_does_not_show_its_password(mark: str, rest: str) -> None:
    if "@" in mark and not rest.startswith("@"):
        mark = ""  # after that mark is the host
    assert "hunter" not in shown_of_store(f"postgresql://sidelight:hunter{mark}hunter{rest}")
