"""A zygote whose readers are in the hands of the disk's owner: the disk's name says what they do.

They run after the seal, with Python's whole power. What they could do is their answer's problem
`DID`; the tests want none.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sidelight.cage import zygote
from sidelight.cage.frames import HEADER, READ, FrameKind, frame, pack_ranges
from sidelight.model import Inventory, OperatingSystem, Problem, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidelight.cage.remote_source import RemoteSource
    from sidelight.scan import ScanOptions

LIBC = ctypes.CDLL(None, use_errno=True)
PARENT = os.getppid()


def _raw(source: RemoteSource) -> socket.socket:
    return source._channel._socket


def _system(number: int, *arguments: int) -> None:
    if LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def _map_code() -> None:
    mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)


def _eat() -> None:
    kept = []
    while True:
        kept.append(bytearray(64 << 20))


def _spin() -> None:
    while True:
        pass


def _swallow() -> None:
    while True:
        with suppress(BaseException):
            time.sleep(10)


# Each of these must fail in the cage, with an error or with the end of the reader.
ATTEMPTS: dict[str, Callable[[], object]] = {
    "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "unix-socket": lambda: socket.socket(socket.AF_UNIX),
    "resolve": lambda: socket.getaddrinfo("example.com", 80),
    "read-file": lambda: Path("/etc/passwd").read_bytes(),
    "read-proc": lambda: Path("/proc/self/environ").read_bytes(),
    "read-parent": lambda: Path(f"/proc/{PARENT}/environ").read_bytes(),
    "list-fds": lambda: list(Path("/proc/self/fd").iterdir()),
    "write-file": lambda: Path("/tmp/sidelight-escaped").write_text("x"),  # noqa: S108 - refused
    "import": lambda: __import__("wave"),
    "stat": lambda: Path("/").stat(),
    "fork": os.fork,
    "thread": lambda: threading.Thread(target=_spin).start(),
    "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - refused
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "ptrace": lambda: LIBC.ptrace(16, PARENT, 0, 0) < 0 and _refused(),
    "signal-parent": lambda: os.kill(PARENT, signal.SIGTERM),
    "signal-zygote": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "raise-limit": lambda: __import__("resource").setrlimit(7, (10, 10)),
    "map-code": _map_code,
    "map-shared": lambda: mmap.mmap(-1, 4096),
    "die-alone": lambda: LIBC.prctl(1, 0, 0, 0, 0) < 0 and _refused(),
    "memfd": lambda: os.memfd_create("x"),
    "x32": lambda: _system(0x40000000 + 41, 2, 1, 0),
}
ENDS: dict[str, Callable[[], object]] = {
    "eat": _eat,
    "spin": _spin,
    "swallow": _swallow,
    "segv": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(0),
    "error": lambda: 1 // 0,
}


def _refused() -> bool:
    raise OSError("refused")


def _deep() -> bytes:
    return b"[" * 1_000_000


# What is sent in place of a question or an answer.
FRAMES: dict[str, Callable[[], list[bytes]]] = {
    "unknown-kind": lambda: [frame(99, b"")],  # type: ignore[arg-type] # what is tested
    "parents-kind": lambda: [frame(FrameKind.DATA, b"x")],
    "second-seal": lambda: [frame(FrameKind.SEALED, b"[]")],
    "huge-frame": lambda: [HEADER.pack(FrameKind.RECORDS, 0xFFFFFFFF)],
    "past-the-end": lambda: [frame(FrameKind.READ, READ.pack(0, 1 << 62, 512))],
    "no-such-disk": lambda: [frame(FrameKind.READ, READ.pack(77, 0, 512))],
    "nothing": lambda: [frame(FrameKind.READ, READ.pack(0, 0, 0))],
    "too-much": lambda: [frame(FrameKind.READ, READ.pack(0, 0, 0xFFFFFFFF))],
    "short-question": lambda: [frame(FrameKind.READ, b"xx")],
    "odd-hint": lambda: [frame(FrameKind.PREFETCH, b"\0\0xyz")],
    "hint-past-the-end": lambda: [frame(FrameKind.PREFETCH, pack_ranges(0, [1 << 63, 1 << 63]))],
    "hint-of-no-disk": lambda: [frame(FrameKind.TOUCH, pack_ranges(9, [0, 1]))],
    "not-json": lambda: [frame(FrameKind.RECORDS, b"\xff\xfe")],
    "deep-json": lambda: [frame(FrameKind.RECORDS, _deep())],
    "pickle": lambda: [frame(FrameKind.DONE, b"cos\nsystem\n(S'true'\ntR.")],
    "unknown-records": lambda: [frame(FrameKind.RECORDS, b'["secrets", []]')],
    "short-row": lambda: [frame(FrameKind.RECORDS, b'["packages", [["deb"]]]')],
    "wrong-type": lambda: [frame(FrameKind.RECORDS, b'["problems", [["a", 7]]]')],
    "long-text": lambda: [
        frame(FrameKind.RECORDS, json.dumps(["left_out", ["x" * 300_000]]).encode())
    ],
    "many-rows": lambda: (
        [frame(FrameKind.RECORDS, json.dumps(["left_out", [""] * 9999]).encode())] * 99
    ),
    "cut": lambda: [frame(FrameKind.DONE, b'["complete", ["","","","",""], {"packages": 1}]')],
    "bad-status": lambda: [frame(FrameKind.DONE, _done("clean"))],
    "clean-with-problems": lambda: [
        frame(FrameKind.RECORDS, b'["problems", [["a", "b"]]]'),
        frame(FrameKind.DONE, _done("complete", problems=1)),
    ],
    "partial-without": lambda: [frame(FrameKind.DONE, _done("partial"))],
    "bad-failure": lambda: [frame(FrameKind.FAILED, b'["memory"]')],
    "nan": lambda: [frame(FrameKind.RECORDS, b'["left_out", [NaN]]')],
}


def _done(status: str, **counts: int) -> bytes:
    names = ("packages", "problems", "filesystems", "listeners", "left_out")
    return json.dumps([status, [""] * 5, dict.fromkeys(names, 0) | counts]).encode()


def _flood(source: RemoteSource) -> None:
    """Ask without end and read no answer: the channel fills in both directions."""
    question = frame(FrameKind.READ, READ.pack(0, 0, min(source.size, 32768)))
    while True:
        _raw(source).sendall(question * 1000)


def _flood_of_hints(source: RemoteSource) -> None:
    hint = frame(FrameKind.PREFETCH, pack_ranges(0, [0, 512] * 65536))
    while True:
        _raw(source).sendall(hint)


def _drip(source: RemoteSource) -> None:
    """A frame whose end never comes."""
    _raw(source).sendall(struct.pack("<BI", FrameKind.RECORDS, 1000) + b"[")
    time.sleep(1000)


def read(sources: Sequence[RemoteSource], _: ScanOptions) -> Inventory:
    """Do what the first disk's name says."""
    source, name = sources[0], sources[0].name
    if name in FRAMES:
        for data in FRAMES[name]():
            _raw(source).sendall(data)
        time.sleep(1000)
    if name in ENDS:
        ENDS[name]()
    if name in ("flood", "flood-of-hints", "drip"):
        {"flood": _flood, "flood-of-hints": _flood_of_hints, "drip": _drip}[name](source)
    if name == "close":
        _raw(source).close()
        time.sleep(1000)
    if name == "environment":
        texts = [*os.environ.values(), *sys.argv]
        return _answer(Problem("environment", "\n".join(texts)))
    if name in ATTEMPTS:
        try:
            ATTEMPTS[name]()
        except (OSError, ImportError, ValueError, RuntimeError) as error:
            return _answer(Problem("refused", f"{type(error).__name__}: {error}"))
        return _answer(Problem("DID", name))
    return _answer(Problem("read", source.read_at(0, 4).decode()))


def _answer(problem: Problem) -> Inventory:
    return Inventory(Status.PARTIAL, OperatingSystem(), problems=(problem,))


if __name__ == "__main__":
    zygote.main(read)
