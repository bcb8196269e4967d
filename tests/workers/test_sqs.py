"""A whole fleet with SQS as its broker: moto's SQS, Celery's own transport, real workers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import boto3
import pytest

from sidelight.fleet.settings import Settings
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.model import STAGES
from tests.fixtures.redis_servers import client, free_port, server
from tests.fixtures.worker_fleets import finish, fleet_on, started
from workers.app import queues

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud


pytestmark = [pytest.mark.services, pytest.mark.images]


@pytest.mark.parametrize("known", [True, False], ids=["urls by setting", "queues made by us"])
def test_a_fleet_over_sqs(
    known: bool, tmp_path: Path, cloud: LocalCloud, image: Path, advisories: Path
) -> None:
    pytest.importorskip("pycurl", reason="Celery's SQS transport needs pycurl: the extra `sqs`")
    for name in ("one", "two", "three", "four"):
        cloud.add_instance(name, [image])
    sqs = boto3.client("sqs")
    prefix = ""
    port = free_port()
    settings = Settings.of(
        store_url=f"sqlite:///{tmp_path}/store.db",
        advisories=str(advisories),
        broker_url="sqs://",
        # SQS can keep none; the two processes that read share these.
        budgets_url=f"redis://127.0.0.1:{port}/0",
        get_per_second=2.0,
        poll_seconds=0.1,
    )
    if known:
        # As an operator makes them beforehand, so that the workers need no right to do so.
        for name in queues(STAGES, [""], settings):
            url = sqs.create_queue(QueueName=f"ours-{name}")["QueueUrl"]
            prefix = url.removesuffix(name)
            # None of these ends a worker, and none is left at the end.
            for bad in ("not json", "bm90IGpzb24=", "7", "{}", '{"properties": []}', "[" * 9000):
                sqs.send_message(QueueUrl=url, MessageBody=bad)
        settings = settings.replaced(sqs_prefix=prefix)
    # kombu alone ends a worker at the first of these.
    cloud.plan = FaultPlan([Rule(FaultKind.UNAVAILABLE, "sqs:ReceiveMessage", nth=(3, 4, 9, 10))])
    with ExitStack() as stack:
        stack.enter_context(server(tmp_path / "redis", [f"port {port}"], probe=client(port)))
        control = stack.enter_context(fleet_on(settings, tmp_path, concurrency=2))
        finish(control, started(control))
    assert cloud.answers("CreateSnapshots") == 4
    assert cloud.calls("*GetSnapshotBlock") >= 8
    # One above the rate for the burst; each by itself they would come to four and more.
    assert cloud.counters.exceeded({"*GetSnapshotBlock": 3}) == []
    queue_names = {url.rpartition("/")[2] for url in sqs.list_queues()["QueueUrls"]}
    wanted = {f"ours-{name}" if known else name for name in queues(STAGES, [""], settings)}
    assert wanted <= queue_names if not known else wanted == queue_names
    for url in sqs.list_queues()["QueueUrls"]:
        left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert left["ApproximateNumberOfMessages"] == "0", url
