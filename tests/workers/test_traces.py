"""A scan is traced from the dispatcher over the broker through all its stages."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.local_stack.embedded_stack import Embedded
from dispatcher.services.fleet_service import FleetService
from sidelight import tracing
from sidelight.errors import UsageError
from tests.fakes.trace_collectors import collecting
from tests.fixtures.redis_servers import wait_for
from tests.fixtures.worker_fleets import finish, impatient, started

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud

STAGES = {"stage take", "stage await", "stage inspect", "stage evaluate", "stage delete"}


@pytest.mark.services
@pytest.mark.images
@pytest.mark.slow
def test_a_scan_is_one_trace_across_dispatcher_broker_and_workers(
    tmp_path: Path,
    cloud: LocalCloud,
    image: Path,
    advisories: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    cloud.add_instance("one", [image])
    with collecting() as collector:
        settings = impatient(tmp_path, advisories).replaced(traces=collector.endpoint)
        tracing.enable(collector.endpoint, "sidelight-dispatcher")
        try:
            with Embedded(settings, directory=tmp_path / "logs", concurrency=1) as own:
                control = FleetService(own.settings)
                scans = started(control)
                finish(control, scans)
                control.close()
                wait_for(
                    lambda: {span.name for span in list(collector.spans)} >= STAGES, "the spans"
                )
        finally:
            tracing.enable("", "")
    (scan,) = scans
    spans = {span.id: span for span in collector.spans}
    (take,) = [span for span in spans.values() if span.name == "stage take"]
    assert take.attributes == {
        "sidelight.scan": scan.id, "sidelight.account": scan.account,
        "sidelight.region": scan.region, "sidelight.instance": scan.instance,
        "sidelight.stage": "take",
    }  # fmt: skip
    task = spans[take.parent]
    publish = spans[task.parent]
    assert (task.service, publish.service) == ("sidelight-worker", "sidelight-dispatcher")
    assert (task.name, publish.name) == ("task", "publish take")
    # What the first message began goes on from stage to stage.
    inspect = next(span for span in spans.values() if span.name == "stage inspect")
    assert inspect.trace == take.trace == publish.trace
    calls = {span.name: span for span in spans.values() if span.name.startswith(("ec2.", "ebs."))}
    assert spans[calls["ec2.CreateSnapshots"].parent].name == "stage take"
    assert calls["ebs.GetSnapshotBlock"].trace == take.trace
    assert calls["ebs.GetSnapshotBlock"].attributes["cloud.region"] == scan.region


def test_a_header_that_is_none_begins_a_trace_of_its_own() -> None:
    assert tracing.is_traceparent("00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    for wrong in (None, 1, "", "00-x", "00-" + "A" * 32 + "-" + "b" * 16 + "-01", "\x1b" * 55):
        assert not tracing.is_traceparent(wrong)
    assert tracing.headers() == {}


def test_an_endpoint_that_is_none_is_refused_at_start() -> None:
    with pytest.raises(UsageError, match="SIDELIGHT_TRACES"):
        tracing.enable("collector:4318", "x")
    assert tracing.headers() == {}


@pytest.mark.slow
def test_nothing_needs_opentelemetry_while_traces_are_off() -> None:
    program = (
        "import sys\n"
        "sys.modules['opentelemetry'] = None\n"  # not installed
        "import dispatcher.loop, dispatcher.services.fleet_service, workers.tasks\n"
        "from sidelight import tracing\n"
        "with tracing.span('x', {}, parent='00-' + 'a' * 32 + '-' + 'b' * 16 + '-01'): pass\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
