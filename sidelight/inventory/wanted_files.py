"""Read wanted files of a machine, each once, in physical order, and give them to extractors.

Whatever a file holds, the next one is read: a fault of a format, a crash of an extractor and a
spent deadline are Problems with the path.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sidelight.errors import SidelightError
from sidelight.inventory import read_ahead
from sidelight.inventory.allowance import Allowance
from sidelight.inventory.dependencies.machine_dependencies import MachineDependencies
from sidelight.inventory.protocol import Machine, ReadsInSteps
from sidelight.inventory.registry import DATABASES
from sidelight.inventory.treefile import Deadline, TreeFile, TreeRoot, WantedFileRef
from sidelight.model import OperatingSystem, ReadingOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from sidelight.inventory.ownership import Ownership
    from sidelight.inventory.protocol import Extraction, Extractor, ReadAhead
    from sidelight.inventory.treefile import Tree
    from sidelight.model import ConfiguredListener, Package, Problem

# Bytes at an archive's end that hold its directory, of most archives wholly.
_TAIL = 64 << 10
# Files that are read in steps at once, and blocks of a snapshot that these fetch at once: with
# those that a part reaches into, no more than `prefetch` begins with. So each is kept until it is
# read.
_FILES_AT_ONCE = 64
_BLOCKS_AT_ONCE = 48
_BLOCK = 512 << 10  # bytes
MAX_LISTENERS = 2_000  # of one machine


@dataclass(frozen=True, slots=True)
class CollectOptions(ReadingOptions):
    """How to collect: how the machine is read, and by which monotonic `clock`, in seconds."""

    clock: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class Collected:
    """The software of one machine.

    `owned`: wanted files that were left out since a package of the distribution owns them, and
    its advisories speak of them. `left_out`: container runtimes' directories that were not read.
    `skipped`: globs of options, each with the number of directories. `dependencies`: as those of
    `Inventory`.
    """

    os: OperatingSystem = field(default_factory=OperatingSystem)
    packages: list[Package] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    owned: int = 0
    files: int = 0
    left_out: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    listeners: list[ConfiguredListener] = field(default_factory=list)
    dependencies: list[tuple[int, ...] | None] = field(default_factory=list)


@dataclass(slots=True)
class _StepReading:
    """An extractor's reading of a file, at a step."""

    place: WantedFileRef
    name: str
    size: int
    deadline: Deadline
    steps: Generator[ReadAhead, None, Extraction]
    ranges: list[tuple[int, int]] = field(default_factory=list)

    def look(self, step: ReadAhead) -> None:
        """Take the ranges, cut to the file."""
        self.ranges = [
            (begin, min(length, self.size - begin))
            for begin, length in step.ranges
            if 0 <= begin < self.size and length > 0
        ]

    def blocks(self) -> int:
        """Return about how many blocks it reads next."""
        return len(
            {
                block
                for begin, length in self.ranges
                for block in range(begin // _BLOCK, (begin + length) // _BLOCK + 1)
            }
        )


class _ReadingTurns:
    """Files that are read in steps, in turn."""

    def __init__(self) -> None:
        self.runs: deque[_StepReading] = deque()

    @property
    def are_full(self) -> bool:
        return len(self.runs) >= _FILES_AT_ONCE

    def take(self) -> list[_StepReading]:
        """Take the first files, as many as read no more blocks next than are fetched at once."""
        taken, blocks = [self.runs.popleft()], 0
        blocks = taken[0].blocks()
        while self.runs:
            blocks += self.runs[0].blocks()
            if blocks > _BLOCKS_AT_ONCE:
                break
            taken.append(self.runs.popleft())
        return taken


class WantedFiles:
    """The files of one machine that extractors read, and what was found in them."""

    def __init__(
        self, tree: Tree, options: CollectOptions, extractors: Sequence[Extractor]
    ) -> None:
        self.deadline = Deadline(options.clock, options.machine_seconds, "this machine")
        self.collected = Collected()
        self.allowance = Allowance()
        self.machines: dict[TreeRoot, Machine] = {}
        self.owned: dict[TreeRoot, Ownership] = {}
        self.dependencies = MachineDependencies(self.allowance.problem)
        self.databases: dict[TreeRoot, WantedFileRef] = {}  # the first file of one
        self._tree = tree
        self._options = options
        self._extractors = extractors

    def extract_all(self, jobs: Sequence[tuple[WantedFileRef, int]]) -> None:
        """Give every file to its extractor: whole files in physical order, then the others."""
        ahead: dict[int, list[tuple[WantedFileRef, int]]] = {}
        others = []
        for job in jobs:
            wants = self._extractors[job[1]].wants
            if wants.random_access:
                others.append(job)
            else:
                ahead.setdefault(wants.limit, []).append(job)
        for limit, group in ahead.items():
            wanted_by: dict[tuple[int, int, bytes, TreeRoot], list[int]] = {}
            for place, index in group:
                wanted_by.setdefault(_key(place), []).append(index)
            places = {_key(place): place for place, _ in group}
            for place, data in self.contents(list(places.values()), limit):
                for index in wanted_by[_key(place)]:
                    self._extract(place, index, data)
        self.extract_at(others, tail_of)

    def expect(
        self,
        jobs: Iterable[tuple[WantedFileRef, int]],
        whole: Iterable[WantedFileRef] = (),
        heads: Iterable[WantedFileRef] = (),
    ) -> None:
        """Begin to fetch what `extract_all` of these jobs looks at first, and other files.

        Of `heads` the first bytes. What comes one after the other for its meaning comes in one
        round of calls then.
        """
        others, pieces = [], []
        for place, index in jobs:
            wants = self._extractors[index].wants
            if wants.random_access:
                others.append(place)
            else:
                pieces.append((place.fs, (place.inode, 0, wants.limit)))
        sizes = read_ahead.sizes(others)
        pieces += [
            (place.fs, (place.inode, *tail_of(place, sizes[key])))
            for place in others
            if (key := read_ahead.file_key(place)) in sizes
        ]
        pieces += [(place.fs, (place.inode, 0, _TAIL)) for place in whole]
        pieces += [(place.fs, (place.inode, 0, 1)) for place in heads]
        self._tree.prefetch(pieces)

    def extract_at(
        self,
        jobs: Sequence[tuple[WantedFileRef, int]],
        first: Callable[[WantedFileRef, int], tuple[int, int]],
    ) -> None:
        """Files that are read at offsets; `first(place, size)` is the part looked at first."""
        sizes = read_ahead.sizes(place for place, _ in jobs)
        wanted_by: dict[WantedFileRef, list[int]] = {}
        for place, index in jobs:
            if read_ahead.file_key(place) in sizes:
                wanted_by.setdefault(place, []).append(index)

        def part(place: WantedFileRef) -> tuple[int, int]:
            return first(place, sizes[read_ahead.file_key(place)])

        turns = _ReadingTurns()
        for place, _ in self.in_time(read_ahead.parts(self._tree, list(wanted_by), part)):
            # What cannot be read is reported by the extractor that needs it.
            for index in wanted_by[place]:
                self._extract(place, index, None, sizes[read_ahead.file_key(place)], turns)
            if turns.are_full:
                self._finish(turns)
        self._finish(turns)

    def _extract(
        self,
        place: WantedFileRef,
        index: int,
        data: bytes | SidelightError | None,
        size: int = 0,
        turns: _ReadingTurns | None = None,
    ) -> None:
        """Run one extractor over one file; whatever happens, the scan goes on.

        With `turns`, one that reads in steps is left there where it says what it reads next.
        """
        extractor = self._extractors[index]
        if extractor.name in DATABASES:
            self.databases.setdefault(place.root, place)
        if isinstance(data, SidelightError):
            self.problem(place, data.what)
            return
        limit = extractor.wants.limit
        size = size if data is None else len(data)
        if size > limit:
            self.problem(place, f"{size} bytes; the limit of {extractor.name} is {limit}")
            return
        deadline = self.deadline.within(self._options.file_seconds, "this file")
        file = TreeFile(self._tree, place, size=size, data=data, limit=limit, deadline=deadline)
        self.collected.files += 1
        machine = self.machine(place.root)
        if turns is not None and isinstance(extractor, ReadsInSteps):
            run = _StepReading(
                place, extractor.name, size, deadline, extractor.steps(file, machine)
            )
            self._go_on(run, turns)
            return
        with self._guarded(place, extractor.name):
            self._keep(place, extractor.name, deadline, extractor.extract(file, machine))

    def _go_on(self, run: _StepReading, turns: _ReadingTurns) -> None:
        """Go to the file's next step, or to its end."""
        with self._guarded(run.place, run.name):
            try:
                step = next(run.steps)
            except StopIteration as end:
                found: Extraction = end.value
                self._keep(run.place, run.name, run.deadline, found)
            else:
                run.deadline.pause()
                run.look(step)
                turns.runs.append(run)

    def _finish(self, turns: _ReadingTurns) -> None:
        """Fetch what many files read next at once, and go on with each, until all are done."""
        while turns.runs:
            runs = turns.take()
            self._tree.prefetch(
                (run.place.fs, (run.place.inode, offset, length))
                for run in runs
                for offset, length in run.ranges
            )
            for run in runs:
                if self._spent(run.place):
                    turns.runs.clear()
                    return
                run.deadline.resume(self.deadline)
                self._go_on(run, turns)

    @contextmanager
    def _guarded(self, place: WantedFileRef, name: str) -> Iterator[None]:
        """Make a Problem of what an extractor raises."""
        try:
            yield
        except SidelightError as error:
            self.problem(place, error.what)
        except MemoryError:
            raise  # the process's, not the file's: what is read next would fail as well
        except Exception as error:  # noqa: BLE001 - one extractor's bug must not lose a machine
            self.problem(place, f"{name} failed: {type(error).__name__}: {error}")

    def _keep(self, place: WantedFileRef, name: str, deadline: Deadline, found: Extraction) -> None:
        self._take(place, found)
        self._listen(place, found.listeners)
        if (owned := self.owned.get(place.root)) is not None:
            owned.take(found)
        if deadline.passed:
            self.problem(place, f"{name} took more than the time for one file")

    def _listen(self, place: WantedFileRef, listeners: Sequence[ConfiguredListener]) -> None:
        """Keep the listeners of the machine's own root: another root's network is not known."""
        if place.root.layer or place.root.path:
            return
        room = MAX_LISTENERS - len(self.collected.listeners)
        self.collected.listeners += listeners[: max(0, room)]
        if len(listeners) > max(0, room):
            what = f"this machine has more than {MAX_LISTENERS} listeners: the rest is left out"
            self.problem(place, what)

    def _take(self, place: WantedFileRef, found: Extraction) -> None:
        root = place.root
        above = f"/{_text(root.path)}" if root.layer and root.path else ""
        packages: Iterable[Package] = found.packages
        if root.layer:
            packages = (
                replace(package, path=above + package.path, layer=root.layer)
                for package in packages
            )
        kept = list(self.allowance.packages(packages))
        self.collected.packages += kept
        for problem in found.problems:
            self.allowance.problem(above + problem.where, problem.what)
        # Where some are left out, a Problem says so, and the indexes are not those of the rest.
        if len(kept) == len(found.packages) and (found.requires or found.declared):
            self.dependencies.take(root, kept, found.requires, found.declared)

    def contents(
        self, places: Sequence[WantedFileRef], limit: int
    ) -> Iterator[tuple[WantedFileRef, bytes | SidelightError]]:
        """Each file's contents once, for every path that it has."""
        return self.in_time(read_ahead.whole(self._tree, places, limit))

    def in_time(
        self, read: Iterator[tuple[WantedFileRef, bytes | SidelightError]]
    ) -> Iterator[tuple[WantedFileRef, bytes | SidelightError]]:
        """Yield what is read until the machine's time is spent, which is a Problem."""
        for place, data in read:
            if self._spent(place):
                return
            yield place, data

    def _spent(self, place: WantedFileRef) -> bool:
        if not self.deadline.passed:
            return False
        self.problem(place, "this file and those after it were not read: the time is spent")
        return True

    def problem(self, place: WantedFileRef, what: str) -> None:
        """Add a problem of a file."""
        self.allowance.problem(place.shown, what)

    def machine(self, root: TreeRoot) -> Machine:
        """Return who the machine below a root is; an unknown one before it is identified."""
        found = self.machines.get(root)
        return found if found is not None else Machine(OperatingSystem())


def tail_of(_: WantedFileRef, size: int) -> tuple[int, int]:
    """The part of a file that is looked at first where it is read at offsets: its end."""
    return max(0, size - _TAIL), min(size, _TAIL)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _key(place: WantedFileRef) -> tuple[int, int, bytes, TreeRoot]:
    return id(place.fs), place.inode, place.path, place.root
