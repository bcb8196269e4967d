"""No machine holds a worker or fills its memory: counts, sizes and chains that lie.

What is counted here are checks of the time, reads, looks at keys and bytes; no test measures time.
"""

from __future__ import annotations

import struct
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.advisories.feeds.formats.shape import once
from sidelight.errors import FormatError, LimitError
from sidelight.inventory import allowance, kernels
from sidelight.inventory.allowance import Allowance
from sidelight.inventory.os import dpkg, rpm_berkeley, rpm_header, rpm_ndb, rpm_sqlite
from sidelight.inventory.os.apk import parse_installed
from sidelight.inventory.os.dpkg import DpkgLists, DpkgStatus, OpkgStatus, parse_status
from sidelight.inventory.os.pacman import PacmanLocal
from sidelight.inventory.os.portage import PortageDatabase
from sidelight.inventory.os.rpm import RpmBerkeley, RpmNdb, RpmSqlite, extraction
from sidelight.inventory.os.rpm_manifest import RpmManifest
from sidelight.inventory.os.sqlite_recovery import committed_frames
from sidelight.inventory.ownership import Ownership
from sidelight.inventory.protocol import Extraction, Machine, unfit
from sidelight.inventory.treefile import Deadline
from sidelight.model import OperatingSystem, Package
from tests.fakes.counted_text import Compared
from tests.fakes.memory_file import MemoryFile
from tests.fixtures import rpm_databases as rpm_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.inventory.protocol import Extractor

_SYSTEM = OperatingSystem(id="debian", version_id="12")
_MACHINE = Machine(_SYSTEM)


def _stanza(name: str, *, arch: str = "amd64", state: str = "installed", version: str = "1") -> str:
    status = f"Status: install ok {state}\n"
    return f"Package: {name}\n{status}Architecture: {arch}\nVersion: {version}\n\n"


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
    text = _stanza("a") + _stanza("b") + "Package: a\nStatus: purge ok not-installed\n\n"
    found = parse_status(text.encode(), "/s", _SYSTEM)
    assert [package.name for package in found.packages] == ["b"]


def test_stanzas_without_end_stop_at_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dpkg, "MAX_STANZAS", 10)
    found = parse_status(b"Package: a\n\n" * 50, "/s", _SYSTEM)
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
    found = parse_status(f"{long}\n\n{_stanza('b')}".encode(), "/s", _SYSTEM)
    assert [package.name for package in found.packages] == ["b"]
    assert "5000 characters" in found.problems[0].what


def test_updates_are_read_up_to_a_cap_and_the_rest_is_reported() -> None:
    updates = {f"updates/{number:04}": b"" for number in range(dpkg.MAX_UPDATES + 5)}
    file = MemoryFile(_stanza("a").encode(), "var/lib/dpkg/status", updates)
    found = DpkgStatus().extract(file, _MACHINE)
    assert [package.name for package in found.packages] == ["a"]
    assert "updates" in found.problems[0].what


# --- who owns ---


def _owned(status: str, lists: dict[str, str], target: str, *, diversions: str = "") -> bool:
    owned = Ownership((), [target])
    path = "var/lib/dpkg/"
    files: list[tuple[Extractor, str, str]] = [
        (DpkgLists(), f"{path}info/{name}", text) for name, text in lists.items()
    ]
    files.append((DpkgStatus(), f"{path}status", status))
    files.append((DpkgLists(), f"{path}diversions", diversions))
    for extractor, place, text in files:
        owned.take(extractor.extract(MemoryFile(text.encode(), place), _MACHINE))
    owned.settle()
    return target in owned


@pytest.mark.parametrize(
    ("name", "state", "expected"),
    [
        ("real.list", "installed", True),
        ("real:amd64.list", "installed", True),
        ("real.list", "half-configured", True),
        ("real.list", "config-files", False),
        ("real.list", "not-installed", False),
        ("real:i386.list", "installed", False),
        ("nosuchpackage.list", "installed", False),
        ("Real.list", "installed", False),
        ("real\n.list", "installed", False),
        (".list", "installed", False),
    ],
)
def test_only_the_list_of_an_installed_package_owns(name: str, state: str, expected: bool) -> None:
    lists = {name: "/.\n/usr/share/app.jar\n"}
    assert _owned(_stanza("real", state=state), lists, "usr/share/app.jar") is expected


