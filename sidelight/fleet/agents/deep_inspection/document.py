"""The collector's script and the SSM document that runs it on instances.

A document of our own, and not commands for AWS-RunShellScript: a role that may associate this one
document can run the collector and nothing else, the document's hash says that nobody changed it,
and an account's owner may create it in advance. Source: Systems Manager's "Command document plugin
reference" (schema 2.2, aws:runShellScript), quota of 64 KB for a document.
"""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from importlib.resources import files
from typing import Final

from sidelight.inventory.collected import wanted_paths
from sidelight.inventory.language.javaarchive import SUFFIXES
from sidelight.inventory.language.version_strings import NAMES

DOCUMENT_NAME: Final = "Sidelight-DeepInspection"
# What the description of every version of it begins with: it proves that a document is ours.
MARK: Final = "Sidelight's deep inspection:"
MAX_DOCUMENT: Final = 64 << 10  # bytes
FILE_LIMIT: Final = 8 << 20  # bytes of one file that is sent whole
# Filesystems on disks of the instance. All others are networks, memory or the kernel's own.
LOCAL: Final = ("btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "vfat", "xfs", "zfs")
# What the agent puts between single quotes of the script: nothing else can end them.
PATHS_PATTERN: Final = "^[A-Za-z0-9/._: -]*$"
NUMBER_PATTERN: Final = "^[0-9]{1,12}$"


# The root of the machine; a local cloud's agent has a directory for it.
_ARGUMENTS: Final = (
    "set -- \"${SIDELIGHT_ROOT:-/}\" '{{ paths }}' '{{ seconds }}' '{{ files }}' '{{ bytes }}'"
)


@cache
def script() -> str:
    """Return the collector's script for /bin/sh, with the one for Python inside."""
    here = files(__package__)
    text = (here / "collect.sh").read_text(encoding="utf-8")
    return _filled(
        text,
        PYTHON=shlex.quote(python_script()),
        LOCAL=" ".join(LOCAL),
        SKIPPED=" ".join(wanted_paths.skipped()),
        SYSTEM=" ".join(wanted_paths.SYSTEM),
        FIND=" -o ".join(_conditions()),
        FILE_LIMIT=str(FILE_LIMIT),
        MORE=str(FILE_LIMIT + 1),
    )


@cache
def python_script() -> str:
    """Return the collector's script for Python 3.6 and newer."""
    text = (files(__package__) / "collect.py36").read_text(encoding="utf-8")
    filled = _filled(
        text,
        NAMES=_list(wanted_paths.names()),
        SUFFIXES=_list(wanted_paths.suffixes()),
        GLOBS=json.dumps(wanted_paths.globs()),
        SYSTEM=json.dumps(wanted_paths.SYSTEM),
        JAVA=json.dumps(SUFFIXES),
        PROGRAMS=json.dumps(f"(?:{NAMES})$"),
        SKIPPED=_list(wanted_paths.skipped()),
        FILE_LIMIT=str(FILE_LIMIT),
        LOCAL=_list(LOCAL),
    )
    # Comments are for readers of this repository; the document has a limit.
    return re.sub(r"^#.*\n|^ *(?:\"\"\"[^\"\n]*\"\"\"\n)", "", filled, flags=re.MULTILINE)


def document() -> str:
    """Return the document's content as JSON."""
    return json.dumps(content(), separators=(",", ":"))


@cache
def content() -> dict[str, object]:
    """Return the document's content."""
    command = script().rstrip("\n").split("\n")
    return {
        "schemaVersion": "2.2",
        "description": f"{MARK} sends the files that name installed packages.",
        "parameters": {
            "paths": {"type": "String", "default": "", "allowedPattern": PATHS_PATTERN,
                      "description": "Directories, with colons between them"},
            "seconds": _number("900", "Seconds that it may take"),
            "files": _number("20000", "Files that it may send"),
            "bytes": _number("33554432", "Bytes that it may send, before compression"),
        },
        "mainSteps": [{
            "action": "aws:runShellScript",
            "name": "collect",
            "precondition": {"StringEquals": ["platformType", "Linux"]},
            "inputs": {
                "timeoutSeconds": "3600",
                "runCommand": [
                    _ARGUMENTS,
                    *command,
                ],
            },
        }],
    }  # fmt: skip


def _number(default: str, description: str) -> dict[str, str]:
    return {
        "type": "String", "default": default, "allowedPattern": NUMBER_PATTERN,
        "description": description,
    }  # fmt: skip


def _list(items: frozenset[str] | tuple[str, ...]) -> str:
    return json.dumps(sorted(items))


def _conditions() -> list[str]:
    """Return find's conditions for wanted files."""
    globs = [f"*{suffix}" for suffix in sorted(wanted_paths.suffixes())]
    named = [f"-name {shlex.quote(name)}" for name in (*sorted(wanted_paths.names()), *globs)]
    whole = [glob for items in wanted_paths.globs().values() for glob in items]
    return [*named, *(f"-path {shlex.quote(glob)}" for glob in whole)]


def _filled(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
