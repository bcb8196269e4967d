"""No machine holds a worker or fills its memory: counts, sizes and chains that lie.

What is counted here are checks of the time, reads, looks at keys and bytes; no test measures time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.advisories.feeds.formats.shape import once
from sidelight.errors import LimitError
from sidelight.inventory import allowance, kernel_packages
from sidelight.inventory.allowance import Allowance
from sidelight.inventory.os import dpkg
from sidelight.inventory.os.apk import parse_installed
from sidelight.inventory.os.dpkg import DpkgStatus, parse_status
from sidelight.inventory.protocol import Extraction, unfit
from sidelight.inventory.treefile import Deadline
from sidelight.model import Package
from tests.fakes.counted_text import Compared
from tests.fakes.memory_file import MemoryFile
from tests.inventory.os.dpkg_stanzas import DEBIAN_12, DEBIAN_MACHINE, dpkg_stanza

if TYPE_CHECKING:
    from collections.abc import Callable


# --- dpkg ---


class _CountedKey(bytes):
    """A key that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        type(self).compared += 1
        return super().__eq__(other)

    __hash__ = bytes.__hash__


def test_deleting_a_package_does_not_read_the_others() -> None:
    packages = dpkg._Packages()
    for number in range(2000):
        packages.set((_CountedKey(b"%d" % number), b"amd64"), None)
    _CountedKey.compared = 0
    for _ in range(100):
        packages.forget((b"7", b""))
    assert _CountedKey.compared < 1000


def test_a_purged_package_of_one_architecture_is_forgotten() -> None:
    text = dpkg_stanza("a") + dpkg_stanza("b") + "Package: a\nStatus: purge ok not-installed\n\n"
    found = parse_status(text.encode(), "/s", DEBIAN_12)
    assert [package.name for package in found.packages] == ["b"]


def test_stanzas_without_end_stop_at_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dpkg, "MAX_STANZAS", 10)
    found = parse_status(b"Package: a\n\n" * 50, "/s", DEBIAN_12)
    assert "more than" in found.problems[-1].what


@pytest.mark.parametrize("field", ["Package", "Version", "Architecture", "Source"])
def test_a_field_too_long_to_be_one_costs_its_package_alone(field: str) -> None:
    long = "\n".join(
        f"{key}: {'x' * 5000 if key == field else value}"
        for key, value in (
            ("Package", "a"), ("Status", "install ok installed"), ("Architecture", "amd64"),
            ("Version", "1"), ("Source", "s"),
        )
    )  # fmt: skip
    found = parse_status(f"{long}\n\n{dpkg_stanza('b')}".encode(), "/s", DEBIAN_12)
    assert [package.name for package in found.packages] == ["b"]
    assert "5000 characters" in found.problems[0].what


def test_updates_are_read_up_to_a_cap_and_the_rest_is_reported() -> None:
    updates = {f"updates/{number:04}": b"" for number in range(dpkg.MAX_UPDATES + 5)}
    file = MemoryFile(dpkg_stanza("a").encode(), "var/lib/dpkg/status", updates)
    found = DpkgStatus().extract(file, DEBIAN_MACHINE)
    assert [package.name for package in found.packages] == ["a"]
    assert "updates" in found.problems[0].what


# --- kernels ---


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("linux-image-6.1.0-18-amd64", "6.1.0-18-amd64"),
        ("linux-image-unsigned-5.15.0-101-generic", "5.15.0-101-generic"),
        ("linux-modules-extra-5.15.0-101-generic", "5.15.0-101-generic"),
        ("linux-objects-nvidia-535-server-5.15.0-101-generic", "5.15.0-101-generic"),
        ("linux-aws-5.15-headers-5.15.0-1019", "5.15.0-1019"),
        ("linux-aws-cloud-tools-5.15.0-1019", "5.15.0-1019"),
        ("linux-headers-6.1.0-18-common", "6.1.0-18-common"),
        ("linux-image-amd64", ""),
        ("linux-modules-nvidia-535-5.15.0-101-generic", ""),
        ("linux-objects-" * 30_000, ""),
        ("linux-image" + "-1.1" * 20, "1.1" + "-1.1" * 19),
    ],
)
def test_the_release_of_a_debian_kernels_package(name: str, release: str) -> None:
    assert kernel_packages._deb_release(name) == release


def test_images_beyond_the_cap_are_reported() -> None:
    images = [f"boot/vmlinuz-1.0.{number}" for number in range(kernel_packages.MAX_IMAGES + 9)]
    found, [problem] = kernel_packages.named_images(images)
    assert len(found) == kernel_packages.MAX_IMAGES
    assert str(len(images)) in problem.what


def test_images_without_numbers_beyond_the_cap_are_reported() -> None:
    most = 2 * kernel_packages.MAX_IMAGES
    images = [
        Package("generic", kernel_packages.HAND_BUILT, f"1.0.{number}", f"/{number}", "")
        for number in range(most + 9)
    ]
    found, [problem] = kernel_packages.without_packaged_images(images)
    assert len(found) == most
    assert str(len(images)) in problem.what


# --- one machine ---


def test_an_object_with_one_name_twice_is_looked_through_once() -> None:
    Compared.comparisons = 0
    pairs = [(Compared(number), 0) for number in range(1000)] + [(Compared(999), 0)]
    with pytest.raises(ValueError, match="'999' occurs twice"):
        once(pairs)  # type: ignore[arg-type]
    assert Compared.comparisons < 10_000


def _package(name: str = "n", version: str = "1", licence: str = "") -> Package:
    return Package("deb", name, version, "/p", f"pkg:deb/{name}", licence=licence)


def test_a_machine_has_so_many_packages_and_so_much_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "MAX_PACKAGES", 3)
    spent = Allowance()
    kept = list(spent.packages(_package(str(number)) for number in range(9)))
    assert not list(spent.packages([_package()]))
    assert len(kept) == 3
    assert len(spent.all_problems()) == 1
    monkeypatch.setattr(allowance, "MAX_TEXT", 100)
    assert len(list(Allowance().packages([_package(licence="x" * 60)] * 9))) == 1


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_no_name_or_version_beyond_its_cap_is_kept(name: int, version: int) -> None:
    spent = Allowance()
    kept = list(spent.packages([_package("n" * name, version="1" * version)]))
    assert bool(kept) is not bool(unfit("n" * name, "1" * version))
    assert len(spent.all_problems()) == (not kept)


def test_problems_beyond_the_cap_are_counted_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "MAX_PROBLEMS", 2)
    spent = Allowance()
    for number in range(7):
        spent.problem(str(number) * 90_000, "x" * 90_000)
    problems = spent.all_problems()
    assert "5 more problems" in problems[-1].what
    assert max(len(problem.where) + len(problem.what) for problem in problems) < 10_000


def test_a_part_of_the_work_ends_with_the_whole() -> None:
    now = 0.0
    whole = Deadline(lambda: now, 10, "this machine")
    part = whole.within(60, "this file")
    now = 11
    with pytest.raises(LimitError, match="this machine took longer than 10 s"):
        part.check()


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_status, dpkg_stanza("a") * 5000),
        (parse_installed, "P:a\nV:1\n\n" * 5000),
    ],
)
def test_text_databases_check_the_time_limit(parse: Callable[..., Extraction], text: str) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise LimitError("the time is spent")

    with pytest.raises(LimitError):
        parse(text.encode(), "/x", DEBIAN_12, check_time=check)
