"""`python -m sidelight.store URL REVISION` takes a store back to a revision (docs/upgrades.md)."""

from __future__ import annotations

import sys

from sidelight.errors import SidelightError
from sidelight.store.base.engine import Database
from sidelight.store.migrate import go_back

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m sidelight.store STORE_URL REVISION")
    try:
        database = Database(sys.argv[1])
        go_back(database, sys.argv[2])
        database.close()
    except SidelightError as error:
        sys.exit(str(error))
