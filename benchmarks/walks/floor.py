"""The 512 KiB blocks that a walk cannot do without, as debugfs, xfs_db and the kernel list them.

The blocks of the superblock, of each directory's inode, of its entries, and of the extent or
indirect blocks that lead to these. A log or journal is listed apart: a walk must
look where it ends.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from benchmarks.walks.counted import BLOCK
from tests.images.kernel import CLEAN_OPTIONS, mounted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Directory entries lie below this place of a directory in XFS, its hash index at and above.
LEAVES = 32 << 30


def floor(image: Path, kind: str) -> tuple[set[int], set[int]]:
    """(blocks that a walk needs, blocks of the log)."""
    with mounted(image, kind, CLEAN_OPTIONS[kind]) as top:
        numbers = [os.lstat(path).st_ino for path in _directories(os.fsencode(top))]
    return _xfs(image, numbers) if kind == "xfs" else (_ext(image, numbers), set())


def _directories(top: bytes) -> Iterator[bytes]:
    for path, _, _ in os.walk(top):
        yield path


def _ext(image: Path, numbers: list[int]) -> set[int]:
    output = _run(
        ["debugfs", "-f", "-", str(image)],
        "stats -h\n" + "".join(f"imap <{number}>\nblocks <{number}>\n" for number in numbers),
    )
    match = re.search(r"Block size:\s+(\d+)", output)
    assert match
    size = int(match[1])
    found = {0}
    for inode, blocks in re.findall(
        r"located at block (\d+), offset.*\n(?:debugfs: blocks .*\n)?([\d ]+)\n", output
    ):
        found.update(int(block) * size // BLOCK for block in (inode, *blocks.split()))
    assert len(re.findall("located at block", output)) == len(numbers)
    return found


def _xfs(image: Path, numbers: list[int]) -> tuple[set[int], set[int]]:
    output = _run(
        ["xfs_db", "-r", str(image)], "sb 0\np blocksize agblocks logstart logblocks agblklog\n"
    )
    sb = {name: int(value) for name, value in re.findall(r"(\w+) = (\d+)", output)}
    size = sb["blocksize"]

    def place(block: int) -> int:
        group, within = divmod(block, 1 << sb["agblklog"])
        return (group * sb["agblocks"] + within) * size

    start = place(sb["logstart"])
    log = set(range(start // BLOCK, (start + sb["logblocks"] * size - 1) // BLOCK + 1))
    output = _run(
        ["xfs_db", "-r", str(image)], "".join(f"inode {n}\ndaddr\nbmap -d\n" for n in numbers)
    )
    found = {0}
    found.update(
        int(daddr) * 512 // BLOCK for daddr in re.findall(r"current daddr is (\d+)", output)
    )
    for offset, block, count in re.findall(
        r"data offset (\d+) startblock (\d+) \(\d+/\d+\) count (\d+)", output
    ):
        if int(offset) * size < LEAVES:
            begin = place(int(block))
            found.update(range(begin // BLOCK, (begin + int(count) * size - 1) // BLOCK + 1))
    return found, log


def _run(command: list[str], commands: str) -> str:
    done = subprocess.run(command, input=commands, capture_output=True, text=True, check=False)
    return done.stdout
