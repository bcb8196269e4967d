"""Landlock: the process may open, make, run and change no file, and use no TCP port.

Source: the kernel's Documentation/userspace-api/landlock.rst. The kernel's version of it decides
what a rule set may name; without rules, all that it names is refused.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

_CREATE_RULESET: Final = 444  # on every architecture
_RESTRICT_SELF: Final = 446
_VERSION_FLAG: Final = 1
# The number of file rights that each version of the interface has, from the first on.
_FILE_RIGHTS: Final = (13, 14, 15, 15, 16)
_NETWORK_SINCE: Final = 4
_BIND_AND_CONNECT: Final = 3
_SCOPES_SINCE: Final = 6
_SOCKETS_AND_SIGNALS: Final = 3  # abstract Unix sockets, and signals to processes outside


def version(libc: ctypes.CDLL) -> int:
    """Return the kernel's version of Landlock; -1, with the reason as ctypes' errno, for none."""
    return _call(libc, _CREATE_RULESET, None, 0, _VERSION_FLAG)


def unavailable(libc: ctypes.CDLL) -> str:
    """Return why this kernel has no Landlock, or an empty text. Nothing is restricted."""
    return "" if version(libc) >= 1 else os.strerror(ctypes.get_errno())


def restrict(libc: ctypes.CDLL) -> str:
    """Restrict this process; return why it cannot be, or an empty text. Needs `no_new_privs`."""
    known = version(libc)
    if known < 1:
        return os.strerror(ctypes.get_errno())
    files = (1 << _FILE_RIGHTS[min(known, len(_FILE_RIGHTS)) - 1]) - 1
    members = [files]
    if known >= _NETWORK_SINCE:
        members.append(_BIND_AND_CONNECT)
    if known >= _SCOPES_SINCE:
        members.append(_SOCKETS_AND_SIGNALS)
    attributes = struct.pack(f"={len(members)}Q", *members)
    ruleset = _call(libc, _CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return os.strerror(ctypes.get_errno())
    try:
        if libc.syscall(_RESTRICT_SELF, ctypes.c_long(ruleset), ctypes.c_long(0)):
            return os.strerror(ctypes.get_errno())
    finally:
        os.close(ruleset)
    return ""


def _call(libc: ctypes.CDLL, number: int, data: bytes | None, size: int, flags: int) -> int:
    # As longs: of an int, the upper half of the register is undefined.
    result: int = libc.syscall(number, data, ctypes.c_size_t(size), ctypes.c_long(flags))
    return result
