"""What the queue promises, by the application's own settings."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sidelight.errors import UsageError
from sidelight.fleet.settings import Settings
from sidelight.fleet.settings.validation import LONGEST_COUNTDOWN
from sidelight.fleet.stages.stage_runner import Next
from sidelight.model import LIVE, STAGE_OF, STAGES, State
from workers import tasks
from workers.app import COMPUTING, WAITING, make_app, queue
from workers.celery_main import app
from workers.message_signatures import MessageKeys
from workers.worker_command import worker_command


def test_a_lost_worker_loses_no_message_and_no_result_is_kept() -> None:
    conf = make_app(Settings()).conf
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.task_ignore_result
    assert conf.result_backend is None
    assert conf.accept_content == ["json"]
    assert conf.worker_prefetch_multiplier == 1
    assert not conf.worker_enable_remote_control


def test_the_visibility_timeout_is_above_every_countdown_and_wait() -> None:
    settings = Settings()
    options = make_app(settings).conf.broker_transport_options
    assert options["visibility_timeout"] == settings.broker.visibility_seconds
    assert settings.broker.visibility_seconds > 10 * LONGEST_COUNTDOWN
    assert settings.broker.visibility_seconds > settings.snapshots.pending_seconds


def test_every_live_state_has_a_stage_and_every_stage_a_pool() -> None:
    assert set(STAGE_OF) == set(LIVE)
    assert {*WAITING, *COMPUTING} == set(STAGES) == set(STAGE_OF.values())


def test_tasks_are_registered_by_the_names_that_are_sent() -> None:
    registered = {name for name in app.tasks if name.startswith("sidelight.")}
    more = (tasks.NETWORK, tasks.REEVALUATE)
    assert registered == {tasks.NAME.format(name) for name in (*STAGES, *more)}


def test_queues_are_by_region_where_asked() -> None:
    assert queue("inspect", "eu-west-1", Settings()) == "inspect"
    assert queue("inspect", "eu-west-1", Settings.of(regional_queues=True)) == "inspect.eu-west-1"


def test_sqs_has_queues_for_what_is_on_demand_and_no_dots() -> None:
    settings = Settings.of(
        broker_url="sqs://",
        budgets_url="process",
        regional_queues=True,
        sqs_prefix="https://sqs.example/1/our-",
    )
    assert queue("take", "eu-west-1", settings) == "take-eu-west-1"
    assert queue("take", "eu-west-1", settings, 0) == "take-eu-west-1-now"
    options = make_app(settings).conf.broker_transport_options
    assert options["predefined_queues"]["delete-eu-west-1-now"] == {
        "url": "https://sqs.example/1/our-delete-eu-west-1-now"
    }
    assert isinstance(options["visibility_timeout"], int)
    assert "-E" not in worker_command("waiting", settings, size=1)


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"visibility_seconds": 2700.0}, "VISIBILITY_SECONDS"),
        ({"stage_seconds": 6 * 3600.0}, "VISIBILITY_SECONDS"),
        (
            {"broker_url": "sqs://", "budgets_url": "process", "visibility_seconds": 50_000.0},
            "VISIBILITY_SECONDS",
        ),
        ({"broker_url": "sqs://"}, "BUDGETS_URL"),
        ({"broker_url": "sentinel://a:1;sentinel://b:1"}, "SENTINEL_MASTER"),
        ({"backoff_seconds": 1000.0}, "BACKOFF_SECONDS"),
        ({"kms_grants": True}, "KMS_GRANTS"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_at_start(
    changes: dict[str, Any], variable: str
) -> None:
    with pytest.raises(UsageError, match=f"SIDELIGHT_.*{variable}"):
        make_app(Settings.of(**changes))


def test_a_worker_takes_the_queues_of_its_kind_and_regions() -> None:
    settings = Settings.of(regional_queues=True)
    command = worker_command("computing", settings, regions=["a", "b"], size=3)
    queues = command[command.index("--queues") + 1]
    assert queues == "evaluate.a,evaluate.b,inspect.a,inspect.b"
    assert command[command.index("--pool") + 1] == "prefork"
    only = worker_command("waiting", settings, regions=["a"], stages=["delete"], size=1)
    assert only[only.index("--queues") + 1] == "delete.a"


@pytest.mark.parametrize("delay", [0.0, 10.0])
def test_a_message_is_an_id_a_queue_and_a_priority(delay: float) -> None:
    sent: list[tuple[str, dict[str, object]]] = []

    class Application:
        conf = SimpleNamespace(broker_transport_options={"message_keys": MessageKeys()})

        def send_task(self, name: str, **options: object) -> None:
            sent.append((name, options))

    before = datetime.now(UTC)
    tasks.publish(Application(), Settings(), "abc", Next(State.READING, "r", 0, delay))
    after = datetime.now(UTC)
    ((_, options),) = sent
    assert uuid.UUID(str(options.pop("task_id")))
    due = options.pop("eta")
    if delay:
        assert isinstance(due, datetime)
        assert before <= due - timedelta(seconds=delay) <= after
    else:
        assert due is None
    assert sent == [
        (
            "sidelight.inspect",
            {
                "args": ["abc"],
                "queue": "inspect",
                "priority": 0,
                "ignore_result": True,
                "headers": None,  # of traces and signatures, which are off
                # A message cannot change a worker's limits.
                "time_limit": None,
                "soft_time_limit": None,
            },
        )
    ]