@pytest.mark.parametrize(
    ("package", "expected"), [(":", False), ("other", False), ("real", True), ("", False)]
)
def test_a_diverted_path_is_owned_by_its_diverter_alone(package: str, expected: bool) -> None:
    diversions = f"/usr/share/app.jar\n/usr/share/app.jar.distrib\n{package}\n"
    lists = {"real:amd64.list": "/usr/share/app.jar\n"}
    assert _owned(_stanza("real"), lists, "usr/share/app.jar", diversions=diversions) is expected


def test_every_manager_owns_for_what_it_has_installed_alone() -> None:
    pacman = "var/lib/pacman/local/gawk-5-1"
    portage = "var/db/pkg/sys-apps/gawk-5-r1"
    contents = "obj /a 0123456789abcdef0123456789abcdef 1\n"
    cases: list[tuple[Extractor, str, str, str, str]] = [
        (PacmanLocal(), f"{pacman}/files", "%FILES%\na\n",
         f"{pacman}/desc", "%NAME%\ngawk\n\n%VERSION%\n5-1\n"),
        (PortageDatabase(), f"{portage}/CONTENTS", contents, f"{portage}/PF", "gawk-5-r1\n"),
    ]  # fmt: skip
    for extractor, place, text, own_place, own_text in cases:
        for is_installed in (False, True):
            owned = Ownership((), ["a"])
            owned.take(extractor.extract(MemoryFile(text.encode(), place), _MACHINE))
            if is_installed:
                own = extractor.extract(MemoryFile(own_text.encode(), own_place), _MACHINE)
                assert own.problems == []
                owned.take(own)
            owned.settle()
            assert ("a" in owned) is is_installed


def test_opkg_and_distroless_lists_own_for_their_packages() -> None:
    listed = DpkgLists().extract(MemoryFile(b"/a/b\n", "usr/lib/opkg/info/ubus.list"), _MACHINE)
    status = MemoryFile(_stanza("ubus").encode(), "usr/lib/opkg/status")
    assert listed.owner in OpkgStatus().extract(status, _MACHINE).installed
    place = "var/lib/dpkg/status.d/foo"
    sums = DpkgStatus().extract(MemoryFile(b"0" * 32 + b"  a\n", place + ".md5sums"), _MACHINE)
    own = DpkgStatus().extract(MemoryFile(b"Package: foo\nVersion: 1\n", place), _MACHINE)
    assert sums.owner in own.installed


def test_paths_that_nobody_asks_about_are_not_kept() -> None:
    owned = Ownership([("usr/lib/", "lib/")], ["usr/lib/x.jar"])
    owned.take(Extraction(owned={f"p{number}" for number in range(1000)} | {"lib/x.jar"}))
    assert "usr/lib/x.jar" in owned
    assert len(owned._owned) == 1


def test_owned_paths_past_the_cap_are_not_owned_and_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidelight.inventory.protocol.MAX_OWNED", 3)
    found = Extraction()
    found.own("/x", {"a", "b"})
    found.own("/x", {"c", "d"})
    found.own("/x", {"e"})
    assert found.owned <= {"a", "b", "e"}
    assert len(found.problems) == 1


