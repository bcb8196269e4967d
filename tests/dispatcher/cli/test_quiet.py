"""`--quiet`: no progress and no notes; warnings, errors and results remain."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import click
import pytest

from dispatcher.cli import root
from sidelight.report import output
from sidelight.report.progress import live
from tests.fixtures.commands import ALL

if TYPE_CHECKING:
    from pathlib import Path

OWN = {"help", "man", "completion", "version"}


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("path", "command", "short"), ALL, ids=lambda item: str(item)[:40])
def test_every_command_that_works_takes_it(
    path: tuple[str, ...], command: click.Command, short: str
) -> None:
    del short
    names = [parameter.name for parameter in command.params]
    is_expected = not isinstance(command, click.Group) and path[0] not in OWN
    assert names.count("quiet") == is_expected


def test_notes_and_progress_are_left_out_and_complaints_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    output.set_quiet(quiet=True)
    try:
        with live("reading") as line:
            assert not line.is_shown
        line.done("read")
        output.note("a note")
        assert terminal.getvalue() == ""
        output.complain("a warning")
        assert terminal.getvalue() == "a warning\n"
    finally:
        output.set_quiet(quiet=False)
    output.note("a note")
    assert terminal.getvalue().endswith("a note\n")


def test_it_holds_for_its_command_alone_and_errors_remain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []
    monkeypatch.setattr(
        "dispatcher.cli.scan.check_writable", lambda _: seen.append(output.is_quiet())
    )
    absent = str(tmp_path / "absent.img")
    assert root.run(["inventory", absent, "-q"]) != 0
    assert "absent.img" in capsys.readouterr().err
    assert root.run(["--quiet", "inventory", absent]) != 0
    assert root.run(["inventory", absent]) != 0
    third = len(seen) // 3
    assert set(seen[: 2 * third]) == {True}
    assert set(seen[2 * third :]) == {False}
