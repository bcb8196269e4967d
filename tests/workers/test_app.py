"""What the queue promises, by the application's own settings."""

from __future__ import annotations

import pytest

from sidelight.store import LIVE, State
from workers import tasks
from workers.app import COMPUTING, STAGE_OF, STAGES, WAITING, app, make_app, queue
from workers.holding import Next
from workers.settings import Settings


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
    assert options["visibility_timeout"] == settings.visibility_seconds
    assert settings.visibility_seconds > 10 * tasks.LONGEST_COUNTDOWN
    assert settings.visibility_seconds > settings.snapshot_seconds


def test_every_live_state_has_a_stage_and_every_stage_a_pool() -> None:
    assert set(STAGE_OF) == set(LIVE)
    assert {*WAITING, *COMPUTING} == set(STAGES) == set(STAGE_OF.values())


def test_tasks_are_registered_by_the_names_that_are_sent() -> None:
    registered = {name for name in app.tasks if name.startswith("sidelight.")}
    assert registered == {tasks.NAME.format(stage) for stage in STAGES}


def test_queues_are_by_region_where_asked() -> None:
    assert queue("inspect", "eu-west-1", Settings()) == "inspect"
    assert queue("inspect", "eu-west-1", Settings(regional_queues=True)) == "inspect.eu-west-1"


@pytest.mark.parametrize(("delay", "countdown"), [(0.0, None), (10.0, 10.0)])
def test_a_message_is_an_id_a_queue_and_a_priority(delay: float, countdown: float | None) -> None:
    sent: list[tuple[str, dict[str, object]]] = []

    class Application:
        def send_task(self, name: str, **options: object) -> None:
            sent.append((name, options))

    tasks.publish(Application(), Settings(), "abc", Next(State.READING, "r", 0, delay))
    assert sent == [
        (
            "sidelight.inspect",
            {
                "args": ["abc"],
                "queue": "inspect",
                "priority": 0,
                "countdown": countdown,
                "ignore_result": True,
            },
        )
    ]
