"""A message without the deployment's signature is dropped, logged and counted, and runs nothing."""

from __future__ import annotations

import base64
import copy
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.doctor.broker_checks import signature_check
from dispatcher.doctor.results import CheckStatus
from sidelight.errors import UsageError
from sidelight.fleet.settings import Settings
from sidelight.fleet.stages.stage_runner import Next
from sidelight.model import State
from sidelight.store import Store
from tests.fixtures.redis_servers import client, free_port, server, wait_for
from tests.fixtures.worker_fleets import fleet_on
from workers.app import make_app
from workers.dropped_messages import WRITE_EVERY, DropCounter
from workers.message_check import BadMessageError, check
from workers.message_signatures import HEADER, MessageKeys
from workers.messages import publish, publish_network, publish_reevaluation

if TYPE_CHECKING:
    from sidelight.localcloud.server import LocalCloud

KEY, OTHER, OLDER = (base64.b64encode(bytes([byte]) * 32).decode() for byte in (7, 9, 11))
REGION = "eu-west-1"
QUEUES = {State.NEW: "take", State.READING: "inspect", State.DELETING: "delete"}


def settings_of(keys: str, **values: Any) -> Settings:
    return Settings.of(broker_url="memory://", message_keys=keys, **values)


def sent(keys: str, state: State = State.READING, delay: float = 0.0) -> dict[str, Any]:
    """The message of a scan's state, as `publish` sends it."""
    settings = settings_of(keys)
    application = make_app(settings)
    publish(application, settings, "scan-1", Next(state, REGION, 6, delay))
    with application.connection() as connection:
        message: dict[str, Any] = connection.default_channel._get(QUEUES[state])
    application.close()
    return message


def keys_of(text: str) -> MessageKeys:
    return MessageKeys.of(settings_of(text))


def argued(message: dict[str, Any], argument: str) -> dict[str, Any]:
    """The message with another scan's id."""
    body = json.loads(base64.b64decode(message["body"]))
    body[0] = [argument]
    return message | {"body": base64.b64encode(json.dumps(body).encode()).decode()}


@pytest.mark.parametrize("delay", [0.0, 30.0])
@pytest.mark.parametrize("keys", [KEY, f"{KEY},{OTHER}", f"{OTHER}, {KEY}"])
def test_a_signed_message_passes_whichever_of_the_keys_signed_it(keys: str, delay: float) -> None:
    check(sent(KEY, delay=delay), "inspect", keys_of(keys))
    check(sent(KEY, delay=delay), "inspect.eu-west-1", keys_of(keys))
    check(sent(KEY, delay=delay), "inspect-eu-west-1-now", keys_of(keys))


def test_messages_that_an_older_version_signed_pass() -> None:
    """Recorded ones, a task each: during an upgrade workers get messages of both versions."""
    recorded = json.loads(Path(__file__).with_name("signed_messages.json").read_text("utf-8"))
    assert len(recorded) == 5
    for entry in recorded:
        check(entry["message"], entry["queue"], keys_of(KEY))
        with pytest.raises(BadMessageError, match="wrong signature"):
            check(entry["message"], entry["queue"], keys_of(OTHER))


def test_a_header_of_a_newer_version_is_passed_over() -> None:
    message = sent(KEY)
    newer = message | {"headers": message["headers"] | {"sidelight_later": {"any": ["thing"]}}}
    check(newer, "inspect", keys_of(KEY))


def test_the_messages_that_name_no_scan_are_signed_as_well() -> None:
    settings = settings_of(KEY)
    application = make_app(settings)
    publish_reevaluation(application, settings, REGION)
    publish_network(application, settings, "111122223333", REGION)
    with application.connection() as connection:
        for _ in range(2):
            check(connection.default_channel._get("evaluate"), "evaluate", keys_of(KEY))
    application.close()


def changed(name: str, value: object) -> dict[str, Any]:
    message = copy.deepcopy(sent(KEY, delay=30.0))
    message["headers"][name] = value
    return message


def without_signature() -> dict[str, Any]:
    message = sent(KEY)
    del message["headers"][HEADER]
    return message


FORGED = {
    "no key": sent(""),
    "without its signature": without_signature(),
    "another key": sent(OTHER),
    "another scan": argued(sent(KEY), "scan-2"),
    "another task": changed("task", "sidelight.delete"),
    "another id": changed("id", "00000000-0000-4000-8000-000000000000"),
    "another time": changed("eta", "2026-01-01T00:00:00+00:00"),
    "no time": changed("eta", None),
    "a signature that is null": changed(HEADER, None),
    "a signature that is a list": changed(HEADER, []),
    "a signature that is not ASCII": changed(HEADER, "ä" * 64),
    "a signature in capitals": changed(HEADER, sent(KEY)["headers"][HEADER].upper()),
    "an empty signature": changed(HEADER, ""),
    "a long signature": changed(HEADER, "0" * 1_000_000),
}


