"""What every extractor made of a generator promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.errors import BlockError, DamagedError, LimitError, SidelightError
from sidelight.inventory.language import extractor
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, PackageDetails, flat
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.inventory.protocol import Extraction


def extractor_of(parse: Callable[[WantedFile], Iterator[Entry]]) -> GeneratorExtractor:
    return GeneratorExtractor("language/test", Wants(), parse)


def nested() -> None:
    nested()


@pytest.mark.parametrize("error", [DamagedError("bad"), LimitError("long"), BlockError("lost")])
def test_what_was_found_before_a_fault_is_kept(
    extract: Callable[..., Extraction], error: SidelightError
) -> None:
    def parse(file: WantedFile) -> Iterator[Entry]:
        yield flat(file.path, "gem", "a", "1")
        raise error

    found = extract(extractor_of(parse), "x", b"")
    assert [package.name for package in found.packages] == ["a"]
    assert [(problem.where, problem.what) for problem in found.problems] == [("/x", error.what)]


def test_a_fault_before_anything_is_raised_with_its_path(
    extract: Callable[..., Extraction],
) -> None:
    def parse(file: WantedFile) -> Iterator[Entry]:
        raise DamagedError("bad")
        yield flat(file.path, "gem", "a", "1")  # type: ignore[unreachable]  # makes a generator

    with pytest.raises(DamagedError, match=r"^/x: bad$"):
        extract(extractor_of(parse), "x", b"")


def test_endless_recursion_is_a_limit(extract: Callable[..., Extraction]) -> None:
    def parse(file: WantedFile) -> Iterator[Entry]:
        yield flat(file.path, "gem", "a", "1")
        nested()

    assert extract(extractor_of(parse), "x", b"").problems[0].what == "nested too deeply"


def test_a_package_listed_twice_is_reported_once(extract: Callable[..., Extraction]) -> None:
    def parse(file: WantedFile) -> Iterator[Entry]:
        yield flat(file.path, "gem", "a", "1", PackageDetails(direct=False, dev=True))
        yield flat(file.path, "gem", "a", "1", PackageDetails(direct=True, dev=False))
        yield flat(file.path, "gem", "a", "1", PackageDetails())

    [package] = extract(extractor_of(parse), "x", b"").packages
    assert (package.direct, package.dev) == (True, False)


def test_problems_are_counted_beyond_a_few(extract: Callable[..., Extraction]) -> None:
    def parse(file: WantedFile) -> Iterator[Entry]:
        for _ in range(1000):
            yield flat(file.path, "gem", "", "1")

    problems = extract(extractor_of(parse), "x", b"").problems
    assert len(problems) == extractor.PROBLEM_LIMIT + 1
    assert "980 more" in problems[-1].what


def test_too_many_packages_are_a_limit(
    extract: Callable[..., Extraction], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor, "PACKAGE_LIMIT", 3)

    def parse(file: WantedFile) -> Iterator[Entry]:
        for index in range(5):
            yield flat(file.path, "gem", "a", str(index))

    found = extract(extractor_of(parse), "x", b"")
    assert len(found.packages) == 3
    assert "more than 3" in found.problems[0].what
