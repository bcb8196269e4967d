"""Every format of feed with every fault, through the command: it ends with 4 and names the place.

What was built before stays. (`test_bad_input` has compressions, archives and limits.)
"""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.root import main
from sidelight.advisories import build
from sidelight.advisories.feeds import formats, read
from tests.advisories.feeds.faulty_feeds import FEEDS, json_bytes
from tests.fixtures.feed_records import OSV

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType


CASES = [(name, what) for name, feed in FEEDS.items() for what in ("cut", *feed.faults)]


# The line of a YAML text that has a name again.
LINES = {("RubySec", "twice"): "line 4", ("FriendsOfPHP", "twice"): "line 5",
         ("FriendsOfPHP, archive", "branch twice"): "line 5",
         ("RubySec, archive", "fields twice"): "line 6"}  # fmt: skip


@pytest.fixture
def command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path], tuple[object, str]]:
    """Build beside an older database: the exit status, and what was said to stderr."""
    before = tmp_path / "before" / "osv.json"
    before.parent.mkdir()
    before.write_bytes(json_bytes(OSV))
    database = tmp_path / "db"
    build([before], database)
    kept = database.read_bytes()

    def run(feed: Path) -> tuple[object, str]:
        argv = ["x", "advisories", "build", "--out", str(database), str(feed)]
        monkeypatch.setattr("sys.argv", argv)
        status: object = 0
        try:
            main()
        except SystemExit as ended:
            status = ended.code or 0
        assert status == 0 or database.read_bytes() == kept
        assert not list(tmp_path.glob("*.part"))
        return status, capsys.readouterr().err.replace("\n", "")

    return run


@pytest.mark.parametrize("name", FEEDS)
def test_the_whole_feed_is_taken(
    tmp_path: Path, name: str, command: Callable[[Path], tuple[object, str]]
) -> None:
    feed = FEEDS[name]
    (tmp_path / feed.name).write_bytes(feed.whole)
    assert command(tmp_path / feed.name)[0] == 0


@pytest.mark.parametrize(("name", "what"), CASES)
def test_a_fault_ends_the_build_and_is_named_with_its_place(
    tmp_path: Path, name: str, what: str, command: Callable[[Path], tuple[object, str]]
) -> None:
    feed = FEEDS[name]
    (tmp_path / feed.name).write_bytes(feed.cut if what == "cut" else feed.faults[what])
    status, output = command(tmp_path / feed.name)
    assert status == 4
    assert str(tmp_path / feed.name) in output
    if what == "contradiction" and feed.name.endswith((".jsonl", ".xml")):
        assert "record 2" in output
    if feed.name.endswith((".tar", ".zip")) and what != "cut":
        assert ": 1.y" in output
    assert LINES.get((name, what), "") in output


def test_every_format_has_its_row(tmp_path: Path) -> None:
    """A module that parses a feed is one that the matrix's whole feeds are parsed by."""
    modules = [import_module(f"{formats.__name__}.{item.name}")
               for item in iter_modules(formats.__path__)]  # fmt: skip
    entered: set[str] = set()

    def note(frame: FrameType, _event: str, _what: object) -> None:
        if frame.f_code.co_name.startswith("parse"):
            entered.add(frame.f_globals["__name__"])

    sys.setprofile(note)
    try:
        for feed in FEEDS.values():
            (tmp_path / feed.name).write_bytes(feed.whole)
            list(read.read(tmp_path / feed.name))
    finally:
        sys.setprofile(None)
    assert {module.__name__ for module in modules if hasattr(module, "parse")} <= entered
