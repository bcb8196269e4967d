"""The demo as its users run it: to the end, held, and interrupted anywhere."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import demonstration
import pytest

from tests.fixtures.demos import Demo, remaining

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
services = [pytest.mark.services, pytest.mark.slow, pytest.mark.enable_socket]


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    started: list[Demo] = []
    yield started
    for demo in started:
        demo.close()


def start(demos: list[Demo], directory: Path, *options: str) -> Demo:
    demos.append(Demo(directory, *options))
    return demos[-1]


def check_another_shell(environment: Path) -> None:
    """What a user can do beside a demo that is held, by its file of variables alone."""
    script = f". {environment}; sidelight fleet findings --format json; echo $DEMO_CONSOLE_URL"
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    document, _, address = done.stdout.strip().rpartition("\n")
    assert len(demonstration.rows_of(document)) > 100
    with urllib.request.urlopen(f"{address}metrics", timeout=30) as answer:  # noqa: S310 - loopback
        assert b"sidelight" in answer.read()
    lines = environment.read_text()
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                 "AWS_REGION", "SIDELIGHT_STORE_URL", "SIDELIGHT_BROKER_URL",
                 "AWS_ENDPOINT_URL_INSPECTOR2", "SIDELIGHT_CONSOLE_URL"):  # fmt: skip
        assert f"export {name}=" in lines
    check_aws_clients(environment)


def check_aws_clients(environment: Path) -> None:
    """The file's key is an administrator of the API, and of the local cloud's account."""
    program = (
        "import boto3; from botocore.exceptions import ClientError\n"
        "print(boto3.client('sts').get_caller_identity()['Account'])\n"
        "try: print(len(boto3.client('inspector2').list_findings()['findings']))\n"
        "except ClientError as error: print(error.response['Error']['Message'])\n"
        "print(len(boto3.client('ec2').describe_instances()['Reservations']))\n"
    )
    script = f". {environment}; {sys.executable} -c '{program.replace(chr(39), chr(34))}'"
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    account, answer, machines = done.stdout.splitlines()
    assert account == "123456789012"
    assert int(answer) > 0
    assert int(machines) >= 4


def check_tutorial(directory: Path) -> None:
    """Every command of the tutorial works beside the demo that is held in this directory."""
    page = (ROOT / "docs" / "tutorial.md").read_text()
    first, *blocks = re.findall(r"```\n(.*?)```", page, re.DOTALL)
    assert first == "make demo HOLD=1\n"
    done = subprocess.run(
        ["bash", "-eu"], input="".join(blocks), cwd=directory, text=True, check=False,
        env={"PATH": os.environ["PATH"]}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads((directory / "findings.json").read_text())) > 100
    assert '"scan-status": "INITIAL_SCAN_COMPLETE"' in done.stdout.replace('":"', '": "')


def read_terminal(terminal: int, text: bytes | None = None) -> bytes:
    """What a terminal shows, up to the text or to the end."""
    output = b""
    while text is None or text not in output:
        try:
            output += os.read(terminal, 4096)
        except OSError:  # EIO: nobody has the other end open
            assert text is None, output.decode()
            break
    return output


class TestRunning:
    """Real runs."""

    pytestmark = services

    def test_it_runs_to_its_end_and_leaves_no_snapshot_and_no_process(
        self, demos: list[Demo], tmp_path: Path
    ) -> None:
        demo = start(demos, tmp_path / "demo")
        assert demo.end() == 0, demo.output
        assert "asked by boto3: 0 snapshots" in demo.output
        assert "Traceback" not in demo.output
        assert "CVE-2021-44906" in demo.output
        logs = "".join(log.read_text() for log in (tmp_path / "demo" / "logs").iterdir())
        assert "a message is dropped" not in logs
        assert demo.remaining() == []

    def test_flower_lists_every_queue_and_has_its_address_before_the_scan(
        self, demos: list[Demo], tmp_path: Path
    ) -> None:
        demo = start(demos, tmp_path / "demo", "--flower")
        demo.read_until("Flower: http")
        assert "fleet scan" not in demo.output
        address = demo.output.rpartition("Flower: ")[2].strip()
        with urllib.request.urlopen(f"{address}broker", timeout=30) as answer:  # noqa: S310 - loopback
            page = answer.read().decode()
        for queue in ("take", "await", "inspect", "evaluate", "delete"):
            assert f">{queue}<" in page.replace(" ", "").replace("\n", "")
        assert demo.end(signal.SIGINT) in {0, 130}
        assert "Traceback" not in demo.output
        assert demo.remaining() == []

    def test_held_under_make_in_a_terminal_it_serves_another_shell_and_the_tutorial_until_ctrl_c(
        self, tmp_path: Path
    ) -> None:
        mark = f"DEMO_MARK={uuid.uuid4().hex}"
        makefile = tmp_path / "Makefile"
        makefile.write_text(
            f".PHONY: demo\nexport {mark}\ndemo:\n"
            f"\t@exec {sys.executable} demo/run.py --hold --directory {tmp_path / '.demo'}\n"
        )
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(ROOT)
            os.execvp("make", ["make", "-f", str(makefile), "demo"])  # noqa: S606 - in a terminal
        output = read_terminal(terminal, b"Everything runs until Ctrl-C")
        environment = tmp_path / ".demo" / "env"
        check_another_shell(environment)
        check_tutorial(tmp_path)
        os.write(terminal, b"\x03")
        output += read_terminal(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, output.decode()
        os.close(terminal)
        assert b"Traceback" not in output
        assert b"***" not in output, "make reports no error"
        assert remaining(mark) == []
        assert not environment.exists(), "it names what has ended"

    @pytest.mark.parametrize(
        "text", ["1. Four", "$ sidelight advisories", "3. A local", "$ sidelight fleet scan"]
    )
    def test_ctrl_c_ends_it_anywhere_without_a_traceback(
        self, demos: list[Demo], tmp_path: Path, text: str
    ) -> None:
        demo = start(demos, tmp_path / "demo")
        demo.read_until(text)
        assert demo.end(signal.SIGINT) == 130, demo.output
        assert "Traceback" not in demo.output
        assert "interrupted; nothing is left running" in demo.output
        assert demo.remaining() == []

    def test_a_second_one_is_refused(self, demos: list[Demo], tmp_path: Path) -> None:
        first = start(demos, tmp_path / "demo")
        first.read_until("1. Four")
        second = start(demos, tmp_path / "demo")
        assert second.end() == 1
        assert "another demo is running" in second.output
        assert first.end(signal.SIGINT) == 130


def test_the_users_own_settings_do_not_reach_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ.update(
        AWS_PROFILE="mine", AWS_ACCESS_KEY_ID="AKIA", SIDELIGHT_STORE_URL="postgresql://mine",
        HTTP_PROXY="http://proxy.example", PATH="/bin",
    )  # fmt: skip
    demonstration.isolate()
    left = {name for name in os.environ if name.startswith(("AWS_", "SIDELIGHT_"))}
    assert left == {
        "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED"
    }  # fmt: skip
    assert os.environ["NO_PROXY"] == "127.0.0.1"
    assert os.environ["PATH"] == "/bin"


def test_the_environments_file_is_read_by_a_shell(tmp_path: Path) -> None:
    path = tmp_path / "env"
    hostile = "it's $(a) `value`"
    demonstration.write_environment(
        path, {"AWS_REGION": hostile, "HOME": "/root"}, {"CONSOLE_URL": "http://x/"}
    )
    script = f'. {path}; printf "%s\n" "$AWS_REGION" "$DEMO_CONSOLE_URL" "$HOME"'
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": "/bin"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [hostile, "http://x/", ""]


def test_the_environments_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("an earlier demo's")
    path.chmod(0o644)
    demonstration.write_environment(path, {"AWS_SECRET_ACCESS_KEY": "secret"}, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_findings_come_with_or_without_an_object_around_them() -> None:
    rows = [{"severity": "HIGH"}]
    assert demonstration.rows_of(json.dumps(rows)) == rows
    assert demonstration.rows_of(json.dumps({"findings": rows})) == rows
