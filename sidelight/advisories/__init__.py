"""Advisory feeds and the database built from them.

build(sources, out, progress)   files and directories of feeds -> one file
Database.open(path)             the file, mapped: lookup(ecosystem, name), info(), verify()
between(older, database)        the changes of a new database, by package and by vulnerability
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidelight.advisories.database.build import BuildSummary, build
    from sidelight.advisories.database.changes import Changes, between
    from sidelight.advisories.database.reader import AdvisoryDatabase, DatabaseInfo

__all__ = ["AdvisoryDatabase", "BuildSummary", "Changes", "DatabaseInfo", "between", "build"]

_PLACES = {"BuildSummary": "build", "build": "build", "Changes": "changes", "between": "changes",
           "AdvisoryDatabase": "reader", "DatabaseInfo": "reader"}  # fmt: skip


def __getattr__(name: str) -> object:
    """Import what is asked for alone: the store needs names of ecosystems, not the builder."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.database.{_PLACES[name]}"), name)
