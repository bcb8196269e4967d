"""Kernels without a number in their file's name: in /boot, beside their modules, and unified ones.

The release is that of the directory, or is read from the image. `inventory.kernel_packages` judges
images in /boot whose names have a number, and which of all belong to a package.

Sources: the kernel's Documentation/arch/x86/boot.rst (`kernel_version`), The Boot Loader
Specification (type 2), systemd-stub(7) (`.uname`, `.linux`), kernel-install(8).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, LimitError, NotRecognisedError
from sidelight.inventory.kernel_packages import HAND_BUILT, is_numbered
from sidelight.inventory.kernels import IMAGES
from sidelight.inventory.language.executable import program
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, flat
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOOT: Final = re.compile(r"boot/(?:vmlinu[xz]|bzImage|Image|kernel)(?:-.*)?")
_NOT_BOOTED: Final = re.compile(r"rescue|\.(?:old|bak|hmac)$")
# /usr/lib/modules/RELEASE/vmlinuz, and kernel-install's $BOOT/ENTRY-TOKEN/RELEASE/linux.
_IN_RELEASE: Final = re.compile(
    r"(?:usr/)?lib/modules/([^/]+)/(?:vmlinuz|vmlinux|bzImage|Image)"
    r"|(?:boot|efi|boot/efi)/[^/]+/([^/]+)/linux"
)
_UNIFIED: Final = re.compile(r"(?:boot|efi|boot/efi)/EFI/Linux/[^/]+\.efi", re.IGNORECASE)
_HEAD: Final = 4096  # bytes
_MAGIC_AT, _MAGIC = 0x202, b"HdrS"
_VERSION_AT, _SETUP = 0x20E, 0x200  # of the offset of the version, from the setup's second sector
_LONGEST: Final = 256  # bytes of a release
_UNKNOWN: Final = "a kernel's image whose release is not known: it is not in the inventory"


def _is_image(path: str) -> bool:
    if _IN_RELEASE.fullmatch(path):
        return is_numbered(path.split("/")[-2])
    if _UNIFIED.fullmatch(path):
        return True
    unnumbered = _BOOT.fullmatch(path) and not _NOT_BOOTED.search(path)
    return bool(unnumbered) and not is_numbered(path.partition("-")[2])


def _parse(file: WantedFile) -> Iterator[Entry]:
    match = _IN_RELEASE.fullmatch(file.path)
    release = match[1] or match[2] if match else _release_of(file, 0)
    if release:
        yield flat(file.path, "generic", HAND_BUILT, release)
    else:
        yield Problem(f"/{file.path}", _UNKNOWN)


def _release_of(file: WantedFile, at: int) -> str:
    """The release of an image that begins at an offset, empty where none is found."""
    head = file.read_at(at, _HEAD)
    if head[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC:
        pointer = int.from_bytes(head[_VERSION_AT : _VERSION_AT + 2], "little")
        return _first_word(file.read_at(at + _SETUP + pointer, _LONGEST)) if pointer else ""
    if at:
        return ""
    try:
        unified = program(file.read_at)
    except (NotRecognisedError, DamagedError, LimitError):
        return ""
    if name := unified.section(".uname"):
        return _first_word(file.read_at(name.offset, min(name.size, _LONGEST)))
    kernel = unified.section(".linux")
    return _release_of(file, kernel.offset) if kernel and kernel.offset else ""


def _first_word(data: bytes) -> str:
    words = data.partition(b"\0")[0].decode("utf-8", "replace").split()
    return words[0] if words and is_numbered(words[0]) else ""


EXTRACTOR: Final = GeneratorExtractor(
    "kernels/images",
    Wants(
        names=frozenset({"vmlinuz", "vmlinux", "bzImage", "Image", "linux"}),
        suffixes=frozenset({".efi"}),
        directories=frozenset({IMAGES}),
        confirm=_is_image,
        limit=1 << 30,
        random_access=True,
    ),
    _parse,
)
