"""A whole fleet with SQS as its broker: moto's SQS, Celery's own transport, real workers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import boto3
import pytest

from sidelight.localcloud.faults import FaultPlan, Kind, Rule
from tests.faults.test_killed_workers import advisories, image
from tests.workers.test_processes import cloud, finish, fleet_on, started
from workers.app import STAGES, queues
from workers.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud

__all__ = ["advisories", "cloud", "image"]

pytestmark = [pytest.mark.services, pytest.mark.images]


@pytest.mark.parametrize("known", [True, False], ids=["urls by setting", "queues made by us"])
def test_a_fleet_over_sqs(
    known: bool, tmp_path: Path, cloud: LocalCloud, image: Path, advisories: Path
) -> None:
    pytest.importorskip("pycurl", reason="Celery's SQS transport needs pycurl: the extra `sqs`")
    for name in ("one", "two", "three"):
        cloud.add_instance(name, [image])
    sqs = boto3.client("sqs")
    prefix = ""
    settings = Settings(
        store_url=f"sqlite:///{tmp_path}/store.db",
        advisories=str(advisories),
        broker_url="sqs://",
        poll_seconds=0.1,
    )
    if known:
        # As an operator makes them beforehand, so that the workers need no right to do so.
        for name in queues(STAGES, [""], settings):
            url = sqs.create_queue(QueueName=f"ours-{name}")["QueueUrl"]
            prefix = url.removesuffix(name)
        settings = replace(settings, sqs_prefix=prefix)
    # kombu alone ends a worker at the first of these.
    cloud.plan = FaultPlan([Rule(Kind.UNAVAILABLE, "sqs:ReceiveMessage", nth=(3, 4, 9, 10))])
    with fleet_on(settings, tmp_path) as control:
        finish(control, started(control))
    assert cloud.calls("CreateSnapshots") == 3
    made = {url.rpartition("/")[2] for url in sqs.list_queues()["QueueUrls"]}
    wanted = {f"ours-{name}" if known else name for name in queues(STAGES, [""], settings)}
    assert wanted <= made if not known else wanted == made
    for url in sqs.list_queues()["QueueUrls"]:
        left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert left["ApproximateNumberOfMessages"] == "0", url
