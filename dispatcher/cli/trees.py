"""`sidelight ls`, `cat` and `tree`: read a machine's disks by path."""

from __future__ import annotations

import stat
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from dispatcher.cli.exit_status import PARTIAL
from dispatcher.cli.scan import opened_targets, reading_options
from dispatcher.cli.setting_options import READING, takes_settings
from sidelight.errors import DamagedError, FormatError, PathError, SourceError
from sidelight.report.escape import printable
from sidelight.report.output import complain, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dispatcher.cli.option_values import ReadValues
    from sidelight.filesystems.machine.mount_table import MachineTree
    from sidelight.filesystems.protocol import Entry
    from sidelight.fleet.settings import Settings

PIECE = 4 << 20  # bytes of a file written at a time
ROOT = "/"


def tree_arguments(command: Callable[..., None]) -> Callable[..., None]:
    """Add TARGET... [PATH]; the path is last, as in `ls disk.img /etc`."""
    return click.argument("words", nargs=-1, required=True, metavar="TARGET... [PATH]")(command)


def targets_and_path(words: tuple[str, ...], default: str | None = ROOT) -> tuple[list[str], str]:
    """Return the targets, and the path in their tree: the last of several words.

    A single word is a target. So is a last word that is not a path but names a target: an existing
    file, or ebs:snap-ID. Raises click.UsageError where a path is missing.
    """
    targets, path = list(words[:-1]), words[-1]
    is_target = not path.startswith("/") and (path.startswith("ebs:") or Path(path).exists())
    if targets and not is_target:
        return targets, path
    if default is None:
        raise click.UsageError("Missing argument 'PATH'.")
    return list(words), default


@click.command("ls")
@tree_arguments
@reading_options
@takes_settings(*READING)
@click.option("-l", "--long", "long", is_flag=True, help="Show mode, owner, size and time too.")
def list_directory(
    words: tuple[str, ...], *, long: bool, settings: Settings, **options: Unpack[ReadValues]
) -> None:
    """List a directory of a machine's disks.

    PATH is a path on the machine, `/` if it is left out. If it is a file, that file is listed.
    """
    from sidelight.filesystems.protocol import InodeKind

    options["targets"], path = targets_and_path(words)
    with machine_tree(settings, options) as tree:
        place = tree.locate(path, follow=not long)
        if place.kind == InodeKind.DIRECTORY:
            entries = sorted(tree.listdir(path))
        else:
            name = path.rstrip("/").rpartition("/")[2]
            entries = [(name.encode("utf-8", "surrogateescape"), place.inode, int(place.kind))]
        if not long:
            for entry in entries:
                say(text(entry[0]), flush=False)
            return
        base = path if place.kind == InodeKind.DIRECTORY else path.rstrip("/").rpartition("/")[0]
        # All in one call, so that a snapshot's blocks are fetched together.
        place.mount.fs.inodes([entry[1] for entry in entries])
        for entry in entries:
            say(long_line(tree, base, entry), flush=False)


@click.command()
@tree_arguments
@reading_options
@takes_settings(*READING)
def cat(words: tuple[str, ...], *, settings: Settings, **options: Unpack[ReadValues]) -> None:
    """Write a file of a machine's disks to standard output.

    PATH is a path on the machine.
    """
    options["targets"], path = targets_and_path(words, None)
    with machine_tree(settings, options) as tree:
        offset = 0
        while piece := tree.read(path, offset, PIECE):
            sys.stdout.buffer.write(piece)
            offset += len(piece)
        sys.stdout.buffer.flush()


@click.command()
@tree_arguments
@reading_options
@takes_settings(*READING)
def tree(words: tuple[str, ...], *, settings: Settings, **options: Unpack[ReadValues]) -> None:
    """List every path of a machine's disks.

    PATH is a path on the machine, `/` if it is left out: only paths below it are listed.
    """
    from sidelight.filesystems.protocol import InodeKind

    options["targets"], path = targets_and_path(words)
    with machine_tree(settings, options) as machine:
        for level in machine.walk(top=path):
            for directory, _, _, entries in level:
                for name, _, kind in sorted(entries):
                    whole = b"/" + directory + b"/" + name if directory else b"/" + name
                    say(text(whole) + ("/" if kind == InodeKind.DIRECTORY else ""), flush=False)


@contextmanager
def machine_tree(settings: Settings, options: ReadValues) -> Iterator[MachineTree]:
    """Yield the machine's tree; report its Problems on stderr at the end, with exit status 3."""
    from sidelight.disk.device_names import attachments_of
    from sidelight.scan import ScanOptions, open_machine

    with opened_targets(options, settings) as targets:
        scan_options = ScanOptions(options["reader"], attachments_of(options["volumes"]))
        machine, problems = open_machine(targets.sources, scan_options)
        if not machine.filesystems:
            first = next(iter([*problems, *machine.problems]), None)
            raise DamagedError(
                first.what if first else "no filesystem was found",
                where=first.where if first else ", ".join(options["targets"]),
            )
        yield machine
        all_problems = list(dict.fromkeys([*problems, *machine.problems]))
    for problem in all_problems:
        complain(f"sidelight: {problem.where}: {problem.what}")
    if all_problems:
        sys.exit(PARTIAL)


def long_line(machine: MachineTree, directory: str, entry: Entry) -> str:
    """One line as `ls -ln --time-style=long-iso` writes it, in UTC; question marks for damage."""
    from sidelight.filesystems.protocol import InodeKind

    name = entry[0]
    whole = directory.rstrip("/").encode("utf-8", "surrogateescape") + b"/" + name
    try:
        inode = machine.stat(whole, follow=False)
        target = machine.readlink(whole) if inode.kind == InodeKind.SYMLINK else b""
    except (PathError, FormatError, SourceError):
        # What is wrong with it is among the Problems.
        return f"?{'?' * 9} {'?':>3} {'?':>5} {'?':>5} {'?':>10} {'?':>16} {text(name)}"
    line = (
        f"{stat.filemode(inode.mode)} {inode.links:>3} {inode.uid:>5} {inode.gid:>5} "
        f"{inode.size:>10} {when(inode.mtime_ns)} {text(name)}"
    )
    return f"{line} -> {text(target)}" if target else line


def when(nanoseconds: int) -> str:
    """A time to the minute, in UTC; seconds where no calendar has it."""
    seconds = nanoseconds // 10**9
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:>16}"


def text(name: bytes) -> str:
    """A name for a terminal: what is not printable is escaped."""
    return printable(name.decode("utf-8", "backslashreplace"))
