"""`python -m sidelight.store REVISION` takes a store back to a revision (docs/upgrades.md).

The store is that of SIDELIGHT_STORE_URL: arguments can be read by every user of the machine.
"""

from __future__ import annotations

import os
import sys

from sidelight.errors import SidelightError
from sidelight.store.base.engine import Database
from sidelight.store.migrate import go_back

INTERRUPTED = 130  # as of a shell: 128 and SIGINT

if __name__ == "__main__":
    url = os.environ.get("SIDELIGHT_STORE_URL", "")
    if len(sys.argv) != 2 or not url:
        sys.exit("usage: SIDELIGHT_STORE_URL=… python -m sidelight.store REVISION")
    try:
        database = Database(url)
        if missing := database.missing():
            sys.exit(f"{database.where}: {missing}")
        go_back(database, sys.argv[1])
        database.close()
    except SidelightError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: the tables are as they were\n")
        sys.exit(INTERRUPTED)
