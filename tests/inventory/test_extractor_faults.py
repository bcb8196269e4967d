"""Faults of one file, and what takes too long: a Problem, and nothing else is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import DamagedError, LimitError
from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import Collected, CollectOptions, collect
from sidelight.inventory.protocol import Extraction, Machine, ReadAhead, WantedFile, Wants
from sidelight.inventory.registry import OS_EXTRACTORS
from sidelight.model import Package, Problem
from tests.fakes.host_directory import HostDirectory
from tests.inventory.collected_machine import (
    DEFAULT_OPTIONS,
    FakeExtractor,
    collect_root,
    package_names,
    write_file,
    write_program,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from sidelight.inventory.protocol import Extractor


def _one(file: WantedFile) -> Extraction:
    name = file.read().decode()
    return Extraction([Package("generic", name, "1", f"/{file.path}", f"pkg:generic/{name}@1")])


def _with(fake: FakeExtractor, root: Path, options: CollectOptions = DEFAULT_OPTIONS) -> Collected:
    extractors: tuple[Extractor, ...] = (*OS_EXTRACTORS, fake)
    return collect(MachineTree(HostDirectory(root)), options, extractors)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (KeyError("bug"), "language/fake failed: KeyError: 'bug'"),
        (RecursionError("deep"), "language/fake failed: RecursionError: deep"),
        (RecursionError(), "language/fake failed: RecursionError: "),
        (DamagedError("bad bytes"), "bad bytes"),
        (LimitError("too deep"), "too deep"),
    ],
)
def test_a_fault_of_one_file_is_a_problem_and_loses_no_other(
    debian: Path, error: Exception, what: str
) -> None:
    write_file(debian, "a/bad.fake", "bad")
    write_file(debian, "a/good.fake", "good")

    def act(file: WantedFile) -> Extraction:
        if file.path == "a/bad.fake":
            raise error
        return _one(file)

    found = _with(FakeExtractor(act), debian)
    assert found.problems == [Problem("/a/bad.fake", what)]
    assert package_names(found) == ["bash", "good", "python3-six"]


def test_a_file_over_the_limit_is_a_problem(debian: Path) -> None:
    write_file(debian, "a/large.fake", "x" * 101)
    write_file(debian, "a/small.fake", "small")
    fake = FakeExtractor(_one, wants=Wants(suffixes=frozenset((".fake",)), limit=100))
    found = _with(fake, debian)
    assert [problem.where for problem in found.problems] == ["/a/large.fake"]
    assert "small" in package_names(found)


@pytest.mark.parametrize("random_access", [True, False])
def test_a_file_that_cannot_be_read_is_a_problem(debian: Path, random_access: bool) -> None:
    write_file(debian, "a/bad.fake", "bad")
    write_file(debian, "a/good.fake", "good")
    wants = Wants(suffixes=frozenset((".fake",)), random_access=random_access)
    fs = HostDirectory(debian)
    fs.unreadable.add(b"bad.fake")
    found = collect(MachineTree(fs), extractors=(*OS_EXTRACTORS, FakeExtractor(_one, wants=wants)))
    assert found.problems == [Problem("/a/bad.fake", "block 7 cannot be read")]
    assert "good" in package_names(found)


def test_random_access_reads_only_what_is_asked_for(debian: Path) -> None:
    write_file(debian, "a/archive.fake", b"head" + bytes(1 << 20) + b"tail")
    seen: list[tuple[bytes, bytes, bytes, int]] = []

    def act(file: WantedFile) -> Extraction:
        end = file.size
        tail = file.read_at(end - 4, 100)
        seen.append((file.read_at(0, 4), tail, file.read_at(end + 9, 5), end))
        with pytest.raises(LimitError):
            file.read_at(-1, 5)
        return Extraction()

    fs = HostDirectory(debian)
    wants = Wants(suffixes=frozenset((".fake",)), random_access=True)
    collect(MachineTree(fs), extractors=(FakeExtractor(act, wants=wants),))
    assert seen == [(b"head", b"tail", b"", (1 << 20) + 8)]
    read = sum(length for number, _, length in fs.reads if fs.name_of(number) == "archive.fake")
    # The end, where archives have their directory, was fetched ahead with its neighbours'.
    assert read == 8 + (64 << 10)


def test_siblings_are_found_beside_and_below_but_not_above(debian: Path) -> None:
    write_file(debian, "a/x.fake", "x")
    write_file(debian, "a/beside", "b")
    write_file(debian, "a/below/deep", "d")
    write_file(debian, "above", "no")
    (debian / "a/link").symlink_to("/above")
    seen: list[bytes | None] = []

    def act(file: WantedFile) -> Extraction:
        names = ("beside", "below/deep", "link", "../above", "nothing", "below", "beside/x", "")
        seen.extend(file.sibling(name) for name in names)
        with pytest.raises(LimitError):
            file.sibling("beside", limit=0)
        return Extraction()

    _with(FakeExtractor(act), debian)
    assert seen == [b"b", b"d", b"no", None, None, None, None, None]


class _Clock:
    """Moves on by a second with each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_a_file_that_takes_too_long_is_a_problem(debian: Path) -> None:
    for name in ("a", "b"):
        write_file(debian, f"x/{name}.fake", name)

    def act(file: WantedFile) -> Extraction:
        while file.path == "x/a.fake":
            file.check_time()
        return _one(file)

    options = CollectOptions(file_seconds=50, machine_seconds=1e9, clock=_Clock())
    found = _with(FakeExtractor(act), debian, options)
    assert found.problems == [Problem("/x/a.fake", "this file took longer than 50 s")]
    assert "b" in package_names(found)


