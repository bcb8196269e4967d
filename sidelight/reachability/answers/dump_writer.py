"""Write describe answers as a folder that `dump.load_dump` reads."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def folder_of(root: Path, account: str, region: str) -> Path:
    """Return the folder of an account-region's answers. Raises UsageError if it has files."""
    folder = root / "aws_configs" / "accounts" / account / region
    if folder.is_dir() and any(folder.iterdir()):
        # Answers of two times would contradict each other.
        raise UsageError("has files already; name another folder", where=str(folder))
    return folder


def write_answers(folder: Path, lists: Mapping[str, Sequence[object]]) -> None:
    """Write one file for each stem. Raises OSError, which names the file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, objects in lists.items():
        text = json.dumps({name: list(objects)}, indent=1, sort_keys=True, default=_plain)
        (folder / f"{name}.json").write_text(f"{text}\n", encoding="ascii")


def _plain(value: object) -> str:
    """A datetime as AWS's JSON has it: ISO 8601."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"not a value of an answer: {type(value).__name__}")
