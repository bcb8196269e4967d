"""A zygote whose readers are in the hands of the disk's owner: the disk's name says what they do.

They run after the seal, with Python's whole power. What they could do is their answer's problem
`DID`; the tests want none.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import platform
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
from sidelight.cage.system_calls import ARCHITECTURES
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


# Calls that the filter does not name, on x86-64 and on AArch64; both have the same newer ones.
OTHER_CALLS = {
    "personality": (135, 92), "shmget": (29, 194), "msgget": (68, 186), "sendmsg": (46, 211),
    "timer_create": (222, 107), "pkey_alloc": (330, 289), "io_uring_enter": (426, 426),
    "memfd_secret": (447, 447),
}  # fmt: skip


def _named(name: str, *arguments: int) -> None:
    machine = platform.machine()
    if name in OTHER_CALLS:
        number = OTHER_CALLS[name][machine == "aarch64"]
    else:
        number = ARCHITECTURES[machine].numbers[name]
    _system(number, *arguments)


def _out_of_band(source: RemoteSource) -> None:
    _raw(source).send(b"x", socket.MSG_OOB)


# With the channel, which is open: each must fail as those of ATTEMPTS.
CHANNEL_ATTEMPTS: dict[str, Callable[[RemoteSource], None]] = {
    "out-of-band": _out_of_band,
}


FAILED = ctypes.c_void_p(-1).value
MOST_EATEN = 8 << 30


def _grow_down() -> int:
    """Mappings that grow as a stack does, each written to."""
    LIBC.mmap.restype = ctypes.c_void_p
    step, total = 16 << 20, 0
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100  # MAP_GROWSDOWN
    while total < MOST_EATEN:
        found = LIBC.mmap(None, ctypes.c_size_t(step), 3, flags, -1, ctypes.c_long(0))
        if found == FAILED:
            break
        ctypes.memset(found, 1, step)
        total += step
    return total


def _move_stack() -> int:
    """A page of the stack, far below what is used, which becomes large elsewhere."""
    LIBC.mremap.restype = ctypes.c_void_p
    address, length = int(STACK.partition("-")[0], 16), 4096
    while length < MOST_EATEN:
        following, may_move = max(64 << 20, 2 * length), 1
        sizes = ctypes.c_size_t(length), ctypes.c_size_t(following)
        found = LIBC.mremap(ctypes.c_void_p(address), *sizes, may_move)
        if found == FAILED:
            break
        ctypes.memset(found, 1, following)
        address, length = found, following
    return length


# What they get, in bytes, must be within the limit of memory, though RLIMIT_DATA counts none of it.
STACKS: dict[str, Callable[[], int]] = {"grow-down": _grow_down, "move-stack": _move_stack}
# Of the zygote, whose stack the readers' is a copy of; /proc is closed to them.
STACK = next(text for text in Path("/proc/self/maps").read_text().splitlines() if "[stack]" in text)


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
    "stop-itself": lambda: signal.raise_signal(signal.SIGSTOP),
    "dump-core": lambda: __import__("resource").setrlimit(4, (-1, -1)),
    "duplicate": lambda: os.dup(2),
    "personality": lambda: _named("personality", 0x0040000),  # ADDR_NO_RANDOMIZE
    "io-uring": lambda: _named("io_uring_setup", 8, 0),
    "io-uring-enter": lambda: _named("io_uring_enter", 3, 1, 0, 0, 0, 0),
    "userfaultfd": lambda: _named("userfaultfd", 0),
    "keyring": lambda: _named("keyctl", 0, -3, 0),
    "bpf": lambda: _named("bpf", 0, 0, 0),
    "perf": lambda: _named("perf_event_open", 0, 0, -1, -1, 0),
    "memfd-secret": lambda: _named("memfd_secret", 0),
    "shared-segment": lambda: _named("shmget", 0, 4096, 0o1600),
    "message-queue": lambda: _named("msgget", 0, 0o1600),
    "send-message": lambda: _named("sendmsg", 3, 0, 0),
    "pipe": os.pipe,
    "timer": lambda: _named("timer_create", 0, 0, 0),
    "memory-keys": lambda: _named("pkey_alloc", 0, 0),
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


def _stop_at(source: RemoteSource, name: str) -> None:
    """Do what gives no answer; return for other names."""
    if name in FRAMES:
        for data in FRAMES[name]():
            _raw(source).sendall(data)
        time.sleep(1000)
    if name in ENDS:
        ENDS[name]()
    if name in CHANNEL_ENDS:
        CHANNEL_ENDS[name](source)


def _close(source: RemoteSource) -> None:
    _raw(source).close()
    time.sleep(1000)


CHANNEL_ENDS: dict[str, Callable[[RemoteSource], None]] = {
    "flood": _flood,
    "flood-of-hints": _flood_of_hints,
    "drip": _drip,
    "close": _close,
}


def read(sources: Sequence[RemoteSource], _: ScanOptions) -> Inventory:
    """Do what the first disk's name says."""
    source, name = sources[0], sources[0].name
    _stop_at(source, name)
    if name in STACKS:
        return _answer(Problem("bytes", str(STACKS[name]())))
    if name == "environment":
        texts = [*os.environ.values(), *sys.argv]
        return _answer(Problem("environment", "\n".join(texts)))
    if name in CHANNEL_ATTEMPTS:
        ATTEMPTS[name] = lambda: CHANNEL_ATTEMPTS[name](source)
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