def test_files_that_are_read_in_turn_take_none_of_each_other_s_time(debian: Path) -> None:
    """And one that fails between two steps is a Problem of its own."""
    clock = _Clock()
    order = []

    @dataclass
    class _Stepping(FakeExtractor):
        def steps(
            self, file: WantedFile, machine: Machine
        ) -> Generator[ReadAhead, None, Extraction]:
            order.append(file.path)
            yield ReadAhead([(0, 1), (-5, 2), (1 << 70, 1 << 70)])
            order.append(file.path)
            if file.path == "x/a.fake":
                clock.now += 1000
            if file.path == "x/b.fake":
                raise DamagedError("bad bytes")
            file.check_time()
            yield ReadAhead([])
            return self.extract(file, machine)

    for name in "abc":
        write_file(debian, f"x/{name}.fake", name)
    wants = Wants(suffixes=frozenset((".fake",)), random_access=True)
    options = CollectOptions(file_seconds=50, machine_seconds=1e9, clock=clock)
    found = _with(_Stepping(_one, wants=wants), debian, options)
    assert sorted(order[:3]) == sorted(order[3:]), "each had begun before one went on"
    assert found.problems == [
        Problem("/x/a.fake", "this file took longer than 50 s"),
        Problem("/x/b.fake", "bad bytes"),
    ]
    assert "c" in package_names(found)


def test_a_machine_that_takes_too_long_is_read_in_part(debian: Path) -> None:
    clock = _Clock()

    def act(file: WantedFile) -> Extraction:
        clock.now += 1000
        return _one(file)

    for number in range(9):
        write_file(debian, f"x/{number}.fake", str(number))
    found = _with(FakeExtractor(act), debian, CollectOptions(machine_seconds=1500, clock=clock))
    assert 1 <= sum(package.type == "generic" for package in found.packages) < 9
    assert any("the time is spent" in problem.what for problem in found.problems)


def test_a_walk_that_takes_too_long_is_cut_short(debian: Path) -> None:
    found = collect_root(debian, options=CollectOptions(machine_seconds=0.5, clock=_Clock()))
    assert any("walk was cut short" in problem.what for problem in found.problems)


@pytest.mark.parametrize(
    ("cap", "what"),
    [("MAX_FILES", "wanted files"), ("MAX_CANDIDATES", "files that may be programs")],
)
def test_files_beyond_a_cap_are_reported(
    debian: Path, cap: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        write_program(debian, f"opt/app{number}/program.png")
        write_file(debian, f"opt/app{number}/app.jar", b"")
    monkeypatch.setattr(f"sidelight.inventory.tree_walk.{cap}", 3)
    found = collect(MachineTree(HostDirectory(debian)))
    assert any(what in problem.what for problem in found.problems)


def test_a_level_of_many_directories_ends_when_the_time_is_spent(debian: Path) -> None:
    for number in range(200):
        (debian / f"opt/{number}").mkdir(parents=True)
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1
        return now

    options = CollectOptions(machine_seconds=50, clock=clock)
    found = collect(MachineTree(HostDirectory(debian)), options)
    assert any("walk was cut short" in problem.what for problem in found.problems)
    assert now < 120