@pytest.mark.parametrize(
    ("extractor", "path", "line"),
    [
        (DpkgLists(), "var/lib/dpkg/info/a.list", b"/a\n"),
        (DpkgStatus(), "var/lib/dpkg/status.d/a.md5sums", b"0\n"),
        (PacmanLocal(), "var/lib/pacman/local/a-1/files", b"a\n"),
        (PortageDatabase(), "var/db/pkg/a/b-1/CONTENTS", b"a\n"),
    ],
)
def test_lists_are_counted_before_they_are_split(
    extractor: Extractor, path: str, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("dpkg", "pacman", "portage"):
        monkeypatch.setattr(f"sidelight.inventory.os.{module}.MAX_OWNED", 1000)
    data = line * 300_000
    file = MemoryFile(data, path)
    tracemalloc.start()
    with pytest.raises(LimitError):
        extractor.extract(file, _MACHINE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(data)


def test_a_long_directory_of_apk_is_not_copied_for_each_file() -> None:
    text = b"P:a\nV:1\nF:" + b"d" * 100_000 + b"\n" + b"R:f\n" * 1000
    tracemalloc.start()
    found = parse_installed(text, "/db", _SYSTEM)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.owned == set()
    assert peak < 8 << 20


# --- rpm ---


def test_strings_of_a_header_are_counted_before_they_are_split() -> None:
    count = rpm_header.MAX_FILES + 1
    blob = rpm_stores.header("n", [(1117, 8, count)], bytes(count))
    tracemalloc.start()
    with pytest.raises(LimitError):
        rpm_header.decode(blob)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_long_directory_of_a_header_is_not_copied_for_each_file() -> None:
    names, directory = b"f\0" * 10, b"d" * 5000 + b"\0"
    first = len(b"n\x001\x002\0")
    blob = bytearray(rpm_stores.header("n", [(1117, 8, 10)], names + directory + bytes(40)))
    rest = [(1118, 8, first + len(names), 1), (1116, 4, first + len(names) + len(directory), 10)]
    packed = b"".join(struct.pack(">4I", *entry) for entry in rest)
    struct.pack_into(">I", blob, 0, 6)
    blob[8 + 16 * 4 : 8 + 16 * 4] = packed
    with pytest.raises(LimitError):
        rpm_header.decode(bytes(blob))


def _names(extractor: Extractor, data: bytes, path: str = "a/b") -> tuple[list[str], list[str]]:
    found = extractor.extract(MemoryFile(data, path), _MACHINE)
    return [p.name for p in found.packages], [p.what for p in found.problems]


def test_values_that_share_a_chain_are_one_value_and_a_problem() -> None:
    blob = rpm_stores.header("n")
    items = [rpm_stores.KEY, rpm_stores.off_page(2, len(blob))] * 3
    data = rpm_stores.berkeley([rpm_stores.hash_page(items), rpm_stores.overflow_page(0, blob)])
    names, problems = _names(RpmBerkeley(), data)
    assert names == ["n"]
    assert len(problems) == 2
    assert "two values" in problems[0]


def test_a_chain_that_follows_itself_ends() -> None:
    first = rpm_stores.hash_page([rpm_stores.KEY, rpm_stores.off_page(2, 1400)])
    data = rpm_stores.berkeley([first, rpm_stores.overflow_page(2, bytes(400)), b"", b""])
    file = MemoryFile(data)
    [fault] = rpm_berkeley.header_blobs(file)
    assert isinstance(fault, FormatError)


def test_items_that_lie_one_in_another_are_damage() -> None:
    page = bytearray(rpm_stores.hash_page([rpm_stores.KEY, b"\1" + bytes(60)]))
    struct.pack_into("<H", page, 20, 200)
    for number in range(200):
        struct.pack_into("<H", page, 26 + 2 * number, 490 - number % 2)
    [fault] = rpm_berkeley.header_blobs(MemoryFile(rpm_stores.berkeley([bytes(page)])))
    assert isinstance(fault, FormatError)


def test_slots_that_share_a_blob_are_one_package_and_problems() -> None:
    data = rpm_stores.ndb([rpm_stores.header("n")], slots=[(1, 0)] * 50)
    names, problems = _names(RpmNdb(), data)
    assert names == ["n"]
    assert len(problems) == 50


def test_a_blob_larger_than_any_header_is_not_read() -> None:
    data = bytearray(rpm_stores.ndb([rpm_stores.header("n")]))
    struct.pack_into("<I", data, 32 + 12, (rpm_header.MAX_BLOB >> 4) + 1)
    reads: list[int] = []

    class _File(MemoryFile):
        size = 1 << 32

        def read_at(self, offset: int, length: int) -> bytes:
            reads.append(length)
            return super().read_at(offset, length).ljust(length, b"\0")

    list(rpm_ndb.header_blobs(_File(bytes(data))))
    assert sum(reads) <= 8 << 20


def test_an_overflow_page_of_sqlite_that_follows_itself_ends() -> None:
    data = bytearray(rpm_stores.sqlite([rpm_stores.header("n"), bytes(3000)]))
    page = rpm_stores.PAGE
    for at in range(page, len(data), page):
        following = int.from_bytes(data[at : at + 4], "big")
        if following and following * page <= len(data) and data[at] == 0:
            data[at : at + 4] = (at // page + 1).to_bytes(4, "big")
    names, problems = _names(RpmSqlite(), bytes(data))
    assert names == ["n"]
    assert any("second time" in what for what in problems)


def test_cells_that_share_their_bytes_end_with_the_page() -> None:
    data = bytearray(rpm_stores.sqlite([b"x" * 100]))
    page = bytearray(data[rpm_stores.PAGE :])
    page[3:5] = (150).to_bytes(2, "big")
    for number in range(150):
        page[8 + 2 * number : 10 + 2 * number] = page[8:10]
    data[rpm_stores.PAGE :] = page
    values = list(rpm_sqlite.header_blobs(MemoryFile(bytes(data))))
    assert len([value for value in values if isinstance(value, bytes)]) <= 5
    assert isinstance(values[-1], FormatError)


@pytest.mark.parametrize("store", ["berkeley", "ndb", "sqlite"])
def test_packages_read_before_the_time_was_spent_are_kept(store: str) -> None:
    blobs = [rpm_stores.header(f"n{number}") for number in range(60)]
    if store == "berkeley":
        pages = [rpm_stores.hash_page([rpm_stores.KEY, b"\1" + blob]) for blob in blobs]
        data = rpm_stores.berkeley(pages)
    elif store == "ndb":
        data = rpm_stores.ndb(blobs)
    else:
        data = rpm_stores.sqlite(blobs)
    extractors: dict[str, Extractor] = {
        "berkeley": RpmBerkeley(),
        "ndb": RpmNdb(),
        "sqlite": RpmSqlite(),
    }
    file = MemoryFile(data, time_left=9)
    found = extractors[store].extract(file, _MACHINE)
    assert 0 < len(found.packages) < 60
    assert "time is spent" in found.problems[-1].what


def test_an_epoch_of_thousands_of_digits_costs_one_line_alone() -> None:
    line = "bash\t5.1-1\t1\t1\tv\t(none)\t1\tx86_64\t{}\tbash.src.rpm\n"
    data = (line.format("9" * 5000) + line.format("(none)") + "x" * 9000 + "\n").encode()
    names, problems = _names(RpmManifest(), data)
    assert names == ["bash"]
    assert len(problems) == 2


def test_a_log_that_shrinks_at_every_commit_keeps_what_is_within() -> None:
    assert committed_frames(b"") == {}
    from sidelight.inventory.os.sqlite_recovery import _last_frames

    log = memoryview(bytes(range(8)))
    frames = [(5, 9, 0), (7, 0, 1), (2, 4, 2), (3, 6, 3), (5, 8, 4), (8, 0, 5), (9, 7, 6)]
    pages = _last_frames(frames, log, 1)
    assert {number: bytes(page)[0] for number, page in pages.items()} == {2: 2, 3: 3, 5: 4}


def test_a_store_that_cannot_be_read_at_all_says_why() -> None:
    with pytest.raises(LimitError):
        extraction(_raising(), "/x", _SYSTEM)


def _raising() -> Iterator[bytes]:
    yield from ()
    raise LimitError("the time is spent")


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
    assert kernels._deb_release(name) == release


def test_images_beyond_the_cap_are_reported() -> None:
    images = [f"boot/vmlinuz-1.0.{number}" for number in range(kernels.MAX_IMAGES + 9)]
    found, [problem] = kernels.built_by_hand([], images)
    assert len(found) == kernels.MAX_IMAGES
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
        (parse_status, _stanza("a") * 5000),
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
        parse(text.encode(), "/x", _SYSTEM, check_time=check)
