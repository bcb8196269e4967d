"""The cloud of the load proof, in a process of its own: many machines of a few disks.

    python -m benchmarks.load.cloud DIRECTORY INSTANCES ACCOUNTS SNAPSHOT_SECONDS IMAGE…

Every machine's volume is one of the images, shared: nobody writes there, so a snapshot is a link.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.server import run

FIRST_ACCOUNT = 123456789012


def accounts(count: int) -> list[str]:
    """Their numbers; the first is the one whose credentials the workers have."""
    return [str(FIRST_ACCOUNT + number) for number in range(count)]


def machines(count: int, owners: list[str], images: list[Path]) -> list[dict[str, Any]]:
    """Images in turn, accounts in turn of whole rounds of images: each has its share of each."""
    return [
        {
            "name": f"{images[number % len(images)].stem}-{number}",
            "images": [str(images[number % len(images)])],
            "account": owners[number // len(images) % len(owners)],
            "immutable": True,
        }
        for number in range(count)
    ]


def ready(line: str) -> None:
    """Report that all machines run.

    They live as long as the process: without them the collector's full runs are short. With them
    each holds up the calls that arrive, and then counts them as of one moment.
    """
    gc.collect()
    gc.freeze()
    print(line, flush=True)


def main(directory: str, count: str, owners: str, seconds: str, *images: str) -> None:
    """Serve until SIGTERM; the environment on standard output when all machines run."""
    run(
        Path(directory),
        machines=machines(int(count), accounts(int(owners)), [Path(image) for image in images]),
        say=ready,
        conditions=KIND,  # what is measured is our pace, and not the cloud's throttles
        snapshot_seconds=float(seconds),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
