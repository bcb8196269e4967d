"""CPU seconds of the client for one GetSnapshotBlock, and where they go.

    python -m benchmarks.get_block [--blocks 1000] [--threads 64] [--profile]

Reads blocks of 512 KiB through `SnapshotBlocks` from an endpoint in a process of its own, which
sends the same bytes to each request. Prints milliseconds of this process's CPU a block: of all, of
the SHA-256 check alone, and of the same bytes by http.client, without botocore and urllib3. And the
calls of Python's functions a block, which do not vary with the machine's load.
"""

from __future__ import annotations

import argparse
import base64
import cProfile
import hashlib
import http.client
import multiprocessing
import os
import pstats
import resource
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sidelight.aws.ebs import SnapshotBlocks
from sidelight.aws.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 512 << 10
BLOCK = bytes(range(256)) * (SIZE // 256)
CHECKSUM = base64.b64encode(hashlib.sha256(BLOCK).digest()).decode()
ANSWER = (
    "HTTP/1.1 200 OK\r\n"
    f"x-amz-Checksum: {CHECKSUM}\r\nx-amz-Checksum-Algorithm: SHA256\r\n"
    f"x-amz-Data-Length: {SIZE}\r\nContent-Length: {SIZE}\r\n"
    "Content-Type: application/octet-stream\r\n\r\n"
).encode() + BLOCK


def serve(listening: socket.socket) -> None:
    """Answer each request of each connection with the block, until the process ends."""
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    received = b""
    with connection:
        while data := connection.recv(65536):
            received += data
            while b"\r\n\r\n" in received:
                _, _, received = received.partition(b"\r\n\r\n")
                connection.sendall(ANSWER)


def milliseconds(run: Callable[[int], object], blocks: int, threads: int) -> float:
    """Return this process's CPU a call."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(threads)))  # connections
        begin = _spent()
        list(pool.map(run, range(blocks)))
        return 1000 * (_spent() - begin) / blocks


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class OneSnapshot(SnapshotBlocks):
    """A snapshot whose list is known."""

    def _list(self, start: int, *, first: bool = False) -> None:
        del first
        self.block_size, self.size = SIZE, SIZE << 20
        self._blocks.add(start, [(index, "token") for index in range(100_000)], 1 << 40)


def client_of(port: int) -> object:
    """Return a client of this endpoint, as a scan has it."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL_EBS": f"http://127.0.0.1:{port}",
    }  # fmt: skip
    return Session(region="us-east-1").client("ebs")


def plain(port: int) -> Callable[[int], object]:
    """Return a reader by http.client, a connection for each thread."""
    own = threading.local()

    def read(_: int) -> None:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection("127.0.0.1", port)
        own.connection.request("GET", "/")
        own.connection.getresponse().read()

    return read


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--profile", action="store_true", help="the functions of one thread")
    options = parser.parse_args()
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    port = listening.getsockname()[1]
    server = multiprocessing.get_context("fork").Process(target=serve, args=(listening,))
    server.daemon = True
    server.start()
    measured: dict[str, Callable[[int], object]] = {
        "in all": OneSnapshot("snap-0123456789abcdef0", client_of(port)).fetch,
        "SHA-256 alone": lambda _: hashlib.sha256(BLOCK).digest(),
        "http.client alone": plain(port),
    }
    for name, run in measured.items():
        times = [milliseconds(run, options.blocks, options.threads) for _ in range(3)]
        print(f"{name:20} {min(times):6.2f} ms CPU a block", flush=True)
    profiler = cProfile.Profile(time.thread_time)
    run = measured["in all"]
    profiler.runcall(lambda: [run(index) for index in range(options.blocks)])
    stats = pstats.Stats(profiler)
    print(f"{stats.total_calls / options.blocks:,.0f} calls of functions a block")  # type: ignore[attr-defined]
    if options.profile:
        stats.sort_stats("cumulative").print_stats(60)
    server.terminate()


if __name__ == "__main__":
    main()
