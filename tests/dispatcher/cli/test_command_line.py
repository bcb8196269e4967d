"""What holds for every command: cheap help, written short texts, one line for every error."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from inspect import isclass
from pathlib import Path

import botocore.exceptions
import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from dispatcher.cli import extras, finding_options, interrupts, root, scan
from dispatcher.cli.exit_status import DONE, FAILED, FINDINGS, PARTIAL, WRONG_USAGE
from dispatcher.cli.failures import explain
from dispatcher.cli.fleet import commands as fleet
from dispatcher.cli.fleet import finding_commands, report
from sidelight.advisories import AdvisoryDatabase
from sidelight.blocks.cache import DEFAULT_BUDGET
from sidelight.errors import FormatError, StoreError, UsageError
from sidelight.fleet.settings import Settings
from sidelight.model import FindingStatus, Severity, Status
from sidelight.store import COST_KEYS, LISTING_ORDERS
from tests.fixtures.commands import ALL

ROOT = Path(__file__).resolve().parents[3]
HEAVY = {"alembic", "boto3", "botocore", "celery", "kombu", "numpy", "redis", "rich", "sqlalchemy",
         "yaml", "urllib3", "zipfile"}  # fmt: skip


@pytest.mark.parametrize(("path", "command", "short"), ALL, ids=lambda item: str(item)[:40])
def test_the_written_short_text_is_the_commands_own(
    path: tuple[str, ...], command: click.Command, short: str
) -> None:
    assert command.get_short_help_str(1000).rstrip(".") == short
    assert command.name == path[-1]


@pytest.mark.parametrize(("path", "command", "short"), ALL, ids=lambda item: str(item)[:40])
def test_every_option_has_a_help_text_and_none_is_cut(
    path: tuple[str, ...], command: click.Command, short: str
) -> None:
    del path, short
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.opts} of {command.name}"
    shown = CliRunner().invoke(command, ["--help"]).output
    repeatable = re.compile(
        r"(TARGET|SOURCE|FILES|NAMES|\[ARGS\]|\[ACCOUNT\]|\[COMMAND\]|\[FILE\]|KEY)\.\.\."
    )
    assert "..." not in repeatable.sub("", shown)


def loaded(*arguments: str, **environment: str) -> set[str]:
    """The top-level modules that a command imports."""
    code = (
        "import sys, json; from dispatcher.cli.root import run; status = run(sys.argv[1:]);"
        "print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules} | set(sys.modules))),"
        "file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("scna",), *((*path, "--help") for path, _, _ in ALL)],
    ids=" ".join,
)
def test_help_imports_no_library(arguments: tuple[str, ...]) -> None:
    modules = loaded(*arguments)
    assert not modules & HEAVY
    # The model's many dataclasses alone take a third of the time.
    assert "sidelight.model" not in modules


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    ["sidelight ", "sidelight fleet ", *(f"sidelight {' '.join(path)} --" for path, _, _ in ALL)],
)
def test_completion_imports_no_library(words: str) -> None:
    modules = loaded(
        _SIDELIGHT_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )
    assert not modules & HEAVY


def test_choices_that_are_written_for_cheap_help_are_those_of_the_code() -> None:
    assert fleet.COVERAGE_ORDERS == report.COVERAGE_ORDERS
    assert fleet.BY == COST_KEYS
    assert tuple(Severity) == finding_options.SEVERITIES
    assert scan.EXIT.keys() == set(Status)
    assert Settings().reading.cache_mib == DEFAULT_BUDGET >> 20
    assert tuple(status.value for status in FindingStatus) == finding_commands.STATUSES
    assert LISTING_ORDERS == finding_commands.ORDERS


def test_completion_offers_the_commands_with_their_texts() -> None:
    complete = ShellComplete(root.sidelight, {}, "sidelight", "_SIDELIGHT_COMPLETE")
    found = {item.value: item.help for item in complete.get_completions(["fleet"], "s")}
    assert list(found) == ["scan", "sbom", "status", "suppress", "sweep"]
    assert all(found.values())


@pytest.mark.parametrize(
    ("arguments", "near"),
    [(("scna",), "scan"), (("fleet", "coverge"), "coverage"), (("advisories", "bild"), "build")],
)
def test_a_misspelt_command_is_wrong_usage_with_the_nearest_name(
    arguments: tuple[str, ...], near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert root.run(list(arguments)) == WRONG_USAGE
    assert f"Did you mean {near!r}?" in capsys.readouterr().err


BOTOCORE = [
    kind
    for kind in vars(botocore.exceptions).values()
    if isclass(kind) and issubclass(kind, botocore.exceptions.BotoCoreError)
]


class Filled(dict[str, str]):
    """Every name that a message asks for."""

    def __missing__(self, name: str) -> str:
        return name


@pytest.mark.parametrize("kind", BOTOCORE, ids=lambda kind: kind.__name__)
def test_no_error_of_botocore_is_an_internal_one(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, getattr(kind, "fmt", "").format_map(Filled()))
    line, status = explain(error)
    assert "internal error" not in line
    assert "\n" not in line
    assert status in (WRONG_USAGE, FAILED)


@pytest.mark.parametrize(
    ("error", "words", "status"),
    [
        (botocore.exceptions.ProfileNotFound(profile="nope"), "nope", WRONG_USAGE),
        (botocore.exceptions.ConfigParseError(path="/c"), "/c", WRONG_USAGE),
        (botocore.exceptions.SSOTokenLoadError(error_msg="x"), "aws sso login", FAILED),
        (botocore.exceptions.NoCredentialsError(), "AWS_PROFILE", FAILED),
        (
            botocore.exceptions.EndpointConnectionError(
                endpoint_url="https://ec2.mars-north-9.amazonaws.com/"
            ),
            "is there a region 'mars-north-9'?",
            FAILED,
        ),
        (UsageError("wrong", where="here"), "here: wrong", WRONG_USAGE),
        (StoreError("gone"), "gone", FAILED),
        (FormatError("damaged\nin lines"), "damaged in lines", FAILED),
        (OSError(errno.ENOSPC, "No space left on device", "/f"), "/f: No space left", FAILED),
        (UnicodeEncodeError("ascii", "é", 0, 1, "no"), "SIDELIGHT_DEBUG", FAILED),
        (ModuleNotFoundError("No module named 'moto'", name="moto"), "[local]", WRONG_USAGE),
        (MemoryError(), "out of memory", FAILED),
        (KeyError("x\x1b[2J"), "internal error: KeyError", FAILED),
    ],
)
def test_an_error_is_one_line_and_a_status(error: Exception, words: str, status: int) -> None:
    line, code = explain(error)
    assert words in line
    assert code == status
    assert line.isprintable()


@pytest.mark.parametrize("module", sorted(extras.EXTRAS))
def test_a_missing_module_behind_an_error_names_its_extra(module: str) -> None:
    try:
        try:
            raise ModuleNotFoundError(f"No module named '{module}.x'", name=f"{module}.x")
        except ImportError as error:
            raise UsageError("cannot be used") from error
    except UsageError as error:
        line, status = explain(error)
    assert f"[{extras.EXTRAS[module]}]" in line
    assert status == WRONG_USAGE


def test_extras_are_those_of_the_project() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for extra in extras.EXTRAS.values():
        assert f"\n{extra} = [" in text


def test_a_traceback_is_shown_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIDELIGHT_DEBUG", "1")
    assert root.run(["cat", "/nonexistent.img", "/x"]) == FAILED
    assert "Traceback" in capsys.readouterr().err


def test_a_result_wins_over_a_closed_pipe_only_where_a_gate_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for status, expected in ((FINDINGS, FINDINGS), (PARTIAL, DONE), (DONE, DONE)):
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as closed:
            monkeypatch.setattr(sys, "stdout", closed)
            closed.write("x")
            assert root._flushed(status, None) == expected
            monkeypatch.undo()


def run_closed(redirection: str, *arguments: str) -> tuple[int, str]:
    """A command's status and standard error, with descriptors redirected as a shell does."""
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'"$@" {redirection}',
            "-",
            sys.executable,
            "-m",
            "dispatcher.cli",
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- 2>&-"])
def test_a_closed_descriptor_is_no_internal_error(closed: str, tmp_path: Path) -> None:
    (tmp_path / "empty.img").touch()
    status, errors = run_closed(closed, "inventory", str(tmp_path / "empty.img"))
    assert status == FAILED
    assert "internal error" not in errors


