"""Import all that a reader may need: once it is sealed, no file can be opened for a module.

Encodings are found by the names that files give (an XML declaration, a manifest's encoding line).
"""

from __future__ import annotations

import encodings
import importlib
import pkgutil
from contextlib import suppress
from typing import Final

_ROOMS: Final = (
    "sidelight.blocks", "sidelight.disk", "sidelight.filesystems", "sidelight.inventory",
    "sidelight.versions",
)  # fmt: skip
# PyFilesystem's face is for callers; the second-opinion readers are not caged.
_NOT_READ_WITH: Final = (
    "sidelight.filesystems.pyfilesystem",
    "sidelight.filesystems.foreign.reference",
)
_OPTIONAL: Final = ("dissect.btrfs.btrfs", "dissect.btrfs.c_btrfs")
# What libraries import at their first use.
_LATE: Final = ("numpy.ma", "traceback", "linecache", "_strptime", "stringprep", "unicodedata")


def preload() -> None:
    """Import the readers, and what they import late."""
    importlib.import_module("sidelight.scan")
    for room in _ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if not module.name.startswith(_NOT_READ_WITH):
                importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)
    for name in _OPTIONAL:
        with suppress(ImportError):
            importlib.import_module(name)
    for encoding in pkgutil.iter_modules(encodings.__path__):
        # Windows has some that other systems have not.
        with suppress(ImportError):
            importlib.import_module(f"encodings.{encoding.name}")
