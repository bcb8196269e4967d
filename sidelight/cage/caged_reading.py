"""Read one machine in a caged process: the face of this room.

The zygotes are kept for the next machine, since starting one takes as long as some machines take to
be read. They are this process's own: a fork of it starts with none.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import threading
from atexit import register
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidelight.cage.block_server import (
    BlockServer,
    DeadlineError,
    NotSealedError,
    ReaderFailedError,
)
from sidelight.cage.frames import MOST_SOURCES, FrameError
from sidelight.cage.reader_process import PROGRAM, ReaderEnd, ReaderProcess
from sidelight.cage.seal import Bounds
from sidelight.errors import CageError, UsageError
from sidelight.model import ReadingOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.blocks import BlockSource
    from sidelight.disk import Attachment
    from sidelight.model import Inventory

log = logging.getLogger(__name__)

MOST_MEMORY: Final = 4 << 30  # bytes, where the process itself has no limit
LEAST_MEMORY: Final = 256 << 20  # bytes: an ordinary machine is read with less
DEFAULT_SECONDS: Final = 2700.0
_ENDS_WITHIN: Final = 5.0  # seconds that a reader has after its last word
_MOST_IDLE: Final = 2
_DATA: Final = 5  # the column of /proc/self/statm that RLIMIT_DATA bounds, in pages
_OPTIONS: Final = fields(ReadingOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class CagedReading:
    """How to read a machine, and the bounds of its reader.

    `seconds` is the deadline of a whole machine. `memory` in bytes; 0 is what remains of this
    process's own limit beyond what it uses and the `reserved` bytes that it will use, or
    MOST_MEMORY. With `is_required` nothing is read where a protection is missing. `program` are
    Python's arguments, the zygote's module.
    """

    options: ReadingOptions = field(default_factory=ReadingOptions)
    seconds: float = DEFAULT_SECONDS
    memory: int = 0
    reserved: int = 0
    is_required: bool = False
    program: Sequence[str] = field(default=PROGRAM)

    def inspect(
        self, sources: Sequence[BlockSource], attachments: Sequence[Attachment] = ()
    ) -> Inventory:
        """Read a machine's disks as `scan.inspect` does, in a process of its own.

        Blocks are read in the calling thread. Raises CageError where the reader was stopped or
        failed; what `read_at` raises, other than a SourceError; UsageError.
        """
        if len(sources) > MOST_SOURCES:
            raise UsageError(f"{len(sources)} disks; a machine has {MOST_SOURCES} at most")
        where = ", ".join(source.name for source in sources[:3])
        bounds = Bounds(self.memory or _remaining_memory(self.reserved), self.seconds)
        start = self._start(sources, attachments)
        with _reader(self.program) as process:
            try:
                with process.start(bounds) as channel:
                    server = BlockServer(channel, sources, self.seconds)
                    inventory = server.run(start, is_required=self.is_required)
                    report_missing(server.missing)
            except DeadlineError as error:
                _count(process.end())
                what = f"reading took more than {self.seconds:g} s: the reader was stopped"
                raise CageError(what, where=where, limit="time") from error
            except NotSealedError as error:
                _count(process.end())
                what = f"the reader was not sealed, and SIDELIGHT_CAGE_REQUIRED is set: {error}"
                raise CageError(what, where=where) from error
            except FrameError as error:
                _count(process.end())
                what = f"the reader was stopped, since it broke its protocol: {error}"
                raise CageError(what, where=where) from error
            except ReaderFailedError as error:
                _count(process.end(within=_ENDS_WITHIN))
                raise self._failure(error, where, bounds) from error
            except EOFError as error:
                ended = process.end(within=_ENDS_WITHIN)
                _count(ended)
                raise self._death(ended, where) from error
            _count(process.end(within=_ENDS_WITHIN))
            return inventory

    def warm_up(self) -> None:
        """Start a process for the first machine, which begins its imports at once."""
        with _reader(self.program):
            pass

    def _start(self, sources: Sequence[BlockSource], attachments: Sequence[Attachment]) -> bytes:
        start = {
            "sources": [[s.name, s.size, getattr(s, "unit", 0)] for s in sources],
            "disks": [[item.device, item.volume] for item in attachments],
            "options": {item.name: getattr(self.options, item.name) for item in _OPTIONS},
        }
        return json.dumps(start).encode()

    def _failure(self, error: ReaderFailedError, where: str, bounds: Bounds) -> Exception:
        if error.kind == "memory":
            mib = bounds.memory >> 20
            what = f"reading needs more than the {mib} MiB of memory that a reader has"
            return CageError(what, where=where, limit="memory")
        if error.kind == "usage":
            return UsageError(error.what, where=error.where)
        log.error("%s: the reader failed:\n%s", where, error.trace)
        return CageError(f"the reader failed: {error.what}", where=where)

    def _death(self, ended: ReaderEnd | None, where: str) -> CageError:
        """Return the error for a reader that ended without a word."""
        if ended is None:
            return CageError("the process that readers are forked from has ended", where=where)
        if ended.code == -signal.SIGXCPU:
            what = f"reading took more than {self.seconds:g} s of CPU: the reader was stopped"
            return CageError(what, where=where, limit="time")
        if ended.code == -signal.SIGSYS:
            what = "the reader was stopped, since it made a system call that readers do not make"
            return CageError(what, where=where)
        if ended.code == -signal.SIGKILL:
            what = "the reader was killed (SIGKILL), perhaps since this machine's memory ran out"
            return CageError(what, where=where)
        if ended.code < 0:
            return CageError(f"the reader crashed ({_name_of(-ended.code)})", where=where)
        return CageError(f"the reader ended early (exit status {ended.code})", where=where)


def reader_cpu_seconds() -> float:
    """Return the CPU seconds of all readers so far of this thread, as `time.thread_time`."""
    return getattr(_used, "seconds", 0.0)


_used = threading.local()
_lock = threading.Lock()
_idle: list[tuple[tuple[str, ...], ReaderProcess]] = []
_reported: set[str] = set()


@contextmanager
def _reader(program: Sequence[str]) -> Iterator[ReaderProcess]:
    """Give a zygote without a reader, an idle one or a new one, and keep it afterwards."""
    key = tuple(program)
    process = _taken(key) or ReaderProcess(key)
    try:
        yield process
    finally:
        with _lock:
            is_kept = process.is_usable and len(_idle) < _MOST_IDLE
            if is_kept:
                _idle.append((key, process))
        if not is_kept:
            process.close()


def _taken(key: tuple[str, ...]) -> ReaderProcess | None:
    with _lock:
        at = next((at for at, (program, _) in enumerate(_idle) if program == key), None)
        if at is None:
            return None
        _, process = _idle.pop(at)
    if process.is_usable:
        return process
    process.close()
    return None


def _close_idle() -> None:
    while _idle:
        _idle.pop()[1].close()


def _forget_idle() -> None:
    # The lock may have been held by a thread that the fork does not have.
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    while _idle:
        _idle.pop()[1].forget()


register(_close_idle)
os.register_at_fork(after_in_child=_forget_idle)


def report_missing(missing: Iterable[str]) -> None:
    """Log the protections that readers lack, as `NAME: REASON`, once in a process and its forks."""
    for text in missing:
        if text not in _reported and len(_reported) < 16:
            _reported.add(text)
            log.warning("readers of disks run without %s (docs/threat-model.md)", text)


def _count(ended: ReaderEnd | None) -> None:
    if ended is not None:
        _used.seconds = reader_cpu_seconds() + ended.cpu_seconds


def _remaining_memory(reserved: int) -> int:
    """Return what this process's limit leaves for a reader, so that both hold no more than it."""
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if soft == resource.RLIM_INFINITY:
        return MOST_MEMORY
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[_DATA])
    return max(LEAST_MEMORY, soft - pages * resource.getpagesize() - reserved)


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
