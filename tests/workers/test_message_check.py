"""No message ends a worker: what Sidelight does not send is logged and dropped."""

from __future__ import annotations

import base64
import copy
import json
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from celery._state import _task_stack
from hypothesis import given
from hypothesis import strategies as st

from sidelight.fleet.settings import Settings
from sidelight.fleet.stages.stage_runner import Next
from sidelight.model import State
from tests.fixtures.hostile_text import is_inert
from tests.fixtures.redis_servers import client, free_port, server, wait_for
from tests.fixtures.worker_fleets import fleet_on
from workers import message_check
from workers.app import make_app
from workers.message_check import BadMessageError, check
from workers.tasks import publish

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud


def real(delay: float = 0.0, scan: str = "scan-1") -> dict[str, Any]:
    """A message as `publish` sends it."""
    settings = Settings.of(broker_url="memory://")
    application = make_app(settings)
    publish(application, settings, scan, Next(State.READING, "eu-west-1", 6, delay))
    with application.connection() as connection:
        message: dict[str, Any] = connection.default_channel._get("inspect")
    application.close()
    return message


def handed_on(scan: str = "scan-1") -> dict[str, Any]:
    """A message as a task sends it: with that task as its parent."""
    settings = Settings.of(broker_url="memory://")
    application = make_app(settings)
    application.finalize()  # as in a worker: the stages' tasks are registered

    @application.task(name="of-this-test", shared=False)  # type: ignore[untyped-decorator] # Celery has no types
    def stage() -> None:
        publish(application, settings, scan, Next(State.READING, "eu-west-1", 6, 0.0))

    _task_stack.push(stage)
    stage.push_request(id="the-parent", root_id="the-root", called_directly=False)
    try:
        stage.run()
    finally:
        stage.pop_request()
        _task_stack.pop()
    with application.connection() as connection:
        message: dict[str, Any] = connection.default_channel._get("inspect")
    application.close()
    return message


