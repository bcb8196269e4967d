"""Which processes a process has started, by /proc."""

from __future__ import annotations

from pathlib import Path


def descendants(pid: int) -> dict[int, str]:
    """A process's children, theirs and so on, with their commands."""
    found = {}
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
            found |= descendants(child)
    return found


def alive(pids: dict[int, str]) -> dict[int, str]:
    """Those that still are, with the same command."""
    left = {}
    for pid, command in pids.items():
        try:
            now = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # A zombie, which somebody has yet to wait for, has no command.
        if now == command:
            left[pid] = command
    return left