@pytest.mark.slow
def test_all_descriptors_closed_is_not_status_1_which_means_findings() -> None:
    assert run_closed("<&- >&- 2>&-", "cat", "/nonexistent.img", "/x")[0] == FAILED


@pytest.mark.slow
@pytest.mark.parametrize("refusing", [">&-", "> /dev/full"])
@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("advisories", "fetch", "--list")], ids=str
)
def test_an_output_that_cannot_be_written_is_one_line_and_status_4(
    arguments: tuple[str, ...], refusing: str
) -> None:
    status, errors = run_closed(refusing, *arguments)
    assert status == FAILED
    assert errors.startswith("sidelight: ")
    assert errors.count("\n") == 1


@pytest.mark.slow
def test_a_command_that_writes_to_a_file_works_with_standard_output_closed(tmp_path: Path) -> None:
    """And what it opens does not become its standard output."""
    written = tmp_path / "a.db"
    feeds = ROOT / "demo" / "advisories"
    status, errors = run_closed(
        ">&- 2>&-", "advisories", "build", "--out", str(written), str(feeds)
    )
    assert status == FAILED, errors  # for the line that could not be printed
    with AdvisoryDatabase.open(written) as database:
        database.verify()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_the_first_signal_ends_a_command_in_order_and_the_second_at_once(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, status: int
) -> None:
    ended: list[int] = []
    lines: list[str] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    before = {each: signal.getsignal(each) for each in ENDING}
    for each in ENDING:
        signal.signal(each, signal.SIG_DFL)
    forget = interrupts.at_once(lambda: lines.append("last words"))
    try:
        interrupts.arm()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert not ended
        assert interrupts.status() == status
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        forget()
    assert ended == [status]
    assert lines == ["last words"]


