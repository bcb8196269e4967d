"""A command waits for its broker, and not for ever."""

from __future__ import annotations

import socket

import pytest
from kombu.exceptions import OperationalError

from dispatcher.doctor.broker_checks import check_broker
from sidelight.errors import BrokerError
from sidelight.fleet.settings import Settings
from workers.app import make_app
from workers.broker import reach_broker, wait_for_broker


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


@pytest.mark.services
@pytest.mark.parametrize("kind", ["redis", "rediss"])
def test_a_server_that_accepts_and_never_answers_is_reported(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.broker.CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        port = server.getsockname()[1]
        settings = Settings.of(broker_url=f"{kind}://user:hunter@127.0.0.1:{port}/0")
        with pytest.raises(BrokerError, match="does not answer") as raised:
            reach_broker(settings)
    assert "hunter" not in str(raised.value)


def test_a_broker_of_a_running_fleet_is_not_waited_for_without_end() -> None:
    options = make_app(Settings.of(broker_url="redis://h/0")).conf.broker_transport_options
    assert 0 < options["socket_timeout"] <= 60


@pytest.mark.parametrize(
    "answer",
    ["WRONGPASS invalid username-password pair", "NOAUTH Authentication required.",
     "HELLO must be called with the client already authenticated, otherwise the HELLO AUTH"],
)  # fmt: skip
def test_a_refused_login_is_not_called_silence(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Settings) -> None:
        raise OperationalError(answer)

    monkeypatch.setattr("workers.broker.try_broker", refuse)
    with pytest.raises(BrokerError, match="refuses the login"):
        reach_broker(Settings.of(broker_url="redis://h/0"))
    (check,) = check_broker(Settings.of(broker_url="redis://h/0"))
    assert "password" in check.remedy
