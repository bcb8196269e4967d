"""Advisory feeds and the database made of them.

build(sources, out, progress)   files and directories of feeds -> one file
Database.open(path)             the file, mapped: lookup(ecosystem, name), info(), verify()
database.changed_since(older)   what a new database changes, by package and by vulnerability
"""

from __future__ import annotations

from sidelight.advisories.build import BuildSummary, build
from sidelight.advisories.changes import Changes
from sidelight.advisories.database import Database, DatabaseInfo

__all__ = ["BuildSummary", "Changes", "Database", "DatabaseInfo", "build"]
