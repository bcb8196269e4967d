"""`sidelight fleet status --watch`: a live screen on a terminal, a line a change elsewhere."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dispatcher.cli.fleet import report
from sidelight.model import State
from sidelight.report.output import console_for, is_interactive, say, wait_while_read
from sidelight.report.tables import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from sidelight.model import Scan
    from sidelight.store import Store

BETWEEN_LOOKS: Final = 2.0  # seconds
MOST_ENDED: Final = 20  # scans that ended meanwhile and are still shown
_STATES: Final = tuple(State)
wait = wait_while_read


class ScanWatch:
    """The live scans of a fleet, and those that ended since the watch began."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._live: dict[str, Scan] = {}
        self._ended: list[Scan] = []

    def look(self) -> list[tuple[Scan, str]]:
        """Read the scans; return those whose state changed, with the state before ("": new)."""
        live = {scan.id: scan for scan in self._store.scans.select(live=True)}
        gone = [number for number in self._live if number not in live]
        ended = self._store.scans.select(gone) if gone else []
        changes = [
            (scan, before.state.value if (before := self._live.get(scan.id)) else "")
            for scan in (*ended, *live.values())
            if scan.id not in self._live or scan.state != self._live[scan.id].state
        ]
        self._live = live
        self._ended = [*self._ended, *ended][-MOST_ENDED:]
        return changes

    @property
    def scans(self) -> Sequence[Scan]:
        """Those that ended meanwhile, newest first, then live ones, the most advanced first."""
        ordered = sorted(self._live.values(), key=lambda scan: -_STATES.index(scan.state))
        return [*reversed(self._ended), *ordered]

    @property
    def live_scans(self) -> Sequence[Scan]:
        """The scans that have not ended."""
        return list(self._live.values())


def watch(store: Store) -> None:
    """Show the scans until interrupted."""
    watched = ScanWatch(store)
    if is_interactive(sys.stdout):
        _show_screen(store, watched)
    while True:
        for scan, before in watched.look():
            say(change_line(scan, before), flush=False)
        sys.stdout.flush()
        wait(BETWEEN_LOOKS)


def change_line(scan: Scan, before: str) -> str:
    """Return `2026-01-31T12:00:00+00:00 i-1 READING -> DONE`, and a failure's reason."""
    states = f"{before} -> {scan.state.value}" if before else scan.state.value
    reason = scan.failure or scan.last_error
    at = scan.entered_at.isoformat(timespec="seconds")
    return f"{at} {scan.instance} {scan.id[:8]} {states}{f': {reason}' if reason else ''}"


def _show_screen(store: Store, watched: ScanWatch) -> None:
    from rich.live import Live

    console = console_for(sys.stdout)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            watched.look()
            text = screen(store, watched, console.height, datetime.now(UTC))
            live.update(text, refresh=True)
            wait(BETWEEN_LOOKS)


class _Terminal(io.StringIO):
    """Collects what a terminal of the same size would show."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def screen(store: Store, watched: ScanWatch, height: int, now: datetime) -> Text:
    """Return what fits on a screen of `height` lines: the sum, then the scans."""
    from rich.text import Text

    scans = watched.scans[: 2 * height]  # a scan takes a line at least
    ids = [scan.id for scan in scans]
    terminal = _Terminal()
    shown = Report(terminal)
    shown.line(f"{now:%H:%M:%S} UTC, Ctrl-C ends", style="dim")
    shown.line(report.progress_line(watched.live_scans), style="bold")
    for line in report.unattended_lines(store.unclaimed_scans()):
        shown.line(line, style="yellow")
    if scans:
        costs, sources = store.costs.of(ids), store.scan_sources.of(ids)
        shown.table(report.cost_table(scans, costs, report.scan_names(store, scans), sources))
    lines = terminal.getvalue().splitlines()
    if len(lines) > height:
        lines = [*lines[: height - 1], f"… {len(lines) - height + 1} more lines"]
    return Text.from_ansi("\n".join(lines), no_wrap=True, overflow="ellipsis")
