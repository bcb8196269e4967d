"""`sidelight fleet status --watch`: changes as lines, and a screen that fits."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.fleet import watching
from dispatcher.cli.fleet.watching import ScanWatch, change_line, screen
from dispatcher.cli.root import run
from sidelight.model import State
from sidelight.store import Store
from tests.fixtures.scan_states import advance
from tests.fixtures.stored_findings import ACCOUNT, REGION, claimed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store in the current directory, with two scans."""
    monkeypatch.chdir(tmp_path)
    with Store("sqlite:///sidelight.db") as opened:
        opened.migrate()
        opened.scans.create([(ACCOUNT, REGION, name) for name in ("i-1", "i-2")], "here")
        yield opened


def to(store: Store, instance: str, state: State) -> None:
    (scan,) = [one for one in store.scans.select() if one.instance == instance]
    advance(store, claimed(store, scan.id), state)


def changes(watched: ScanWatch) -> list[tuple[str, str, str]]:
    return sorted((scan.instance, before, scan.state.value) for scan, before in watched.look())


def test_each_change_of_a_state_is_reported_once(store: Store) -> None:
    watched = ScanWatch(store)
    assert changes(watched) == [("i-1", "", "NEW"), ("i-2", "", "NEW")]
    assert changes(watched) == []
    to(store, "i-1", State.READING)
    assert changes(watched) == [("i-1", "NEW", "READING")]
    to(store, "i-1", State.DONE)
    assert changes(watched) == [("i-1", "READING", "DONE")]
    assert changes(watched) == []
    assert [scan.instance for scan in watched.scans] == ["i-1", "i-2"]
    assert [scan.instance for scan in watched.live_scans] == ["i-2"]


def test_in_a_pipe_a_change_is_a_line(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = 0

    def step(seconds: float) -> None:
        nonlocal looks
        assert seconds > 0
        looks += 1
        if looks == 1:
            to(store, "i-2", State.READING)
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(watching, "wait", step)
    assert run(["fleet", "status", "--watch"]) == 130
    lines = [line.split(" ", 3) for line in capsys.readouterr().out.splitlines()]
    assert [(line[1], line[3]) for line in lines[2:]] == [("i-2", "NEW -> READING")]
    assert sorted((line[1], line[3]) for line in lines[:2]) == [("i-1", "NEW"), ("i-2", "NEW")]
    assert all(datetime.fromisoformat(line[0]) for line in lines)


def test_a_failure_s_reason_is_on_its_line(store: Store) -> None:
    watched = ScanWatch(store)
    watched.look()
    scan = watched.live_scans[0]
    line = change_line(scan, "READING")
    assert line.endswith("READING -> NEW")


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("height", [8, 24])
def test_a_screen_has_no_more_lines_than_the_terminal(
    store: Store, monkeypatch: pytest.MonkeyPatch, width: int, height: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    names = [(ACCOUNT, REGION, f"i-{number:017x}") for number in range(40)]
    store.scans.create(names, "here")
    to(store, "i-2", State.READING)
    watched = ScanWatch(store)
    watched.look()
    lines = screen(store, watched, height, NOW).plain.splitlines()
    assert len(lines) == height
    assert lines[0] == "12:00:00 UTC, Ctrl-C ends"
    assert lines[1].startswith("42 scans: 41 NEW, 1 READING")
    assert "i-2" in lines[4]
    assert lines[-1].endswith("more lines")
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("options", [["--format", "json"], ["--all"]])
def test_what_a_watch_cannot_show_is_refused(
    store: Store, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    del store
    assert run(["fleet", "status", "--watch", *options]) == 2
    assert "--watch: shows live scans" in capsys.readouterr().err


def test_the_watch_ends_when_its_reader_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        watching.wait(0.01)  # somebody reads
        os.close(read)
        with pytest.raises(BrokenPipeError):
            watching.wait(86_400)
