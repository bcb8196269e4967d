"""Everything installed on one machine: one walk, then each wanted file once, in physical order.

The order is what decides ownership: who the machine is; the databases of its package managers,
which say which files they own; then all other files that nobody owns; executables last.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sidelight.errors import SidelightError
from sidelight.inventory import executables, kernels, os_release, read_ahead
from sidelight.inventory.ownership import Ownership
from sidelight.inventory.protocol import Machine
from sidelight.inventory.registry import DATABASES, EXTRACTORS
from sidelight.inventory.survey import Survey, Surveyor
from sidelight.inventory.treefile import Deadline, Place, Root, TreeFile
from sidelight.inventory.wanted import WantedTable
from sidelight.model import OperatingSystem, Package, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sidelight.inventory.protocol import Extractor
    from sidelight.inventory.treefile import Tree
    from sidelight.inventory.wanted import Chosen


# Bytes at an archive's end that hold its directory, of most archives wholly.
_TAIL = 64 << 10
# Programs whose section headers are fetched together: no more than calls under way at once.
_PROGRAMS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Options:
    """How to collect. Times in seconds; `clock` is monotonic.

    `include_containers`: also what container runtimes keep, each package labelled with its runtime.
    """

    include_containers: bool = False
    file_seconds: float = 60.0
    machine_seconds: float = 1800.0
    clock: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class Collected:
    """The software of one machine.

    `owned`: wanted files that were left out since an OS package owns them and reports them.
    """

    os: OperatingSystem = field(default_factory=OperatingSystem)
    packages: list[Package] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    owned: int = 0
    files: int = 0


def collect(
    tree: Tree,
    options: Options = Options(),
    extractors: Sequence[Extractor] = EXTRACTORS,
) -> Collected:
    """The packages of a machine, sorted; what could not be read is among `problems`.

    Never raises for what is on the disks: a format's fault, a crash of an extractor and a spent
    deadline are Problems with the path, and the rest goes on.
    """
    return _Collector(tree, options, extractors).run()


class _Collector:
    def __init__(self, tree: Tree, options: Options, extractors: Sequence[Extractor]) -> None:
        self._tree = tree
        self._options = options
        self._extractors = extractors
        self._deadline = Deadline(options.clock, options.machine_seconds, "this machine")
        self._out = Collected()
        # The release files and the boot loader's are wanted by none of the extractors.
        self._release, self._boot = len(extractors), len(extractors) + 1
        self._machines: dict[Root, Machine] = {}
        self._owned: dict[Root, Ownership] = {}
        self._databases: dict[Root, Place] = {}  # the first file of one

    def run(self) -> Collected:
        table = WantedTable(self._extractors)
        for path in os_release.PATHS:
            table.add_path(path, self._release)
        for path in kernels.PATHS:
            table.add_path(path, self._boot)
        for path in kernels.DIRECTORIES:
            table.add_directory(path, self._boot)
        surveyor = Surveyor(
            self._tree,
            table,
            self._deadline,
            include_containers=self._options.include_containers,
        )
        found = surveyor.run()
        self._out.problems += found.problems
        self._owned = {root: Ownership(pairs) for root, pairs in found.merged.items()}
        self._identify(found)
        jobs = [
            (place, index)
            for place, chosen in found.files
            for index in chosen
            if index < len(self._extractors)
        ]
        self._extract_all([job for job in jobs if self._of_os(job[1])])
        self._extract_all(
            [job for job in jobs if not self._of_os(job[1]) and self._is_free(job[0])]
        )
        self._executables(found.candidates, table.executables)
        self._check_databases()
        release = self._kernel(found)
        packages = dict.fromkeys(self._out.packages)
        self._out.packages = kernels.mark(sorted(packages, key=_order), release)
        self._out.problems = list(dict.fromkeys(self._out.problems))
        return self._out

    # --- who the machine is ---

    def _identify(self, found: Survey) -> None:
        files: dict[Root, dict[str, bytes]] = {}
        places = [place for place, chosen in found.files if self._release in chosen]
        for place, data in self._contents(places, os_release.LIMIT):
            if isinstance(data, SidelightError):
                self._problem(place, data.what)
            else:
                path = _text(place.path)
                files.setdefault(place.root, {})[path] = data
        for root in {*files, *found.roots}:
            system = os_release.identify(files.get(root, {}))
            self._machines[root] = Machine(system)
            if root == Root():
                self._out.os = system

    def _kernel(self, found: Survey) -> str:
        """The release that boots. Images are known by name; only configuration is read."""
        boot = [
            place for place, chosen in found.files if self._boot in chosen and not place.root.layer
        ]
        images = [_text(place.path) for place in boot if _in_boot(place)]
        files: dict[str, bytes] = {}
        for place, data in self._contents(
            [place for place in boot if not _in_boot(place)], kernels.LIMIT
        ):
            if isinstance(data, bytes):
                files[_text(place.path)] = data
            else:
                self._problem(place, data.what)
        self._out.packages += kernels.built_by_hand(self._out.packages, images)
        return kernels.booted(files, images)

    def _machine(self, root: Root) -> Machine:
        found = self._machines.get(root)
        return found if found is not None else Machine(OperatingSystem())

    # --- what is installed ---

    def _of_os(self, index: int) -> bool:
        return self._extractors[index].name.startswith("os/")

    def _is_free(self, place: Place) -> bool:
        """Whether no OS package owns the file. Those that one owns are counted."""
        owned = self._owned.get(place.root)
        if owned is None or _text(place.path) not in owned:
            return True
        self._out.owned += 1
        return False

    def _extract_all(self, jobs: Sequence[tuple[Place, int]]) -> None:
        """Give every file to its extractor: whole files in physical order, then the others."""
        ahead: dict[int, list[tuple[Place, int]]] = {}
        others = []
        for job in jobs:
            wants = self._extractors[job[1]].wants
            if wants.random_access:
                others.append(job)
            else:
                ahead.setdefault(wants.limit, []).append(job)
        for limit, group in ahead.items():
            wanted_by: dict[tuple[int, int, bytes, Root], list[int]] = {}
            for place, index in group:
                wanted_by.setdefault(_key(place), []).append(index)
            places = {_key(place): place for place, _ in group}
            for place, data in self._contents(list(places.values()), limit):
                for index in wanted_by[_key(place)]:
                    self._extract(place, index, data)
        self._extract_at(others, lambda _, size: (max(0, size - _TAIL), min(size, _TAIL)))

    def _extract_at(
        self,
        jobs: Sequence[tuple[Place, int]],
        first: Callable[[Place, int], tuple[int, int]],
    ) -> None:
        """Files that are read at offsets; `first(place, size)` is the part looked at first."""
        sizes = read_ahead.sizes(place for place, _ in jobs)
        wanted_by: dict[Place, list[int]] = {}
        for place, index in jobs:
            if read_ahead.file_key(place) in sizes:
                wanted_by.setdefault(place, []).append(index)

        def part(place: Place) -> tuple[int, int]:
            return first(place, sizes[read_ahead.file_key(place)])

        for place, _ in self._in_time(read_ahead.parts(self._tree, list(wanted_by), part)):
            # What cannot be read is told by the extractor that needs it.
            for index in wanted_by[place]:
                self._extract(place, index, None, sizes[read_ahead.file_key(place)])

    def _extract(
        self, place: Place, index: int, data: bytes | SidelightError | None, size: int = 0
    ) -> None:
        """Run one extractor over one file; whatever happens, the scan goes on."""
        extractor = self._extractors[index]
        if extractor.name in DATABASES:
            self._databases.setdefault(place.root, place)
        if isinstance(data, SidelightError):
            self._problem(place, data.what)
            return
        limit = extractor.wants.limit
        size = size if data is None else len(data)
        if size > limit:
            self._problem(place, f"{size} bytes; the limit of {extractor.name} is {limit}")
            return
        deadline = Deadline(self._options.clock, self._options.file_seconds, "this file")
        file = TreeFile(self._tree, place, size=size, data=data, limit=limit, deadline=deadline)
        self._out.files += 1
        try:
            found = extractor.extract(file, self._machine(place.root))
        except SidelightError as error:
            self._problem(place, error.what)
        except Exception as error:  # noqa: BLE001 - one extractor's bug must not lose a machine
            what = f"{extractor.name} failed: {type(error).__name__}: {error}"
            self._problem(place, what[:500])
        else:
            self._take(place, found.packages, found.problems)
            if found.owned:
                self._owned.setdefault(place.root, Ownership(())).add(found.owned)
            if deadline.passed:
                self._problem(place, f"{extractor.name} took more than the time for one file")

    def _take(self, place: Place, packages: Sequence[Package], problems: Sequence[Problem]) -> None:
        root = place.root
        if not root.layer:
            self._out.packages += packages
            self._out.problems += problems
            return
        above = f"/{root.path.decode('utf-8', 'surrogateescape')}" if root.path else ""
        self._out.packages += (
            replace(package, path=above + package.path, layer=root.layer) for package in packages
        )
        self._out.problems += (Problem(above + item.where, item.what) for item in problems)

    def _executables(self, candidates: Sequence[Place], wanted_by: Chosen) -> None:
        """Give ELF files that no OS package owns to who wants executables."""
        free = [place for place in candidates if self._is_free(place)]
        heads: dict[Place, bytes] = {}
        begin = (0, executables.HEAD)
        for place, head in self._in_time(read_ahead.parts(self._tree, free, lambda _: begin)):
            if isinstance(head, SidelightError):
                self._problem(place, head.what)
            elif head.startswith(executables.ELF):
                heads[place] = head
            if len(heads) >= _PROGRAMS_AT_ONCE:
                self._programs(heads, wanted_by)
                heads = {}
        self._programs(heads, wanted_by)

    def _programs(self, heads: Mapping[Place, bytes], wanted_by: Chosen) -> None:
        jobs = [(place, index) for place in heads for index in wanted_by]
        self._extract_at(jobs, lambda place, _: executables.sections_of(heads[place]))

    # --- reading ---

    def _contents(
        self, places: Sequence[Place], limit: int
    ) -> Iterator[tuple[Place, bytes | SidelightError]]:
        """Each file's contents once, for every path that it has."""
        return self._in_time(read_ahead.whole(self._tree, places, limit))

    def _in_time(
        self, read: Iterator[tuple[Place, bytes | SidelightError]]
    ) -> Iterator[tuple[Place, bytes | SidelightError]]:
        for place, data in read:
            if self._spent(place):
                return
            yield place, data

    def _spent(self, place: Place) -> bool:
        if not self._deadline.passed:
            return False
        self._problem(place, "this file and those after it were not read: the time is spent")
        return True

    def _problem(self, place: Place, what: str) -> None:
        self._out.problems.append(Problem(place.shown, what))

    # --- unsupported never looks like clean ---

    def _check_databases(self) -> None:
        found, system = self._databases.get(Root()), self._out.os
        if found is None:
            who = system.pretty_name or system.id or "the operating system, if there is one"
            what = f"no package database is known for {who}: its packages are not in the inventory"
            self._out.problems.append(Problem("/", what))
        elif not any(package.type in _OS_TYPES for package in self._out.packages):
            self._problem(found, "the package database gave no package")
        if found is not None and not system.id:
            self._out.problems.append(
                Problem("/", "no release file names the operating system of these packages")
            )


_OS_TYPES = frozenset(("deb", "rpm", "apk", "alpm", "bottlerocket", "ebuild", "opkg"))


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _in_boot(place: Place) -> bool:
    return place.path.rpartition(b"/")[0] == kernels.IMAGES.encode()


def _key(place: Place) -> tuple[int, int, bytes, Root]:
    return id(place.fs), place.inode, place.path, place.root


def _order(package: Package) -> tuple[str, str, str, str, str]:
    return package.type, package.name, package.version, package.arch, package.path
