"""Workers that settle two instances at a time, one of which is killed within a transaction, once.

`SIDELIGHT_TEST_KILLED` is a file that is made first, so that the next worker lives;
`SIDELIGHT_TEST_KILL` is `process` for a pool's process, or `worker` for all of them. Nothing of
this is in the workers' own code.
"""

from __future__ import annotations

import os
import signal
from itertools import count
from pathlib import Path
from typing import Any

from sidelight.store.findings import outbox, reconcile, reevaluation
from workers.celery_main import app

__all__ = ["app"]

KILLED = Path(os.environ["SIDELIGHT_TEST_KILLED"])
AT = 3  # the part whose events are written and not committed
_announce = outbox.announce
_turns = count(1)


def announce(*arguments: Any) -> None:
    """As it is, and then the end, in the middle of all parts."""
    _announce(*arguments)
    if next(_turns) == AT and not KILLED.exists():
        KILLED.touch()
        if os.environ["SIDELIGHT_TEST_KILL"] == "worker":
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


reconcile.announce = announce  # type: ignore[attr-defined,assignment] # the tests' own
reevaluation._AT_ONCE = 2
