"""What KEDA scales by, asked as KEDA asks: a real Prometheus over `sidelight serve` and Redis."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sidelight.fleet.settings import Settings
from sidelight.fleet.stages.stage_runner import Next
from sidelight.model import Instance, State
from sidelight.store import Store
from tests.fixtures.http_servers import served
from tests.fixtures.redis_servers import client, free_port, server, wait_for
from tests.fixtures.scan_states import advance
from workers.app import make_app
from workers.tasks import publish

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.services, pytest.mark.long, pytest.mark.enable_socket]

CHART = Path(__file__).parents[2] / "deploy/helm/sidelight"
REGIONS = ("eu-west-1", "us-east-1")


def query(worker: dict[str, Any]) -> str:
    """A ScaledObject's query, as the chart's template makes it for one of `workers`."""
    template = (CHART / "templates/workers.yaml").read_text()
    found = re.search(r"^ +query: (.*)$", template, re.MULTILINE)
    assert found is not None
    text = re.sub(
        r"\{\{ with \.region \}\}(.*?)\{\{ end \}\}",
        lambda match: match[1].replace("{{ . }}", worker["region"]) if worker["region"] else "",
        found[1].replace("{{ .queues }}", worker["queues"]),
    )
    assert "{{" not in text
    return text


@contextmanager
def prometheus(directory: Path, target: str) -> Iterator[str]:
    """A server that scrapes one target; its URL."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is absent")
    directory.mkdir()
    jobs = [{"job_name": "sidelight", "static_configs": [{"targets": [target]}]}]
    settings = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
    (directory / "prometheus.yml").write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{free_port()}"
    command = [
        program,
        f"--config.file={directory}/prometheus.yml",
        f"--web.listen-address={address}",
        f"--storage.tsdb.path={directory}/data",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


def query_value(url: str, text: str) -> float | None:
    """The one value of an instant query, as KEDA's scaler takes it."""
    parameters = urllib.parse.urlencode({"query": text})
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?{parameters}") as answer:  # noqa: S310 - ours
            (one,) = json.load(answer)["data"]["result"]
    except (OSError, ValueError):
        return None
    return float(one["value"][1])


def hold(store: Store, instance: str, region: str) -> None:
    """A scan that a worker reads."""
    store.instances.discovered("1", region, [Instance(instance, "1", region, "running", ())])
    (scan,) = store.scans.create([("1", region, instance)], "here")
    for state in (State.SNAPSHOTTING, State.SNAPSHOTS_PENDING, State.READING):
        claimed = store.scans.claim(scan.id, [scan.state], 600)
        assert claimed is not None
        advance(store, claimed, state)
        scan = store.scans.get(scan.id)
    assert store.scans.claim(scan.id, [State.READING], 600) is not None


@pytest.mark.parametrize("regional", [False, True], ids=["one place", "regional queues"])
def test_the_charts_queries_count_what_waits_in_redis_and_what_workers_hold(
    regional: bool, tmp_path: Path
) -> None:
    port = free_port()
    settings = Settings.of(
        broker_url=f"redis://127.0.0.1:{port}/0",
        store_url=f"sqlite:///{tmp_path}/store.db",
        regional_queues=regional,
    )
    workers = yaml.safe_load((CHART / "values.yaml").read_text())["workers"]
    if regional:
        workers = [worker | {"region": region} for worker in workers for region in REGIONS]
    with (
        server(tmp_path / "redis", [f"port {port}"], probe=client(port)),
        Store(settings.store.url) as store,
    ):
        store.migrate()
        application = make_app(settings)
        for state, region, priority, many in (
            (State.READING, "eu-west-1", 6, 5), (State.READING, "eu-west-1", 0, 2),
            (State.EVALUATING, "us-east-1", 6, 1), (State.NEW, "us-east-1", 6, 4),
            (State.DELETING, "eu-west-1", 6, 3),
        ):  # fmt: skip
            for number in range(many):
                publish(application, settings, f"{state}{number}", Next(state, region, priority))
        application.close()
        hold(store, "i-1", "eu-west-1")
        hold(store, "i-2", "us-east-1")
        with (
            served(store, settings) as serving,
            prometheus(tmp_path / "prometheus", serving.url.split("/")[2]) as url,
        ):
            wait_for(lambda: query_value(url, "count(sidelight_queue_jobs)"), "a scrape")
            job_counts = {(w["name"], w["region"]): query_value(url, query(w)) for w in workers}
            # Its absence is zero, not an error that KEDA would scale by its fallback for.
            assert query_value(url, query(workers[0] | {"queues": "nobodys"})) == 0.0
            # Where the store is away nobody knows: no pool is scaled in under its scans.
            serving.context.store = Store(f"sqlite:///{tmp_path}/away/store.db")
            wait_for(lambda: query_value(url, "sum(up)") == 0.0, "a scrape that fails")
            assert [query_value(url, query(worker)) for worker in workers] == [None] * len(workers)
    if regional:
        assert job_counts == {
            ("waiting", "eu-west-1"): 3.0, ("waiting", "us-east-1"): 4.0,
            ("computing", "eu-west-1"): 5.0 + 2.0 + 1.0, ("computing", "us-east-1"): 1.0 + 1.0,
        }  # fmt: skip
    else:
        assert job_counts == {("waiting", ""): 7.0, ("computing", ""): 8.0 + 2.0}
