"""Everything installed on one machine: one walk, then each wanted file once, in physical order.

The order is what decides ownership: who the machine is; the databases of its package managers,
which say which files they own and who ships them; then all other files that no package of the
distribution owns; executables last.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from sidelight.errors import SidelightError
from sidelight.inventory import executables, kernels, os_release, read_ahead
from sidelight.inventory.allowance import Allowance
from sidelight.inventory.file_matcher import WantedTable
from sidelight.inventory.os import rpm_stores
from sidelight.inventory.ownership import Ownership
from sidelight.inventory.protocol import Extraction, Machine
from sidelight.inventory.registry import DATABASES, EXTRACTORS
from sidelight.inventory.tree_walk import Survey, Surveyor
from sidelight.inventory.treefile import Deadline, TreeFile, TreeRoot, WantedFileRef
from sidelight.model import OperatingSystem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sidelight.inventory.file_matcher import Chosen
    from sidelight.inventory.protocol import Extractor
    from sidelight.inventory.treefile import Tree
    from sidelight.model import Package, Problem


# Bytes at an archive's end that hold its directory, of most archives wholly.
_TAIL = 64 << 10
# Programs whose section headers are fetched together: no more than calls under way at once.
_PROGRAMS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class CollectOptions:
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

    `owned`: wanted files that were left out since a package of the distribution owns them, and
    its advisories speak of them. `left_out`: container runtimes' directories that were not read.
    """

    os: OperatingSystem = field(default_factory=OperatingSystem)
    packages: list[Package] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    owned: int = 0
    files: int = 0
    left_out: list[str] = field(default_factory=list)


def collect(
    tree: Tree,
    options: CollectOptions = CollectOptions(),
    extractors: Sequence[Extractor] = EXTRACTORS,
) -> Collected:
    """The packages of a machine, sorted; what could not be read is among `problems`.

    Never raises for what is on the disks: a format's fault, a crash of an extractor and a spent
    deadline are Problems with the path, and the rest goes on.
    """
    return _Collector(tree, options, extractors).run()