def test_what_was_ignored_at_the_start_stays_ignored() -> None:
    """SIGHUP under `nohup`, SIGINT in a shell's background."""
    before = {each: signal.getsignal(each) for each in ENDING}
    try:
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)
        interrupts.arm()
        assert {signal.getsignal(each) for each in ENDING} == {signal.SIG_IGN}
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
READING = [
    ("fleet", "findings"), ("fleet", "coverage"), ("fleet", "costs"), ("fleet", "status"),
    ("fleet", "events"), ("fleet", "prune"), ("fleet", "sweep"), ("fleet", "suppress", "list"),
    ("fleet", "suppress", "remove", "x"), ("serve", "--port", "0"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_reading_a_store_that_does_not_exist_fails_and_creates_nothing(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIDELIGHT_STORE_URL", raising=False)
    assert root.run(list(arguments)) == FAILED
    assert "sqlite:///sidelight.db: there is no store here" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def ended_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends before its first request."""
    from dispatcher.api import server

    monkeypatch.setattr(server.ApiServer, "serve_forever", lambda _server: None)


@pytest.mark.services
@pytest.mark.usefixtures("ended_server")
def test_serving_a_named_store_that_does_not_exist_creates_it_and_says_that_it_is_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/named.db"
    assert root.run(["serve", "--port", "0", "--store", url]) == DONE
    captured = capsys.readouterr()
    assert captured.out.startswith("http://127.0.0.1:")
    assert f"{url} has no instance yet" in captured.err
    assert (tmp_path / "named.db").exists()


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0 but not really"])
def test_a_file_that_is_no_store_is_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(content)
    assert root.run(["fleet", "findings", "--store", f"sqlite:///{other}"]) == FAILED
    assert str(other) in capsys.readouterr().err


def test_settings_of_workers_do_not_matter_to_a_command_that_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sidelight.store import Store

    url = f"sqlite:///{tmp_path}/s.db"
    with Store(url) as store:
        store.migrate()
    monkeypatch.setenv("SIDELIGHT_BROKER_URL", "sqs://")
    monkeypatch.setenv("SIDELIGHT_VISIBILITY_SECONDS", "10")
    for command in ("findings", "coverage", "status", "costs", "events", "prune", "suppress list"):
        assert root.run(["fleet", *command.split(), "--store", url]) == DONE
    assert "has no instance yet" in capsys.readouterr().err
