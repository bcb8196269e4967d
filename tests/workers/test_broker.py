"""A command waits for its broker, and not for ever."""

from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError

from sidelight.errors import BrokerError
from sidelight.fleet.settings import Settings
from workers.broker import wait_for_broker


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_broker_that_does_not_answer_ends_the_command_with_what_to_do() -> None:
    clock, tries = Clock(), []

    def connect(_: Settings) -> None:
        tries.append(clock.now)
        raise OperationalError("Error 111")

    settings = Settings.of(broker_url="redis://me:secret@h/0", broker_seconds=5.0)
    with pytest.raises(BrokerError, match=r"--embedded") as ended:
        wait_for_broker(settings, connect=connect, monotonic=clock, sleep=clock.sleep)
    assert tries == [0, 1, 2, 3, 4, 5]
    assert "SIDELIGHT_BROKER_URL" in str(ended.value)
    assert "secret" not in str(ended.value)


def test_a_broker_that_comes_in_time_is_waited_for() -> None:
    clock = Clock()

    def connect(_: Settings) -> None:
        if clock.now < 3:
            raise OSError("refused")

    wait_for_broker(Settings(), connect=connect, monotonic=clock, sleep=clock.sleep)
    assert clock.now == 3


def test_a_wrong_password_is_not_waited_for() -> None:
    clock = Clock()

    def connect(_: Settings) -> None:
        raise OperationalError("WRONGPASS invalid username-password pair or user is disabled.")

    with pytest.raises(BrokerError, match="WRONGPASS"):
        wait_for_broker(Settings(), connect=connect, monotonic=clock, sleep=clock.sleep)
    assert clock.now == 0


def test_sqs_without_its_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.broker.find_spec", lambda _: None)
    with pytest.raises(ImportError) as missing:
        wait_for_broker(Settings.of(broker_url="sqs://"))
    assert missing.value.name == "pycurl"
