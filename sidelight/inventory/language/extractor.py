"""An extractor made of what it wants and one generator that parses.

The generator yields packages and problems as it meets them, so whatever was found before a fault
is kept: the fault becomes a Problem in addition to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError, LimitError, SourceError
from sidelight.inventory.language.package_builder import RelatedEntry
from sidelight.inventory.protocol import Extraction, Machine, ReadAhead, WantedFile, Wants
from sidelight.model import Package, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from sidelight.inventory.dependencies.declarations import Declaration
    from sidelight.inventory.language.package_builder import Entry

    Key = tuple[str, str]  # a purl, a path

PACKAGE_LIMIT: Final = 100_000  # packages of one file
PROBLEM_LIMIT: Final = 20  # problems reported of one file; the rest are counted


@dataclass(frozen=True, slots=True)
class GeneratorExtractor:
    """An Extractor whose parser is a generator of Packages and Problems.

    A FormatError or SourceError of the parser is raised where nothing was found, and is a Problem
    of the Extraction otherwise. A package listed twice by one
    file is given once: direct if it is so anywhere, for development only if it is so everywhere.
    """

    name: str
    wants: Wants
    parse: Callable[[WantedFile], Iterator[Entry | RelatedEntry | ReadAhead]]

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """All packages of one file, in its order."""
        steps = self.steps(file, machine)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found: Extraction = end.value
                return found

    def steps(self, file: WantedFile, machine: Machine) -> Generator[ReadAhead, None, Extraction]:
        """See ReadsInSteps."""
        del machine  # no language package depends on it
        packages: dict[Key, Package] = {}
        problems: list[Problem] = []
        declared: list[tuple[Key, Declaration]] = []
        where = "/" + file.path
        try:
            yield from self._collect(file, packages, problems, declared)
        except RecursionError:
            _fail(LimitError("nested too deeply", where=where), packages, problems)
        except (FormatError, SourceError) as error:
            error.where = error.where or where
            _fail(error, packages, problems)
        if len(problems) > PROBLEM_LIMIT:
            more = len(problems) - PROBLEM_LIMIT
            problems[PROBLEM_LIMIT:] = [Problem(where, f"{more} more problems of this kind")]
        found = Extraction(packages=list(packages.values()), problems=problems)
        _relate(found, where, packages, declared)
        return found

    def _collect(
        self,
        file: WantedFile,
        packages: dict[Key, Package],
        problems: list[Problem],
        declared: list[tuple[Key, Declaration]],
    ) -> Iterator[ReadAhead]:
        count = 0
        for entry in self.parse(file):
            if isinstance(entry, ReadAhead):
                yield entry
                continue
            count += 1
            if count > PACKAGE_LIMIT:
                raise LimitError(f"more than {PACKAGE_LIMIT} packages in one file")
            declaration = None
            if isinstance(entry, RelatedEntry):
                entry, declaration = entry  # noqa: PLW2901 - without what it declares
            if isinstance(entry, Package):
                key = entry.purl, entry.path
                known = packages.get(key)
                packages[key] = entry if known is None else _merged(known, entry)
                if declaration is not None:
                    declared.append((key, declaration))
            else:
                problems.append(entry)


def _relate(
    found: Extraction,
    where: str,
    packages: dict[Key, Package],
    declared: list[tuple[Key, Declaration]],
) -> None:
    """Give what the packages declare, by their indexes: within the file, or in a scope."""
    if not declared:
        return
    indexes = {key: index for index, key in enumerate(packages)}
    numbered = [(indexes[key], declaration) for key, declaration in declared]
    found.declared = [item for item in numbered if item[1].scope]
    if len(found.declared) < len(numbered):
        found.relate(where, [item for item in numbered if not item[1].scope])


def _merged(one: Package, other: Package) -> Package:
    return replace(
        one,
        direct=one.direct if one.direct or other.direct is None else other.direct,
        dev=one.dev if one.dev is False or other.dev is None else other.dev,
    )


def _fail(
    error: FormatError | SourceError,
    packages: dict[Key, Package],
    problems: list[Problem],
) -> None:
    if not packages and not problems:
        raise error
    problems.append(Problem(error.where, error.what))