@pytest.mark.parametrize("message", FORGED.values(), ids=FORGED.keys())
def test_a_forged_message_is_bad(message: dict[str, Any]) -> None:
    with pytest.raises(BadMessageError, match="sign"):
        check(message, "inspect", keys_of(KEY))


def test_a_message_of_another_stages_queue_is_bad() -> None:
    """In a queue of threads a read would hold all of them, with another role's rights."""
    with pytest.raises(BadMessageError, match="wrong signature"):
        check(sent(KEY), "take", keys_of(KEY))


def test_without_keys_nothing_is_asked_for_and_old_workers_take_signed_messages() -> None:
    check(sent(""), "inspect", keys_of(""))
    check(sent(KEY), "inspect", keys_of(""))


@pytest.mark.parametrize("text", ["secret", "AAAA", f"{KEY},short", KEY[:-4], "é"])
def test_a_key_that_is_not_one_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError, match="SIDELIGHT_MESSAGE_KEYS") as error:
        make_app(settings_of(text))
    assert text not in str(error.value)


def test_no_text_of_the_application_shows_a_key() -> None:
    application = make_app(settings_of(KEY))
    shown = f"{application.conf.humanize()} {application.conf.broker_transport_options!r}"
    assert KEY not in shown
    assert repr(b"\7" * 32) not in shown
    application.close()


def test_the_doctor_says_whether_messages_are_signed() -> None:
    local = "redis://127.0.0.1:6379/0"
    away = "rediss://sidelight:word@redis.example.org:6379/0"
    results = {
        (url, keys): signature_check(Settings.of(broker_url=url, message_keys=keys)).status
        for url in (local, away) for keys in (KEY, "", "wrong")
    }  # fmt: skip
    assert results == {
        (local, KEY): CheckStatus.OK, (local, ""): CheckStatus.OK,
        (away, KEY): CheckStatus.OK, (away, ""): CheckStatus.WARNING,
        (local, "wrong"): CheckStatus.ERROR, (away, "wrong"): CheckStatus.ERROR,
    }  # fmt: skip


def test_drops_are_counted_in_the_store_at_most_every_few_seconds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    clock = [0.0]
    counter = DropCounter(url, monotonic=lambda: clock[0])
    with caplog.at_level(logging.WARNING):
        counter.add()  # there is no store yet
    assert "not counted yet" in caplog.text
    with Store(url) as store:
        store.migrate()
        counter.add()
        assert store.dropped_messages.total() == 0
        clock[0] = WRITE_EVERY
        counter.add()
        assert store.dropped_messages.total() == 3
        counter.add()
        assert store.dropped_messages.total() == 3
        counter.write()
        counter.write()
        assert store.dropped_messages.total() == 4


@pytest.mark.services
@pytest.mark.enable_socket
def test_workers_on_redis_run_what_is_signed_alone(tmp_path: Path, cloud: LocalCloud) -> None:
    order, port = tmp_path / "order", free_port()
    url = f"sqlite:///{tmp_path}/store.db"
    settings = Settings.of(
        store_url=url, broker_url=f"redis://127.0.0.1:{port}/0", message_keys=f"{KEY},{OLDER}"
    )
    region = cloud.environment()["AWS_REGION"]
    with server(tmp_path / "redis", [f"port {port}"], probe=client(port)), Store(url) as store:
        store.migrate()
        broker = client(port)
        application = make_app(settings)
        for message in FORGED.values():
            broker.lpush("inspect", json.dumps(message))
        broker.lpush("take", json.dumps(sent(KEY)))  # of the queue inspect
        for state in (State.NEW, State.READING):
            publish(application, settings, f"good-{state.value}", Next(state, region, 6))
        publish(application, settings, "good-later", Next(State.NEW, region, 6, 1.0))
        # Before a key is replaced, what the old one signed is still run.
        older = settings.replaced(message_keys=OLDER)
        before = make_app(older)
        publish(before, older, "good-older", Next(State.NEW, region, 6))
        with fleet_on(
            settings, tmp_path, application="tests.worker_programs.recording_worker",
            environment=os.environ | {"SIDELIGHT_TEST_ORDER": str(order)},
        ) as control:  # fmt: skip
            del control
            wait_for(lambda: order.exists() and len(order.read_text().split()) == 4, "the good")
            wait_for(lambda: not broker.exists("take", "inspect"), "an empty queue")
        application.close()
        before.close()
        broker.close()
        assert sorted(order.read_text().split()) == [
            "good-NEW", "good-READING", "good-later", "good-older",
        ]  # fmt: skip
        # The workers have ended, and each wrote what it had counted.
        assert store.dropped_messages.total() == len(FORGED) + 1
    logs = "".join(path.read_text("utf-8") for path in tmp_path.glob("worker-*.log"))
    assert logs.count("a message is dropped") == len(FORGED) + 1
    assert KEY not in logs
