"""What the inventory of one machine may hold: packages, their text, and Problems."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sidelight.inventory.protocol import MAX_PATH, REMARK_LIMIT, unfit
from sidelight.model import Package, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.inventory.treefile import WantedFileRef

MAX_PACKAGES: Final = 500_000  # of one machine
MAX_DATABASE_FILES: Final = 100_000  # of one extractor of a package manager's files
MAX_TEXT: Final = 256 << 20  # characters of all its packages
MAX_PROBLEMS: Final = 10_000  # of one machine
PROBLEM_LIMIT: Final = 1_000  # characters that a Problem says
_WHERE_LIMIT: Final = 2 * MAX_PATH


class Allowance:
    """Passes on what a machine's files gave, as long as the machine may have more."""

    def __init__(self) -> None:
        """Nothing is spent."""
        self.problems: list[Problem] = []
        self._packages_left = MAX_PACKAGES
        self._text_left = MAX_TEXT
        self._more_problems = 0
        self._is_full = False

    def packages(self, found: Iterable[Package]) -> Iterator[Package]:
        """The packages that fit; a Problem for each that has a text too long to be real."""
        for package in found:
            what = unfit(
                package.name,
                package.version,
                package.arch,
                package.source_name,
                package.source_version,
                package.modularity,
            )
            if what:
                self.problem(package.path, f"{what}: the package is left out")
                continue
            self._packages_left -= 1
            self._text_left -= _text(package)
            if self._packages_left < 0 or self._text_left < 0:
                self._fill(package.path)
                return
            if len(package.vendor) > REMARK_LIMIT or len(package.licence) > REMARK_LIMIT:
                yield replace(
                    package,
                    vendor=package.vendor[:REMARK_LIMIT],
                    licence=package.licence[:REMARK_LIMIT],
                )
            else:
                yield package

    def database_files(
        self, jobs: Iterable[tuple[WantedFileRef, int]], names: Sequence[str]
    ) -> list[tuple[WantedFileRef, int]]:
        """The files that the extractors called `names` may read, and a Problem for those beyond.

        A manager has some files for each package. What is left out owns nothing.
        """
        counts: Counter[int] = Counter()
        kept = []
        for job in jobs:
            counts[job[1]] += 1
            if counts[job[1]] <= MAX_DATABASE_FILES:
                kept.append(job)
        for index, count in counts.items():
            if count > MAX_DATABASE_FILES:
                what = f"{count} files for {names[index]}; {MAX_DATABASE_FILES} of them are read"
                self.problem("/", what)
        return kept

    def _fill(self, where: str) -> None:
        """Take no more packages, and say so once."""
        if not self._is_full:
            what = f"{MAX_PACKAGES} packages or {MAX_TEXT >> 20} MiB of their text"
            self.problem(where, f"this machine has more than {what}: the rest is left out")
        self._is_full = True
        self._packages_left = 0

    def problem(self, where: str, what: str) -> None:
        """Note a Problem; past MAX_PROBLEMS they are counted."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(where[:_WHERE_LIMIT], what[:PROBLEM_LIMIT]))
        else:
            self._more_problems += 1

    def all_problems(self) -> list[Problem]:
        """Each Problem once, and last how many more there were."""
        problems = list(dict.fromkeys(self.problems))
        if self._more_problems:
            problems.append(Problem("/", f"{self._more_problems} more problems are not listed"))
        return problems


def _text(package: Package) -> int:
    """Characters of a package's texts. Most share some; so this is an upper bound."""
    return (
        len(package.name)
        + len(package.version)
        + len(package.path)
        + len(package.purl)
        + len(package.source_name)
        + len(package.vendor)
        + len(package.licence)
    )
