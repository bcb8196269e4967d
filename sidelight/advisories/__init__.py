"""Advisory feeds and the database built from them.

build(sources, out, progress)   files and directories of feeds -> one file
Database.open(path)             the file, mapped: lookup(ecosystem, name), info(), verify()
between(older, database)        the changes of a new database, by package and by vulnerability
"""

from __future__ import annotations

from sidelight.advisories.database.build import BuildSummary, build
from sidelight.advisories.database.changes import Changes, between
from sidelight.advisories.database.reader import AdvisoryDatabase, DatabaseInfo

__all__ = ["AdvisoryDatabase", "BuildSummary", "Changes", "DatabaseInfo", "between", "build"]
