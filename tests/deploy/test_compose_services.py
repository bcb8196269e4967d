"""compose.yaml: who has which secret, and the service that keeps the advisories fresh."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.fixtures.iam_policies import DEPLOY
from tests.fixtures.publishers import osv_zip
from tests.fixtures.redis_servers import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.publisher import Publisher

SERVICES: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
OWN_SERVICES = sorted(SERVICES.keys() - {"redis", "postgres"})
CREDENTIALS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SIDELIGHT_EXTERNAL_ID",
               "SIDELIGHT_WEBHOOK_SECRET", "SIDELIGHT_MESSAGE_KEYS"}  # fmt: skip
ADDRESSES = {"SIDELIGHT_STORE_URL", "SIDELIGHT_BROKER_URL", "SIDELIGHT_BUDGETS_URL"}


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_only_what_calls_aws_has_credentials_and_only_one_service_writes_advisories(
    name: str,
) -> None:
    variables = set(SERVICES[name]["environment"])
    calls_aws = name in {"dispatcher", "worker-waiting", "worker-computing"}
    assert bool(CREDENTIALS & variables) == calls_aws
    assert bool(ADDRESSES & variables) == (name != "advisories")
    assert ("SIDELIGHT_ACCESS_SEAL" in variables) == (name == "metrics")
    (volume,) = SERVICES[name]["volumes"]
    assert volume.endswith(":ro") == (name != "advisories")


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_every_service_of_the_image_is_sealed(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


@pytest.mark.services
@pytest.mark.slow
def test_the_service_of_advisories_makes_the_database_and_ends_when_it_has_to(
    tmp_path: Path, publisher: Publisher
) -> None:
    publisher.publish("/npm/all.zip", osv_zip(1, 2))
    service = SERVICES["advisories"]
    tools = tmp_path / "bin"
    tools.mkdir()
    program = tools / "sidelight"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m dispatcher.cli "$@"\n')
    program.chmod(0o755)
    database = tmp_path / "advisories.db"
    environment = os.environ | {
        "PATH": f"{tools}:{os.environ['PATH']}", "SIDELIGHT_ADVISORIES": str(database),
        "SIDELIGHT_MIRRORS": f"osv-npm={publisher.base}", "SIDELIGHT_ADVISORY_SOURCES": "osv-npm",
    }  # fmt: skip
    # Compose writes `$` for `$$`.
    command = [part.replace("$$", "$") for part in (*service["entrypoint"], *service["command"])]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        wait_for(lambda: database.with_name("advisories.db.feeds.json").exists(), "an update", 100)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in {0, 128 + signal.SIGTERM}
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
