"""Settings come from the environment, each by its name."""

from __future__ import annotations

import pytest

from sidelight.errors import UsageError
from workers.settings import Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings()


def test_what_is_given_to_a_worker_is_what_it_reads() -> None:
    settings = Settings(
        broker_url="rediss://me@h:1/0", attempts=7, lease_seconds=1.5, regional_queues=True
    )
    assert Settings.from_environment(settings.as_environment()) == settings


@pytest.mark.parametrize("word", ["1", "true", "YES", "on"])
def test_a_switch_is_a_word(word: str) -> None:
    assert Settings.from_environment({"SIDELIGHT_REMOTE_CONTROL": word}).remote_control


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ATTEMPTS", "many"),
        ("LEASE_SECONDS", ""),
        ("REMOTE_CONTROL", "perhaps"),
        ("USD_PER_DAY", "-1"),
        ("USD_PER_DAY", "nan"),
        ("GET_PER_SECOND", "inf"),
        ("LEASE_SECONDS", "0"),
        ("ATTEMPTS", "0"),
        ("IN_FLIGHT", "0"),
    ],
)
def test_what_cannot_be_is_wrong_usage_with_the_variables_name(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"SIDELIGHT_{name}: "):
        Settings.from_environment({f"SIDELIGHT_{name}": text})


def test_advisories_have_to_be_named() -> None:
    with pytest.raises(UsageError, match="SIDELIGHT_ADVISORIES"):
        _ = Settings().advisories_path
