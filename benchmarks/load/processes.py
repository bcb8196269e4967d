"""What processes use: CPU and memory, read from /proc."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """The process and its descendants that live."""
    found = [pid]
    for parent in found:
        with suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes and of those of their children that have ended."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
            total += sum(map(int, text.rpartition(")")[2].split()[11:15]))
    return total / TICKS


def memory(pid: int) -> int:
    """Resident bytes of one process."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE
    return 0


@dataclass
class Sampler:
    """Looks at processes every few seconds on a thread: `samples` are (bytes by pid) in order."""

    pids: list[int]
    seconds: float
    samples: list[dict[int, int]] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, with a last look."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._look()

    def _run(self) -> None:
        self._look()
        while not self._ended.wait(self.seconds):
            self._look()

    def _look(self) -> None:
        living = [pid for root in self.pids for pid in family(root)]
        self.samples.append({pid: memory(pid) for pid in living})
