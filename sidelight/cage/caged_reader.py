"""What runs in the cage: one machine is read, and its inventory is sent to the parent.

Nothing here opens anything. The process is forked for one machine, and ends with it.
"""

from __future__ import annotations

import json
import socket
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sidelight.cage.frames import FrameKind
from sidelight.cage.inventory_records import records
from sidelight.cage.remote_source import ParentChannel, RemoteSource
from sidelight.cage.seal import Bounds, seal
from sidelight.disk import Attachment
from sidelight.errors import CageError, UsageError
from sidelight.inventory.collect import CollectOptions
from sidelight.scan import ScanOptions, inspect

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Callable, Sequence

    from sidelight.model import Inventory

    Read = Callable[[Sequence[RemoteSource], ScanOptions], Inventory]

MOST_MESSAGE: Final = 1000  # characters
MOST_TRACE: Final = 4000


def run(channel_fd: int, bounds: Bounds, libc: ctypes.CDLL, read: Read = inspect) -> None:
    """Seal this process, read what the parent starts, send the inventory or why there is none."""
    channel = ParentChannel(socket.socket(fileno=channel_fd))
    missing = seal(libc, channel_fd, bounds)
    channel.send(FrameKind.SEALED, json.dumps(missing).encode())
    kind, payload = channel.receive()
    if kind != FrameKind.START:
        raise ValueError(f"a frame of kind {kind} in place of the start")
    sources, options = _started(channel, json.loads(payload))
    try:
        parts = list(records(_inventory(read, sources, options)))
    except MemoryError:
        _fail(channel, "memory", "")
    except UsageError as error:
        _fail(channel, "usage", error.what, error.where)
    except CageError as error:
        _fail(channel, "error", error.what, trace=traceback.format_exc()[-MOST_TRACE:])
    else:
        for part in parts[:-1]:
            channel.send(FrameKind.RECORDS, part)
        channel.send(FrameKind.DONE, parts[-1])


def _inventory(read: Read, sources: Sequence[RemoteSource], options: ScanOptions) -> Inventory:
    """Read the machine. Raises CageError for an error that no reader should let out."""
    try:
        return read(sources, options)
    except (MemoryError, UsageError):
        raise
    except Exception as error:
        raise CageError(f"{type(error).__name__}: {error}"[:MOST_MESSAGE]) from error


def _fail(channel: ParentChannel, why: str, what: str, where: str = "", trace: str = "") -> None:
    # The parent may have closed the channel already.
    with suppress(OSError):
        channel.send(FrameKind.FAILED, json.dumps([why, what, where, trace]).encode())


def _started(
    channel: ParentChannel, start: dict[str, Any]
) -> tuple[list[RemoteSource], ScanOptions]:
    """The sources and options of a START frame, which the parent wrote."""
    sources = [
        RemoteSource(channel, number, str(name), int(str(size)), int(str(unit)))
        for number, (name, size, unit) in enumerate(start["sources"])
    ]
    attachments = tuple(Attachment(str(device), str(volume)) for device, volume in start["disks"])
    options = start["options"]
    collecting = CollectOptions(**options | {"skip_dirs": tuple(options["skip_dirs"])})
    return sources, ScanOptions("own", attachments, collecting)