def body(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def changed(*path: str, to: Any = None, gone: bool = False) -> dict[str, Any]:
    """A real message with one member changed, or without it."""
    message = real()
    inner = message
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    if gone:
        del inner[path[-1]]
    return message


@pytest.mark.parametrize("delay", [0.0, 30.0])
def test_what_publish_sends_is_good(delay: float) -> None:
    check(real(delay), "inspect")
    check(real(delay), "inspect.eu-west-1")
    check(real(delay), "inspect-eu-west-1-now")


def test_what_a_task_hands_on_is_good() -> None:
    """Else every stage waits for the dispatcher's tick, a minute."""
    message = handed_on()
    assert message["headers"]["parent_id"] == "the-parent"
    check(message, "inspect")


def test_a_message_that_was_delivered_before_is_good() -> None:
    message = real()
    message["headers"]["redelivered"] = True
    message["properties"]["delivery_info"]["redelivered"] = True
    check(message, "inspect")


EMBEDDED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
BAD = {
    "a list": [],
    "a number": 7,
    "null": None,
    "an empty object": {},
    "no properties": changed("properties", gone=True),
    "properties that are a list": changed("properties", to=[]),
    "no delivery tag": changed("properties", "delivery_tag", gone=True),
    "a delivery tag that is a list": changed("properties", "delivery_tag", to=[]),
    "no delivery information": changed("properties", "delivery_info", gone=True),
    "no exchange": changed("properties", "delivery_info", to={"routing_key": "take"}),
    "a priority that is a text": changed("properties", "priority", to="high"),
    "pickle": changed("content-type", to="application/x-python-serialize"),
    "yaml": changed("content-type", to="application/x-yaml"),
    "no content type": changed("content-type", gone=True),
    "an unknown charset": changed("content-encoding", to="utf-99"),
    "a charset that is a list": changed("content-encoding", to=["utf-8"]),
    "binary": changed("content-encoding", to="binary"),
    "an unknown body encoding": changed("properties", "body_encoding", to="rot13"),
    "compressed": changed("headers", "compression", to="application/x-gzip"),
    "compressed by nothing known": changed("headers", "compression", to="nonsense"),
    "no body": changed("body", gone=True),
    "a body that is a number": changed("body", to=5),
    "a body that is not base64": changed("body", to="$$$"),
    "a body that is not UTF-8": changed("body", to=base64.b64encode(b"\xff\xfe").decode()),
    "a body that is not JSON": changed("body", to=base64.b64encode(b"not json").decode()),
    "a body that nests": changed("body", to=base64.b64encode(b"[" * 40_000).decode()),
    "a body with a long number": changed("body", to=base64.b64encode(b"9" * 20_000).decode()),
    "a body too long": changed("body", to="A" * 100_000),
    "a body that is an object": changed("body", to=body({"task": "sidelight.take"})),
    "no arguments": changed("body", to=body([[], {}, EMBEDDED])),
    "an argument that is a number": changed("body", to=body([[5], {}, EMBEDDED])),
    "an argument of kombu's types": changed(
        "body", to=body([[{"__type__": "decimal", "__value__": "x"}], {}, EMBEDDED])
    ),
    "an argument too long": changed("body", to=body([["i" * 5000], {}, EMBEDDED])),
    "an argument with NUL": changed("body", to=body([["i\0"], {}, EMBEDDED])),
    "named arguments": changed("body", to=body([["i"], {"x": 1}, EMBEDDED])),
    "a chain": changed("body", to=body([["i"], {}, EMBEDDED | {"chain": [{"task": "x"}]}])),
    "no embedded object": changed("body", to=body([["i"], {}, None])),
    "no headers": changed("headers", gone=True),
    "headers that are null": changed("headers", to=None),
    "headers that are a text": changed("headers", to="task"),
    "no task": changed("headers", "task", gone=True),
    "a task that does not exist": changed("headers", "task", to="os.system"),
    "a task that is a list": changed("headers", "task", to=[]),
    "no id": changed("headers", "id", gone=True),
    "an id that is an object": changed("headers", "id", to={}),
    "an eta that is nonsense": changed("headers", "eta", to="tomorrow"),
    "an eta that is a number": changed("headers", "eta", to=5),
    "an eta without a zone": changed("headers", "eta", to="2026-01-01T00:00:00"),
    "an eta before all calendars": changed("headers", "eta", to="0001-01-01T00:00:00+23:59"),
    "an eta after all calendars": changed("headers", "eta", to="9999-12-31T23:59:59-23:59"),
    "it expires": changed("headers", "expires", to="nonsense"),
    "another name": changed("headers", "shadow", to=["x"]),
    "retries that are a text": changed("headers", "retries", to="many"),
    "a trace that is none": changed("headers", "traceparent", to="00-x"),
    "a trace that is a number": changed("headers", "traceparent", to=3),
    "a time limit": changed("headers", "timelimit", to=["x", "y"]),
    "a time limit that is a number": changed("headers", "timelimit", to=3),
    "a parent that is an object": changed("headers", "parent_id", to={"x": 1}),
    "a parent too long": changed("headers", "parent_id", to="i" * 5000),
    "stamps": changed("headers", "stamped_headers", to=["x"]),
}


@pytest.mark.parametrize("message", BAD.values(), ids=BAD.keys())
def test_what_nobody_sends_is_bad(message: Any) -> None:
    with pytest.raises(BadMessageError):
        check(message, "inspect")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
GOOD = real()
PATHS = [
    *((name,) for name in GOOD),
    *(("headers", name) for name in GOOD["headers"]),
    *(("properties", name) for name in GOOD["properties"]),
    *(("properties", "delivery_info", name) for name in ("exchange", "routing_key")),
]


@given(st.sampled_from(PATHS), JSON)
def test_any_change_is_good_or_bad_and_nothing_else(path: tuple[str, ...], value: Any) -> None:
    message = copy.deepcopy(GOOD)
    inner = message
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    for queue in ("inspect", "w@host.celery.pidbox", "celeryev.1"):
        with suppress(BadMessageError):
            check(message, queue)


def test_the_tasks_that_are_let_through_are_those_that_exist() -> None:
    application = make_app(Settings.of(broker_url="memory://"))
    application.loader.import_default_modules()
    registered = {name for name in application.tasks if name.startswith("sidelight.")}
    assert registered == message_check.TASKS


@given(JSON)
def test_anything_else_is_bad(message: Any) -> None:
    with pytest.raises(BadMessageError):
        check(message, "take")


def test_what_the_log_says_of_a_bad_message_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        message_check.drop("take", "is nothing" * 1000, {"x": "y" * 1_000_000})
    (record,) = caplog.records
    assert len(record.getMessage()) < 1000


def test_the_memory_transport_drops_them_too(caplog: pytest.LogCaptureFixture) -> None:
    application = make_app(Settings.of(broker_url="memory://"))
    deliveries: list[object] = []
    with application.connection() as connection, caplog.at_level(logging.ERROR):
        channel = connection.default_channel
        channel.queue_declare("inspect")
        channel.basic_consume("inspect", no_ack=True, callback=deliveries.append, consumer_tag="1")
        for message in [*BAD.values(), real()]:
            channel._put("inspect", message)
        for _ in range(len(BAD) + 1):
            connection.drain_events(timeout=1)
    application.close()
    assert len(deliveries) == 1
    assert len(caplog.records) == len(BAD)


RAW = [
    b"not json", b"", b"\xff\xfe\x00", b"{", b"[" * 100_000, b"9" * 10_000, b"nan", b'"\\ud800"',
    b'{"__type__": "decimal", "__value__": "x"}', b"\x1b]0;title\x07\n2026-01-01 INFO forged",
    b'{"properties": {"delivery_tag": []}}', b"x" * (1 << 20),
    *(json.dumps(message).encode() for message in BAD.values()),
]  # fmt: skip


@pytest.mark.services
@pytest.mark.enable_socket
def test_a_worker_on_redis_outlives_every_bad_message(tmp_path: Path, cloud: LocalCloud) -> None:
    order, port = tmp_path / "order", free_port()
    settings = Settings.of(
        store_url=f"sqlite:///{tmp_path}/store.db", broker_url=f"redis://127.0.0.1:{port}/0"
    )
    with server(tmp_path / "redis", [f"port {port}"], probe=client(port)):
        broker = client(port)
        for item in RAW:
            broker.lpush("take", item)
            broker.lpush("inspect", item)
        # What a worker that died had not acknowledged, as somebody has overwritten it.
        broker.hset("unacked", "tag", b"not json")
        broker.zadd("unacked_index", {"tag": 1})
        application = make_app(settings)
        region = cloud.environment()["AWS_REGION"]
        # Bad messages are before the good ones and after them.
        for state in (State.NEW, State.READING):
            publish(application, settings, f"good-{state.value}", Next(state, region, 6))
        for item in RAW:
            broker.lpush("take", item)
        publish(application, settings, "good-at-last", Next(State.NEW, region, 6))
        application.close()
        with fleet_on(
            settings, tmp_path, application="tests.worker_programs.recording_worker",
            environment=os.environ | {"SIDELIGHT_TEST_ORDER": str(order)},
        ) as control:  # fmt: skip
            del control
            wait_for(lambda: order.exists() and len(order.read_text().split()) == 3, "the good")
            wait_for(lambda: not broker.exists("take", "inspect"), "an empty queue")
        assert sorted(order.read_text().split()) == ["good-NEW", "good-READING", "good-at-last"]
        broker.close()
    logs = "".join(path.read_text("utf-8") for path in tmp_path.glob("worker-*.log"))
    assert "Unrecoverable" not in logs
    assert "a message is dropped" in logs
    # Hostile text is in the log, and neither forges a line nor drives a terminal.
    assert "\\x1b]0;title" in logs
    assert not any(line.startswith("2026-01-01 INFO") for line in logs.splitlines())
    assert is_inert(logs)
