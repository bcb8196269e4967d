"""Everything installed on one machine: one walk, then each wanted file once, in physical order.

The order is what decides ownership: who the machine is; the databases of its package managers,
which say which files they own and who ships them; then all other files that no package of the
distribution owns; executables last.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from sidelight.errors import SidelightError
from sidelight.inventory import executables, kernel_packages, kernels, os_release, read_ahead
from sidelight.inventory.file_matcher import WantedTable
from sidelight.inventory.os import apk, rpm_stores
from sidelight.inventory.ownership import Ownership
from sidelight.inventory.protocol import Extraction, Machine
from sidelight.inventory.registry import DATABASES, EXTRACTORS
from sidelight.inventory.tree_walk import Survey, SurveyOptions, Surveyor
from sidelight.inventory.treefile import TreeRoot, WantedFileRef
from sidelight.inventory.wanted_files import Collected, CollectOptions, WantedFiles, tail_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sidelight.inventory.file_matcher import Chosen
    from sidelight.inventory.protocol import Extractor
    from sidelight.inventory.treefile import Tree
    from sidelight.model import Package, Problem


__all__ = ["CollectOptions", "Collected", "collect"]

# Programs whose section headers are fetched together: no more than calls under way at once.
_PROGRAMS_AT_ONCE = 64
_KERNELS = "kernels/"  # extractors of what machines boot
_DEFAULTS = CollectOptions()


def collect(
    tree: Tree,
    options: CollectOptions = _DEFAULTS,
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
        self._files = WantedFiles(tree, options, extractors)
        self._out = self._files.collected
        self._allowance = self._files.allowance
        # The release files and the boot loader's are wanted by none of the extractors.
        self._release, self._boot = len(extractors), len(extractors) + 1

    def run(self) -> Collected:
        table = self._table()
        found = self._survey(table)
        numbered = self._numbered_images(found)
        jobs = [
            (place, index)
            for place, chosen in found.files
            for index in chosen
            if index < len(self._extractors) and not self._is_named_image(place, index, numbered)
        ]
        read_first = (self._release, self._boot)
        self._files.expect(
            [job for job in jobs if self._of_os(job[1])],
            [
                place
                for place, chosen in found.files
                if not (set(chosen).isdisjoint(read_first) or _in_boot(place))
            ],
        )
        self._identify(found)
        of_owners = [place for place, at in jobs if not (self._of_os(at) or self._of_listeners(at))]
        images = [place for place, chosen in found.files if self._boot in chosen]
        self._ask_of_owners(found, [*of_owners, *images])
        names = [extractor.name for extractor in self._extractors]
        of_os = (job for job in jobs if self._of_os(job[1]))
        self._files.extract_all(self._allowance.database_files(of_os, names))
        self._choose_rpm_stores()
        for problem in apk.contradictions(self._out.packages):
            self._allowance.problem(problem.where, problem.what)
        for owned in self._files.owned.values():
            owned.settle()
        jobs = [
            job
            for job in jobs
            if not self._of_os(job[1]) and (self._of_listeners(job[1]) or self._is_free(job[0]))
        ]
        programs = [place for place in found.candidates if self._is_free(place)]
        self._files.expect(jobs, heads=programs)
        self._files.extract_all(jobs)
        self._executables(programs, table)
        if self._options.whole_machine:
            self._check_databases()
        release = self._kernel(found)
        self._out.packages = kernel_packages.mark(self._sorted(), release)
        self._out.problems = self._allowance.all_problems()
        return self._out

    def _sorted(self) -> list[Package]:
        """Return each package once, in order, and give their dependencies."""
        first: dict[Package, Package] = {}
        equal = [(package, first.setdefault(package, package)) for package in self._out.packages]
        packages = sorted(first, key=_order)
        places = {id(package): index for index, package in enumerate(packages)}
        places.update((id(package), places[id(kept)]) for package, kept in equal)
        self._out.dependencies = self._files.dependencies.resolve(packages, places)
        return packages

    def _table(self) -> WantedTable:
        """Return the files that some extractor wants."""
        table = WantedTable(self._extractors)
        for path in os_release.PATHS:
            table.add_path(path, self._release)
        for path in kernels.PATHS:
            table.add_path(path, self._boot)
        for path in kernels.DIRECTORIES:
            table.add_directory(path, self._boot)
        return table

    def _survey(self, table: WantedTable) -> Survey:
        """Walk the tree, and return which of the wanted files it has."""
        databases = (at for at, one in enumerate(self._extractors) if one.name in DATABASES)
        of_system = [at for at in range(len(self._extractors)) if self._of_system(at)]
        surveyor = Surveyor(
            self._tree,
            table,
            self._files.deadline,
            SurveyOptions(
                evidence=frozenset((self._release, *databases)),
                of_system=frozenset((self._release, self._boot, *of_system)),
                include_containers=self._options.include_containers,
                skip_dirs=self._options.skip_dirs,
            ),
        )
        found = surveyor.run()
        for problem in found.problems:
            self._allowance.problem(problem.where, problem.what)
        self._out.left_out, self._out.skipped = found.left_out, found.skipped
        return found

    # --- who the machine is ---

    def _identify(self, found: Survey) -> None:
        files: dict[TreeRoot, dict[str, bytes]] = {}
        places = [place for place, chosen in found.files if self._release in chosen]
        for place, data in self._files.contents(places, os_release.LIMIT):
            if isinstance(data, SidelightError):
                self._files.problem(place, data.what)
            else:
                path = _text(place.path)
                files.setdefault(place.root, {})[path] = data
        for root in {*files, *found.roots}:
            system = os_release.identify(files.get(root, {}))
            self._files.machines[root] = Machine(system)
            if root == TreeRoot():
                self._out.os = system

    def _numbered_images(self, found: Survey) -> set[tuple[int, int]]:
        """The kernels' images whose names give their releases, by filesystem and inode."""
        return {
            (id(place.fs), place.inode)
            for place, chosen in found.files
            if self._boot in chosen
            and kernel_packages.is_numbered(kernels.release_of_image(_text(place.path)))
        }

    def _is_named_image(
        self, place: WantedFileRef, index: int, numbered: set[tuple[int, int]]
    ) -> bool:
        """Whether a kernel's image, by a link or another name, is one whose release is known."""
        is_kernel = self._extractors[index].name.startswith(_KERNELS)
        return is_kernel and (id(place.fs), place.inode) in numbered

    def _kernel(self, found: Survey) -> str:
        """The release that boots. Images are known by name; only configuration is read."""
        boot = [
            place for place, chosen in found.files if self._boot in chosen and not place.root.layer
        ]
        images = [
            _text(place.path)
            for place in boot
            if _in_boot(place) and _text(place.path) not in self._files.owned[place.root]
        ]
        files: dict[str, bytes] = {}
        left = kernels.MAX_TEXT
        for place, data in self._files.contents(
            [place for place in boot if not _in_boot(place)], kernels.LIMIT
        ):
            if not isinstance(data, bytes):
                self._files.problem(place, data.what)
            elif len(data) > left:
                what = f"more than {kernels.MAX_TEXT >> 20} MiB of boot loaders' configuration"
                self._files.problem(place, f"{what}: the rest is not read")
                break
            else:
                left -= len(data)
                files[_text(place.path)] = data
        named, problems = kernel_packages.named_images(images)
        self._out.packages += self._allowance.packages(named)
        self._out.packages, more = kernel_packages.without_packaged_images(self._out.packages)
        for problem in (*problems, *more):
            self._allowance.problem(problem.where, problem.what)
        return kernels.booted(files, images)

    # --- what is installed ---

    def _choose_rpm_stores(self) -> None:
        """Of several rpm stores in one root, the one that rpm uses has packages and owns files."""
        roots: dict[str, TreeRoot] = {}
        for root in self._files.machines:
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
            kept, left = rpm_stores.choose(packages, problems, self._files.machine(root).os.id)
            self._out.packages += kept
            self._allowance.problems += left
            if (owned := self._files.owned.get(root)) is not None:
                stores = {item.path for item in kept if rpm_stores.is_store(item.path)}
                used = {rpm_stores.owner_of(path.removeprefix(above)) for path in stores}
                owned.take(Extraction(installed=used))

    def _of_system(self, index: int) -> bool:
        """Whether it reads no language packages."""
        name = self._extractors[index].name
        return self._of_os(index) or self._of_listeners(index) or name.startswith(_KERNELS)

    def _of_os(self, index: int) -> bool:
        return self._extractors[index].name.startswith("os/")

    def _of_listeners(self, index: int) -> bool:
        """Whether it reads configurations: a package owns many of them, and each is read."""
        return self._extractors[index].name.startswith("listeners/")

    def _ask_of_owners(self, found: Survey, places: Iterable[WantedFileRef]) -> None:
        """Prepare for each root to learn which of these files, and of programs, are owned."""
        paths_by_root: dict[TreeRoot, list[str]] = {}
        for place in chain(places, found.candidates):
            paths_by_root.setdefault(place.root, []).append(_text(place.path))
        self._files.owned = {
            root: Ownership(found.merged.get(root, ()), paths)
            for root, paths in paths_by_root.items()
        }

    def _is_free(self, place: WantedFileRef) -> bool:
        """Whether no package of the distribution owns the file. Those that one owns are counted."""
        if _text(place.path) not in self._files.owned[place.root]:
            return True
        self._out.owned += 1
        return False

    def _executables(self, free: Sequence[WantedFileRef], table: WantedTable) -> None:
        """Give programs, of those that no OS package owns, to who wants them: ELF files, and zips.

        A zip archive with a name by which it is wanted was read before.
        """
        archives: list[WantedFileRef] = []
        heads: dict[WantedFileRef, bytes] = {}
        begin = (0, executables.HEAD)
        for place, head in self._files.in_time(read_ahead.parts(self._tree, free, lambda _: begin)):
            if isinstance(head, SidelightError):
                self._files.problem(place, head.what)
            elif head.startswith(executables.ELF):
                heads[place] = head
            elif head.startswith(executables.ARCHIVE) and not table.is_wanted(place.path):
                archives.append(place)
            if len(heads) >= _PROGRAMS_AT_ONCE:
                self._programs(heads, table.executables)
                heads = {}
        self._programs(heads, table.executables)
        jobs = [(place, index) for place in archives for index in table.executable_archives]
        self._files.extract_at(jobs, tail_of)

    def _programs(self, heads: Mapping[WantedFileRef, bytes], wanted_by: Chosen) -> None:
        jobs = [(place, index) for place in heads for index in wanted_by]
        self._files.extract_at(jobs, lambda place, _: executables.sections_of(heads[place]))

    # --- unsupported never looks like clean ---

    def _check_databases(self) -> None:
        found, system = self._files.databases.get(TreeRoot()), self._out.os
        if found is None:
            who = system.pretty_name or system.id or "the operating system, if there is one"
            what = f"no package database is known for {who}: its packages are not in the inventory"
            self._allowance.problem("/", what)
        elif not any(
            package.type in _OS_TYPES and not package.layer for package in self._out.packages
        ):
            self._files.problem(found, "the package database gave no package")
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


def _order(package: Package) -> tuple[str, str, str, str, str]:
    return package.type, package.name, package.version, package.arch, package.path
