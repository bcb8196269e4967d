"""The process that caged readers are forked from: `python -m sidelight.cage.zygote`.

It is a new program, so it has nothing of the worker's memory: no credentials, no settings. It
imports the readers once, and forks a process for each machine, which costs milliseconds. It stays
outside of the cage, reads nothing that a disk's owner wrote, and has one thread. Its standard input
is a socket to the worker: a message with a socket for the reader starts one, `stop` ends it, and
the end of the socket ends all. For each reader it answers how that ended.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from typing import TYPE_CHECKING

from sidelight.cage import caged_reader
from sidelight.cage.frames import MOST_MESSAGE
from sidelight.cage.preloading import preload
from sidelight.cage.seal import Bounds
from sidelight.scan import inspect

if TYPE_CHECKING:
    from sidelight.cage.caged_reader import Read


def main(read: Read = inspect) -> None:
    """Serve one worker until it closes the socket."""
    control = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    preload()
    libc = ctypes.CDLL(None, use_errno=True)
    # What is shared with readers stays shared: the collector would write to each object's page.
    gc.collect()
    gc.freeze()
    while True:
        message, channels, _, _ = socket.recv_fds(control, MOST_MESSAGE, 1)
        if not message:
            return
        if not channels:
            continue  # `stop`, for a reader that has ended
        _serve(control, channels[0], json.loads(message), libc, read)


def _serve(
    control: socket.socket, channel: int, bounds: list[float], libc: ctypes.CDLL, read: Read
) -> None:
    """Fork a reader, wait for its end or for the worker's `stop`, and answer how it ended."""
    ended, ending = os.pipe()
    os.set_blocking(ending, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ending)
    zygote = os.getpid()
    reader = os.fork()
    if not reader:
        _become_reader(channel, zygote, Bounds(int(bounds[0]), bounds[1]), libc, read)
    os.close(channel)
    watched = select.poll()
    watched.register(control, select.POLLIN)
    watched.register(ended, select.POLLIN)
    while True:
        events = dict(watched.poll())
        done, status, used = os.wait4(reader, os.WNOHANG)
        if not done and control.fileno() in events:
            message = control.recv(MOST_MESSAGE)
            os.kill(reader, signal.SIGKILL)
            done, status, used = os.wait4(reader, 0)
            if not message:
                os._exit(0)
        if done:
            break
        os.read(ended, 1)
    signal.set_wakeup_fd(-1)
    os.close(ended)
    os.close(ending)
    answer = [os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss]
    control.send(json.dumps(answer).encode())


def _become_reader(
    channel: int, zygote: int, bounds: Bounds, libc: ctypes.CDLL, read: Read
) -> None:
    """Read a machine, and end. Never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if os.getppid() == zygote:
            caged_reader.run(channel, bounds, libc, read)
            code = 0
    except BaseException:
        # Before the seal, standard error is the worker's; after it, nothing.
        traceback.print_exc()
        sys.stderr.flush()
        raise
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