class _Collector:
    def __init__(
        self, tree: Tree, options: CollectOptions, extractors: Sequence[Extractor]
    ) -> None:
        self._tree = tree
        self._options = options
        self._extractors = extractors
        self._deadline = Deadline(options.clock, options.machine_seconds, "this machine")
        self._out = Collected()
        self._allowance = Allowance()
        # The release files and the boot loader's are wanted by none of the extractors.
        self._release, self._boot = len(extractors), len(extractors) + 1
        self._machines: dict[TreeRoot, Machine] = {}
        self._owned: dict[TreeRoot, Ownership] = {}
        self._databases: dict[TreeRoot, WantedFileRef] = {}  # the first file of one

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
            (
                self._release,
                *(at for at, one in enumerate(self._extractors) if one.name in DATABASES),
            ),
            include_containers=self._options.include_containers,
        )
        found = surveyor.run()
        for problem in found.problems:
            self._allowance.problem(problem.where, problem.what)
        self._out.left_out = found.left_out
        self._identify(found)
        jobs = [
            (place, index)
            for place, chosen in found.files
            for index in chosen
            if index < len(self._extractors)
        ]
        self._ask_of_owners(found, [job[0] for job in jobs if not self._of_os(job[1])])
        names = [extractor.name for extractor in self._extractors]
        of_os = (job for job in jobs if self._of_os(job[1]))
        self._extract_all(self._allowance.database_files(of_os, names))
        self._choose_rpm_stores()
        for owned in self._owned.values():
            owned.settle()
        self._extract_all(
            [job for job in jobs if not self._of_os(job[1]) and self._is_free(job[0])]
        )
        self._executables(found.candidates, table.executables)
        self._check_databases()
        release = self._kernel(found)
        packages = dict.fromkeys(self._out.packages)
        self._out.packages = kernels.mark(sorted(packages, key=_order), release)
        self._out.problems = self._allowance.all_problems()
        return self._out

    # --- who the machine is ---

    def _identify(self, found: Survey) -> None:
        files: dict[TreeRoot, dict[str, bytes]] = {}
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
            if root == TreeRoot():
                self._out.os = system

    def _kernel(self, found: Survey) -> str:
        """The release that boots. Images are known by name; only configuration is read."""
        boot = [
            place for place, chosen in found.files if self._boot in chosen and not place.root.layer
        ]
        images = [_text(place.path) for place in boot if _in_boot(place)]
        files: dict[str, bytes] = {}
        left = kernels.MAX_TEXT
        for place, data in self._contents(
            [place for place in boot if not _in_boot(place)], kernels.LIMIT
        ):
            if not isinstance(data, bytes):
                self._problem(place, data.what)
            elif len(data) > left:
                what = f"more than {kernels.MAX_TEXT >> 20} MiB of boot loaders' configuration"
                self._problem(place, f"{what}: the rest is not read")
                break
            else:
                left -= len(data)
                files[_text(place.path)] = data
        by_hand, problems = kernels.built_by_hand(self._out.packages, images)
        self._out.packages += self._allowance.packages(by_hand)
        for problem in problems:
            self._allowance.problem(problem.where, problem.what)
        return kernels.booted(files, images)

    def _machine(self, root: TreeRoot) -> Machine:
        found = self._machines.get(root)
        return found if found is not None else Machine(OperatingSystem())

    # --- what is installed ---

    def _choose_rpm_stores(self) -> None:
        """Of several rpm stores in one root, the one that rpm uses has packages and owns files."""
        roots: dict[str, TreeRoot] = {}
        for root in self._machines:
            above = f"/{_text(root.path)}" if root.path else ""
            roots[above] = root
        by_root: dict[str, tuple[list[Package], list[Problem]]] = {}
        for package in self._out.packages:
            by_root.setdefault(_root_of(package.path), ([], []))[0].append(package)
        for problem in self._allowance.problems:
            by_root.setdefault(_root_of(problem.where), ([], []))[1].append(problem)
        self._out.packages, self._allowance.problems = [], []
        for above, (packages, problems) in by_root.items():
            root = roots.get(above, TreeRoot())
            kept, left = rpm_stores.choose(packages, problems, self._machine(root).os.id)
            self._out.packages += kept
            self._allowance.problems += left
            if (owned := self._owned.get(root)) is not None:
                stores = {item.path for item in kept if rpm_stores.is_store(item.path)}
                used = {rpm_stores.owner_of(path.removeprefix(above)) for path in stores}
                owned.take(Extraction(installed=used))

    def _of_os(self, index: int) -> bool:
        return self._extractors[index].name.startswith("os/")

    def _ask_of_owners(self, found: Survey, places: Iterable[WantedFileRef]) -> None:
        """Prepare for each root to learn which of these files, and of programs, are owned."""
        asked: dict[TreeRoot, list[str]] = {}
        for place in chain(places, found.candidates):
            asked.setdefault(place.root, []).append(_text(place.path))
        self._owned = {
            root: Ownership(found.merged.get(root, ()), paths) for root, paths in asked.items()
        }

    def _is_free(self, place: WantedFileRef) -> bool:
        """Whether no package of the distribution owns the file. Those that one owns are counted."""
        if _text(place.path) not in self._owned[place.root]:
            return True
        self._out.owned += 1
        return False

    def _extract_all(self, jobs: Sequence[tuple[WantedFileRef, int]]) -> None:
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
            for place, data in self._contents(list(places.values()), limit):
                for index in wanted_by[_key(place)]:
                    self._extract(place, index, data)
        self._extract_at(others, lambda _, size: (max(0, size - _TAIL), min(size, _TAIL)))

    def _extract_at(
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

        for place, _ in self._in_time(read_ahead.parts(self._tree, list(wanted_by), part)):
            # What cannot be read is told by the extractor that needs it.
            for index in wanted_by[place]:
                self._extract(place, index, None, sizes[read_ahead.file_key(place)])

    def _extract(
        self, place: WantedFileRef, index: int, data: bytes | SidelightError | None, size: int = 0
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
        deadline = self._deadline.within(self._options.file_seconds, "this file")
        file = TreeFile(self._tree, place, size=size, data=data, limit=limit, deadline=deadline)
        self._out.files += 1
        try:
            found = extractor.extract(file, self._machine(place.root))
        except SidelightError as error:
            self._problem(place, error.what)
        except MemoryError:
            raise  # the process's, not the file's: what is read next would fail as well
        except Exception as error:  # noqa: BLE001 - one extractor's bug must not lose a machine
            self._problem(place, f"{extractor.name} failed: {type(error).__name__}: {error}")
        else:
            self._take(place, found.packages, found.problems)
            if (owned := self._owned.get(place.root)) is not None:
                owned.take(found)
            if deadline.passed:
                self._problem(place, f"{extractor.name} took more than the time for one file")

    def _take(
        self, place: WantedFileRef, packages: Sequence[Package], problems: Sequence[Problem]
    ) -> None:
        root = place.root
        if not root.layer:
            self._out.packages += self._allowance.packages(packages)
            for problem in problems:
                self._allowance.problem(problem.where, problem.what)
            return
        above = f"/{root.path.decode('utf-8', 'surrogateescape')}" if root.path else ""
        self._out.packages += self._allowance.packages(
            replace(package, path=above + package.path, layer=root.layer) for package in packages
        )
        for problem in problems:
            self._allowance.problem(above + problem.where, problem.what)

    def _executables(self, candidates: Sequence[WantedFileRef], wanted_by: Chosen) -> None:
        """Give ELF files that no OS package owns to who wants executables."""
        free = [place for place in candidates if self._is_free(place)]
        heads: dict[WantedFileRef, bytes] = {}
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

    def _programs(self, heads: Mapping[WantedFileRef, bytes], wanted_by: Chosen) -> None:
        jobs = [(place, index) for place in heads for index in wanted_by]
        self._extract_at(jobs, lambda place, _: executables.sections_of(heads[place]))

    # --- reading ---

    def _contents(
        self, places: Sequence[WantedFileRef], limit: int
    ) -> Iterator[tuple[WantedFileRef, bytes | SidelightError]]:
        """Each file's contents once, for every path that it has."""
        return self._in_time(read_ahead.whole(self._tree, places, limit))

    def _in_time(
        self, read: Iterator[tuple[WantedFileRef, bytes | SidelightError]]
    ) -> Iterator[tuple[WantedFileRef, bytes | SidelightError]]:
        for place, data in read:
            if self._spent(place):
                return
            yield place, data

    def _spent(self, place: WantedFileRef) -> bool:
        if not self._deadline.passed:
            return False
        self._problem(place, "this file and those after it were not read: the time is spent")
        return True

    def _problem(self, place: WantedFileRef, what: str) -> None:
        self._allowance.problem(place.shown, what)

    # --- unsupported never looks like clean ---

    def _check_databases(self) -> None:
        found, system = self._databases.get(TreeRoot()), self._out.os
        if found is None:
            who = system.pretty_name or system.id or "the operating system, if there is one"
            what = f"no package database is known for {who}: its packages are not in the inventory"
            self._allowance.problem("/", what)
        elif not any(
            package.type in _OS_TYPES and not package.layer for package in self._out.packages
        ):
            self._problem(found, "the package database gave no package")
        if found is not None and not system.id:
            self._allowance.problem(
                "/", "no release file names the operating system of these packages"
            )


_OS_TYPES = frozenset(("deb", "rpm", "apk", "alpm", "bottlerocket", "ebuild", "opkg"))


def _root_of(path: str) -> str:
    """What is above an rpm store's own path, "" for the machine's own root and other files."""
    return rpm_stores.root_of(path) if rpm_stores.is_store(path) else ""


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _in_boot(place: WantedFileRef) -> bool:
    return place.path.rpartition(b"/")[0] == kernels.IMAGES.encode()


def _key(place: WantedFileRef) -> tuple[int, int, bytes, TreeRoot]:
    return id(place.fs), place.inode, place.path, place.root


def _order(package: Package) -> tuple[str, str, str, str, str]:
    return package.type, package.name, package.version, package.arch, package.path
