"""`sidelight ls`, `cat` and `tree`: look into a machine's disks by path."""

from __future__ import annotations

import stat
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from dispatcher.commands.scanning import kept_blocks, reading_options
from dispatcher.targets import Targets
from sidelight.disk.names import attachments_of
from sidelight.errors import DamagedError, FormatError, PathError, SourceError
from sidelight.filesystems.protocol import Kind
from sidelight.report.as_table import printable
from sidelight.scan import Options, open_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.filesystems.mounts import MachineTree
    from sidelight.filesystems.protocol import Entry

PIECE = 4 << 20  # bytes of a file written at a time
PARTIAL = 3


@click.command("ls")
@reading_options
@click.argument("path")
@click.option("-l", "--long", "long", is_flag=True, help="Mode, owner, size and time too.")
def list_directory(path: str, *, long: bool, **given: Any) -> None:
    """List a directory (or show one file) of TARGET at PATH."""
    with machine_tree(given) as tree:
        place = tree.place(path, follow=not long)
        if place.kind == Kind.DIRECTORY:
            entries = sorted(tree.listdir(path))
        else:
            name = path.rstrip("/").rpartition("/")[2]
            entries = [(name.encode("utf-8", "surrogateescape"), place.inode, int(place.kind))]
        if not long:
            for entry in entries:
                click.echo(text(entry[0]))
            return
        base = path if place.kind == Kind.DIRECTORY else path.rstrip("/").rpartition("/")[0]
        # All at once, so that a snapshot's blocks are fetched together.
        place.mount.fs.inodes([entry[1] for entry in entries])
        for entry in entries:
            click.echo(long_line(tree, base, entry))


@click.command()
@reading_options
@click.argument("path")
def cat(path: str, **given: Any) -> None:
    """Write a file of TARGET at PATH to standard output."""
    with machine_tree(given) as tree:
        offset = 0
        while piece := tree.read(path, offset, PIECE):
            sys.stdout.buffer.write(piece)
            offset += len(piece)
        sys.stdout.buffer.flush()


@click.command()
@reading_options
@click.argument("path", default="/")
def tree(path: str, **given: Any) -> None:
    """Print every path of TARGET below PATH."""
    with machine_tree(given) as machine:
        for level in machine.walk(top=path):
            for directory, _, _, entries in level:
                for name, _, kind in sorted(entries):
                    whole = b"/" + directory + b"/" + name if directory else b"/" + name
                    click.echo(text(whole) + ("/" if kind == Kind.DIRECTORY else ""))


@contextmanager
def machine_tree(given: dict[str, Any]) -> Iterator[MachineTree]:
    """The machine's tree; its Problems go to stderr at the end, with exit status 3."""
    with Targets(
        given["targets"],
        in_flight=given["in_flight"],
        budget=given["cache"] << 20,
        region=given["region"],
        kept=kept_blocks(given["block_cache"]),
    ) as targets:
        options = Options(given["reader"], attachments_of(given["volumes"]))
        machine, problems = open_machine(targets.sources, options)
        if not machine.filesystems:
            first = next(iter([*problems, *machine.problems]), None)
            raise DamagedError(
                first.what if first else "no filesystem was found",
                where=first.where if first else ", ".join(given["targets"]),
            )
        yield machine
        found = list(dict.fromkeys([*problems, *machine.problems]))
    for problem in found:
        click.echo(f"sidelight: {printable(problem.where)}: {printable(problem.what)}", err=True)
    if found:
        sys.exit(PARTIAL)


def long_line(machine: MachineTree, directory: str, entry: Entry) -> str:
    """One line as `ls -ln --time-style=long-iso` writes it, in UTC; question marks for damage."""
    name = entry[0]
    whole = directory.rstrip("/").encode("utf-8", "surrogateescape") + b"/" + name
    try:
        inode = machine.stat(whole, follow=False)
        target = machine.readlink(whole) if inode.kind == Kind.SYMLINK else b""
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
