"""Go's build information, and programs as ELF, PE and Mach-O, in a few bytes."""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING

from sidelight.inventory.language import gobinary
from tests.fixtures.elf_files import BASE, elf

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extraction


MODULES = (
    "path\texample.com/app\nmod\texample.com/app\t(devel)\t\n"
    "dep\tgithub.com/a/b\tv1.2.3\th1:x=\n"
    "dep\tgithub.com/old/name\tv1.0.0\n=>\tgithub.com/new/name\tv2.0.0\th1:y=\n"
    "dep\tgithub.com/local/name\tv1.0.0\n=>\t./local\t(devel)\n"
)


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def inline(version: str, modules: str) -> bytes:
    """Build information since Go 1.18."""
    framed = b"\x30" * 16 + modules.encode() + b"\xf9" * 16
    head = gobinary.MAGIC + bytes([8, 2]) + b"\0" * 16
    return head + varint(len(version)) + version.encode() + varint(len(framed)) + framed


def by_pointer(version: str, modules: str, wide: bool) -> bytes:
    """A program of Go before 1.18, whose build information points to string headers."""
    code, size = ("<2Q", 8) if wide else ("<2L", 4)
    framed = b"\x30" * 16 + modules.encode() + b"\xf9" * 16
    start = 128 if wide else 96
    strings = b"".join((version.encode(), framed))
    headers_at = BASE + start + 32
    strings_at = headers_at + 4 * size
    info = gobinary.MAGIC + bytes([size, 0]) + struct.pack(code, headers_at, headers_at + 2 * size)
    info = info.ljust(32, b"\0")
    info += struct.pack(code, strings_at, len(version))
    info += struct.pack(code, strings_at + len(version), len(framed))
    return elf({".go.buildinfo": info + strings}, wide=wide)


GO_FACTS = {
    ("stdlib", "1.17.5"),
    ("github.com/a/b", "v1.2.3"),
    ("github.com/new/name", "v2.0.0"),
}


def go(extract: Callable[..., Extraction], version: str, modules: str) -> Extraction:
    return extract(gobinary.EXTRACTOR, "app", elf({".go.buildinfo": inline(version, modules)}))


def dep(packages: list[dict[str, object]]) -> bytes:
    return zlib.compress(json.dumps({"packages": packages}).encode())
