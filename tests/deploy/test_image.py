"""deploy/Dockerfile built without an engine, on a Debian of mmdebstrap's, and its commands run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.services,
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="buildah's chroot isolation is run as root"),
]

ROOT = Path(__file__).parents[2]
# What the Dockerfile is FROM; here a Debian whose own Python is of that version.
BASE, SUITE = "docker.io/library/python:3.13-slim-bookworm", "trixie"


def completed(*command: str, **options: str | None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0 or options.get("may") == "fail", done.stdout[-2000:] + done.stderr
    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Run a command in a container of the image; what it wrote."""
    for program in ("buildah", "mmdebstrap"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is absent")
    home = tmp_path_factory.mktemp("image")
    buildah = ("buildah", "--storage-driver", "vfs", "--root", f"{home}/root",
               "--runroot", f"{home}/run")  # fmt: skip
    include = "--include=python3,python3-venv,python-is-python3,ca-certificates"
    completed("mmdebstrap", "--variant=minbase", include, SUITE, f"{home}/base.tar")
    (home / "Base").write_text("FROM scratch\nADD base.tar /\n")
    build = (*buildah, "bud", "--isolation", "chroot")
    try:
        completed(*build, "-f", f"{home}/Base", "-t", BASE, str(home))
        completed(*build, "--network", "host", "--pull-never",
                  "-v", "/etc/ssl/certs:/etc/ssl/certs:ro",
                  "-f", "deploy/Dockerfile", "-t", "sidelight", ".")  # fmt: skip
        container = completed(
            *buildah, "from", "--pull-never", "localhost/sidelight"
        ).stdout.strip()

        def call(*command: str) -> str:
            return completed(
                *buildah, "run", "--isolation", "chroot", container, "--", *command
            ).stdout

        yield call
        configuration = completed(*buildah, "inspect", container).stdout
        assert '"sidelight"' in configuration
    finally:
        completed(*buildah, "rm", "--all", may="fail")
        completed(*buildah, "rmi", "--all", "--force", may="fail")


def test_the_image_is_built_and_its_commands_are_there(run: Callable[..., str]) -> None:
    assert run("id", "-u").strip() == "10001"
    assert "version" in run("sidelight", "--version")
    for kind in ("waiting", "computing"):
        assert "workers.celery_main worker" in run("sidelight", "fleet", "worker", kind, "--print")
    assert "monitoring" in run("celery", "-A", "workers.monitoring", "flower", "--help")
    assert "--health" in run("sidelight", "fleet", "run", "--help")
    assert "--host" in run("sidelight", "serve", "--help")
    run("python", "-c", "import psycopg, prometheus_client")


def test_the_image_has_neither_sources_nor_installers_and_nothing_to_write_to(
    run: Callable[..., str],
) -> None:
    look = "command -v pip; ls -d /src /wheel /opt/build; touch /opt/sidelight/x && echo written"
    assert run("sh", "-c", f"({look}) 2>/dev/null; true") == ""
