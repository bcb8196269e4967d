"""A filter of system calls for this process: a classic BPF program (seccomp(2)).

The calls in ALLOWED pass, those in DEADLY kill the process, and all others fail with EPERM, so that
a library which looks for a file finds none and goes on.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import Final

from sidelight.cage.system_calls import (
    ALLOWED,
    ARCHITECTURES,
    DEADLY,
    REFUSED_BITS,
    Architecture,
)

_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_KILL_PROCESS: Final = 0x80000000
_ERRNO: Final = 0x00050000
_ALLOW: Final = 0x7FFF0000
# BPF: load a word at an offset; jump if equal, if greater or equal, if a bit is set; return.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# struct seccomp_data: the number, the architecture, the low words of the third and fourth argument.
_NUMBER, _ARCHITECTURE = 0, 4
_ARGUMENT: Final = {3: 32, 4: 40}
_X32: Final = 0x40000000  # calls of x86-64's other ABI have this bit


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def program(architecture: Architecture) -> bytes:
    """Return the filter's instructions."""
    numbers = architecture.numbers

    def returning(value: int) -> bytes:
        return _instruction(_RETURN, 0, 0, value)

    parts = [
        _instruction(_LOAD, 0, 0, _ARCHITECTURE),
        _instruction(_EQUAL, 1, 0, architecture.audit),
        returning(_KILL_PROCESS),
        _instruction(_LOAD, 0, 0, _NUMBER),
        _instruction(_AT_LEAST, 0, 1, _X32),
        returning(_KILL_PROCESS),
    ]
    for name in ALLOWED:
        if name in numbers and name not in REFUSED_BITS:
            parts += [_instruction(_EQUAL, 0, 1, numbers[name]), returning(_ALLOW)]
    for name in DEADLY:
        if name in numbers:
            parts += [_instruction(_EQUAL, 0, 1, numbers[name]), returning(_KILL_PROCESS)]
    for name, refused in REFUSED_BITS.items():
        parts.append(_instruction(_EQUAL, 0, 3 * len(refused) + 1, numbers[name]))
        for argument, bits in refused:
            parts += [
                _instruction(_LOAD, 0, 0, _ARGUMENT[argument]),
                _instruction(_ANY_BIT, 0, 1, bits),
                returning(_ERRNO | errno.EPERM),
            ]
        parts.append(returning(_ALLOW))
    parts.append(returning(_ERRNO | errno.EPERM))
    return b"".join(parts)


def unavailable(libc: ctypes.CDLL) -> str:
    """Return why this kernel takes no filter, or an empty text. Nothing is restricted.

    A kernel that takes filters complains of the address 0 (EFAULT), another one of the mode.
    """
    if platform.machine() not in ARCHITECTURES:
        return f"no table of system calls for {platform.machine()}"
    zeros = (ctypes.c_ulong(0),) * 3
    libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), *zeros)
    number = ctypes.get_errno()
    return "" if number == errno.EFAULT else os.strerror(number)


def restrict(libc: ctypes.CDLL) -> str:
    """Install the filter; return why it cannot be, or an empty text.

    The process must have `no_new_privs`, and one thread.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        return f"no table of system calls for {platform.machine()}"
    code = program(architecture)
    buffer = ctypes.create_string_buffer(code, len(code))
    filtering = _Program(len(code) // 8, ctypes.addressof(buffer))
    zeros = (ctypes.c_ulong(0),) * 2
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(filtering), *zeros):
        return os.strerror(ctypes.get_errno())
    return ""


def _instruction(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
