"""An empty store with today's tables, copied: migrating makes the same in eighty milliseconds."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from sidelight.store import Store

SQLITE = "sqlite:///"


def lay(url: str) -> None:
    """Put a migrated SQLite file where the URL names one that does not exist yet."""
    path = Path(url.removeprefix(SQLITE))
    if url.startswith(SQLITE) and not path.exists():
        shutil.copyfile(_template(), path)


@functools.cache
def _template() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="store-template-"))
    atexit.register(shutil.rmtree, directory)
    path = directory / "store.db"
    with Store(f"{SQLITE}{path}") as store:
        store.migrate()
    return path
