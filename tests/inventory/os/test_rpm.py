"""rpm's database in each of its stores, as `rpm -qa` shows it."""

from __future__ import annotations

import lzma
import shutil
import sqlite3
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import DamagedError, LimitError, NotRecognisedError, SidelightError
from sidelight.inventory.os import rpm_berkeley, rpm_header, rpm_ndb, rpm_sqlite
from sidelight.inventory.os.rpm import RpmBerkeley, RpmNdb, RpmSqlite, source_of
from sidelight.inventory.os.rpm_manifest import RpmManifest
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sidelight.inventory.protocol import WantedFile

    _Blobs = Callable[[WantedFile], Iterator[bytes | SidelightError]]

_AMAZON = Machine(OperatingSystem(id="amzn", version_id="2023"))
_SQLITE = "var/lib/rpm/rpmdb.sqlite"
_FORM = "%{NAME}|%{EPOCH}|%{VERSION}|%{RELEASE}|%{ARCH}|%{SOURCERPM}|%{MODULARITYLABEL}\\n"


def _line(header: rpm_header.RpmHeader, none: str = "(none)") -> str:
    epoch = none if header.epoch is None else str(header.epoch)
    rest = (header.version, header.release, header.arch, header.source_rpm, header.modularity)
    return "|".join((header.name, epoch, *(text or none for text in rest)))


def _lines(read: _Blobs, file: MemoryFile, none: str = "(none)") -> list[str]:
    blobs = list(read(file))
    assert [blob for blob in blobs if isinstance(blob, SidelightError)] == []
    return sorted(_line(rpm_header.decode(b), none) for b in blobs if isinstance(b, bytes))


# --- real databases ---


@pytest.mark.conformance
@pytest.mark.parametrize(
    ("read", "source", "expected", "none"),
    [
        (
            rpm_sqlite.header_blobs,
            "sqlite/cbl-mariner-2.0.rpmdb.sqlite",
            "mariner.rpm-qa",
            "(none)",
        ),
        (rpm_ndb.header_blobs, "ndb/sle15-bci.Packages.db", "sle15.syft", ""),
        (rpm_berkeley.header_blobs, "bdb/fedora-27.Packages.xz", "fedorabdb.rpm-qa", "(none)"),
    ],
)
def test_a_real_database_equals_its_list(
    shared_data: Path, read: _Blobs, source: str, expected: str, none: str
) -> None:
    data = (shared_data / "rpmdb" / source).read_bytes()
    data = lzma.decompress(data) if source.endswith(".xz") else data
    listed = (shared_data / "rpmdb/expected" / f"{expected}.txt").read_text().splitlines()
    assert _lines(read, MemoryFile(data), none) == sorted(listed)


@pytest.mark.conformance
def test_an_epoch_is_kept(shared_data: Path) -> None:
    source = shared_data / "manifests/osv-scalibr/os/rpm/testdata/Packages_epoch"
    file = MemoryFile(source.read_bytes(), "var/lib/rpm/Packages")
    (package,) = RpmBerkeley().extract(file, _AMAZON).packages
    assert (package.name, package.version) == ("hello", "1:0.0.1-rls")
    assert package.purl == (
        "pkg:rpm/amzn/hello@0.0.1-rls"
        "?arch=x86_64&distro=amzn-2023&epoch=1&upstream=hello-0.0.1-rls.src.rpm"
    )


@pytest.mark.conformance
def test_imported_keys_are_no_packages(shared_data: Path) -> None:
    source = shared_data / "rpmdb/sqlite/rpm-testsuite.rpmdb.sqlite"
    found = RpmSqlite().extract(MemoryFile(source.read_bytes(), _SQLITE), _AMAZON)
    assert sorted(package.name for package in found.packages) == ["foo", "hlinktest"]
    assert found.owned


# --- databases made by rpm itself ---


_SPEC = """
Name: side-{n}
{epoch}
Version: {n}.0
Release: 1~rc{n}
Summary: a package
License: MIT
%description
none
%install
cd %{{buildroot}}
for i in $(seq {files}); do mkdir -p opt/side-{n}/$i; touch opt/side-{n}/$i/f; done
%files
/opt/side-{n}
"""


@pytest.fixture(scope="module")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three packages, the last with a header of several database pages."""
    if shutil.which("rpmbuild") is None or shutil.which("rpm") is None:
        pytest.skip("no rpm and rpmbuild")
    top = tmp_path_factory.mktemp("rpms")
    for n, files in ((1, 1), (2, 3), (3, 400)):
        spec = top / f"{n}.spec"
        spec.write_text(_SPEC.format(n=n, files=files, epoch=f"Epoch: {n}" if n > 1 else ""))
        define = ["--define", f"_topdir {top}", "--define", "_build_id_links none"]
        command = ["rpmbuild", "-bb", "--quiet", "--target", "noarch", *define, str(spec)]
        subprocess.run(command, check=True, capture_output=True)
    return sorted(top.glob("RPMS/noarch/*.rpm"))


def _install(database: Path, *packages: Path) -> None:
    flags = ["--justdb", "--nodeps", "--nosignature", "-i"]
    command = ["rpm", "--dbpath", str(database), "--define", "_db_backend sqlite", *flags]
    subprocess.run([*command, *map(str, packages)], check=True, capture_output=True)


def _rpm_qa(database: Path) -> list[str]:
    command = ["rpm", "--dbpath", str(database), "--define", "_db_backend sqlite", "-qa", "--qf"]
    done = subprocess.run([*command, _FORM], check=True, capture_output=True, text=True)
    return sorted(done.stdout.splitlines())


def _opened(database: Path) -> MemoryFile:
    siblings = {path.name: path.read_bytes() for path in database.iterdir()}
    return MemoryFile(siblings["rpmdb.sqlite"], _SQLITE, siblings)


@pytest.mark.slow
def test_equals_rpm_qa(rpms: list[Path], tmp_path: Path) -> None:
    _install(tmp_path, *rpms)
    file = _opened(tmp_path)
    assert _lines(rpm_sqlite.header_blobs, file) == _rpm_qa(tmp_path)
    owned = RpmSqlite().extract(file, _AMAZON).owned
    assert {"opt/side-1", "opt/side-3/400/f"} <= owned


@pytest.mark.slow
def test_equals_rpm_qa_on_a_log_that_was_not_folded_in(rpms: list[Path], tmp_path: Path) -> None:
    live, copy = tmp_path / "live", tmp_path / "copy"
    live.mkdir()
    _install(live, *rpms[:2])
    before = _rpm_qa(live)
    connection = sqlite3.connect(live / "rpmdb.sqlite")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("DELETE FROM Packages WHERE hnum = 1")
    for number in range(40):
        connection.execute(
            "INSERT INTO Packages SELECT ?, blob FROM Packages WHERE hnum = 2", (100 + number,)
        )
    connection.commit()
    connection.execute("DELETE FROM Packages")  # not committed: does not count
    shutil.copytree(live, copy)
    connection.rollback()
    connection.close()
    assert (copy / "rpmdb.sqlite-wal").stat().st_size > 0
    file = _opened(copy)
    found = _lines(rpm_sqlite.header_blobs, file)
    assert len(found) == 41
    assert found == _rpm_qa(copy)
    # The file alone, as a reader without the log has it, shows the time before.
    assert _lines(rpm_sqlite.header_blobs, MemoryFile(file.data, _SQLITE)) == before


def test_a_log_counts_up_to_its_first_bad_frame(tmp_path: Path) -> None:
    file = _logged(tmp_path, rows=30)
    log = file.siblings["rpmdb.sqlite-wal"]
    whole = list(rpm_sqlite.header_blobs(file))
    broken = bytearray(log)
    broken[-100] ^= 1
    file.siblings["rpmdb.sqlite-wal"] = bytes(broken)
    cut = list(rpm_sqlite.header_blobs(file))
    assert len(whole) == 30
    assert len(cut) == 29
    assert whole[:29] == cut


def test_a_log_of_another_cycle_does_not_count(tmp_path: Path) -> None:
    file = _logged(tmp_path, rows=5)
    log = bytearray(file.siblings["rpmdb.sqlite-wal"])
    log[16] ^= 1  # the salt of the header, whose checksum then fails as well
    file.siblings["rpmdb.sqlite-wal"] = bytes(log)
    assert list(rpm_sqlite.header_blobs(file)) == []


def _logged(directory: Path, rows: int) -> MemoryFile:
    """A table without rows, and a log of one committed row after the other."""
    connection = sqlite3.connect(directory / "rpmdb.sqlite")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    for number in range(rows):
        row = (number + 1, bytes([number]) * 9000)
        connection.execute("INSERT INTO Packages VALUES (?, ?)", row)
        connection.commit()
    file = _opened(directory)
    connection.close()
    return file


@pytest.mark.slow
@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_a_transaction_that_was_cut_short_is_taken_back(tmp_path: Path, page_size: int) -> None:
    connection = sqlite3.connect(tmp_path / "rpmdb.sqlite", isolation_level=None)
    connection.execute(f"PRAGMA page_size = {page_size}")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    rows = [(number, bytes([number]) * 3000) for number in range(1, 60)]
    connection.executemany("INSERT INTO Packages VALUES (?, ?)", rows)
    connection.execute("PRAGMA cache_size = 2")
    connection.execute("PRAGMA cache_spill = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE Packages SET blob = zeroblob(3000)")
    file = _opened(tmp_path)
    connection.execute("ROLLBACK")
    connection.close()
    assert file.siblings["rpmdb.sqlite-journal"]
    assert list(rpm_sqlite.header_blobs(file)) == [blob for _, blob in rows]


@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
def test_records_of_every_size_are_read(tmp_path: Path, page_size: int) -> None:
    connection = sqlite3.connect(tmp_path / "rpmdb.sqlite", isolation_level=None)
    connection.execute(f"PRAGMA page_size = {page_size}")
    connection.execute("CREATE TABLE other (a)")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    sizes = [*range(page_size - 60, page_size + 10), *range(1, 200, 7), 100_000, 300_000]
    connection.execute("BEGIN")
    for number, size in enumerate(sizes):
        row = (number * 1000, bytes([number % 256]) * size)
        connection.execute("INSERT INTO Packages VALUES (?, ?)", row)
    connection.execute("COMMIT")
    connection.close()
    blobs = list(rpm_sqlite.header_blobs(_opened(tmp_path)))
    assert blobs == [bytes([number % 256]) * size for number, size in enumerate(sizes)]


# --- which store counts ---


def test_a_store_left_by_a_conversion_does_not_count() -> None:
    beside = {"rpmdb.sqlite": b"x"}
    for extractor in (RpmBerkeley(), RpmNdb()):
        file = MemoryFile(b"anything", "var/lib/rpm/Packages", beside)
        assert extractor.extract(file, _AMAZON).packages == []
    empty = MemoryFile(b"anything, and long enough for a header " * 3, "x", {"rpmdb.sqlite": b""})
    with pytest.raises(NotRecognisedError):
        RpmBerkeley().extract(empty, _AMAZON)


# --- damage ---


def _header(entries: list[tuple[int, int, int, int]], data: bytes) -> bytes:
    index = b"".join(struct.pack(">4I", *entry) for entry in entries)
    return struct.pack(">II", len(entries), len(data)) + index + data


_UNEVEN_FILES = [(1117, 8, 0, 3), (1118, 8, 0, 1), (1116, 4, 0, 1)]
_NAMES = [(1000, 6, 0, 1), (1001, 6, 2, 1), (1002, 6, 4, 1)]


def test_a_small_header() -> None:
    header = rpm_header.decode(_header(_NAMES, b"n\x001\x002\0"))
    assert (header.name, header.version, header.release, header.epoch) == ("n", "1", "2", None)


def test_a_later_entry_replaces_an_earlier_one() -> None:
    header = rpm_header.decode(_header([*_NAMES, (1001, 6, 6, 1)], b"n\x001\x002\x009\0"))
    assert header.version == "9"


@pytest.mark.parametrize(
    ("blob", "error"),
    [
        (b"", DamagedError),
        (bytes(8), DamagedError),
        (b"\0\1\0\0" + bytes(100), LimitError),
        (_header(_NAMES, b"n\x001\x002"), DamagedError),  # the last string has no end
        (_header([(1000, 6, 99, 1)], b"n\0"), DamagedError),
        (_header([(1000, 4, 0, 1)], b"n\0\0\0"), DamagedError),
        (_header([*_NAMES, (1117, 8, 0, 1 << 30)], b"n\x001\x002\0"), DamagedError),
        (
            _header([*_NAMES, *_UNEVEN_FILES], b"n\x001\x002\0"),
            DamagedError,
        ),
        (_header([(1001, 6, 0, 1)], b"1\0"), DamagedError),
    ],
)
def test_a_damaged_header_is_reported(blob: bytes, error: type[SidelightError]) -> None:
    with pytest.raises(error):
        rpm_header.decode(blob)


@pytest.mark.conformance
def test_one_damaged_blob_loses_no_other(shared_data: Path) -> None:
    data = bytearray((shared_data / "rpmdb/ndb/sle15-bci.Packages.db").read_bytes())
    at = data.index(b"bash-4.4-19.6.1.src.rpm")
    data[at] ^= 0x20
    found = RpmNdb().extract(MemoryFile(bytes(data), "var/lib/rpm/Packages.db"), _AMAZON)
    assert len(found.packages) == 34
    assert [problem.where for problem in found.problems] == ["/var/lib/rpm/Packages.db"]
    assert "checksum" in found.problems[0].what


@pytest.mark.conformance
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_database_gives_what_is_there(shared_data: Path, share: float) -> None:
    data = (shared_data / "rpmdb/sqlite/cbl-mariner-2.0.rpmdb.sqlite").read_bytes()
    found = RpmSqlite().extract(MemoryFile(data[: int(len(data) * share)], _SQLITE), _AMAZON)
    assert 0 < len(found.packages) < 129
    assert found.problems
    whole = RpmSqlite().extract(MemoryFile(data, _SQLITE), _AMAZON)
    assert set(found.packages) <= set(whole.packages)


@pytest.mark.parametrize("data", [b"", b"x" * 5000])
def test_another_format_is_not_recognised(data: bytes) -> None:
    for extractor in (RpmSqlite(), RpmNdb(), RpmBerkeley()):
        with pytest.raises((NotRecognisedError, DamagedError)):
            extractor.extract(MemoryFile(data, _SQLITE), _AMAZON)


# --- the rest ---


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bash-5.1.8-1.cm2.src.rpm", ("bash", "5.1.8-1.cm2")),
        ("a-b-c-1-2.nosrc.rpm", ("a-b-c", "1-2")),
        ("(none)", ("", "")),
        ("", ("", "")),
    ],
)
def test_a_source_package_has_a_name_and_a_version(name: str, expected: tuple[str, str]) -> None:
    assert source_of(name) == expected


def test_azure_linux_leaves_a_manifest() -> None:
    data = (
        b"tzdata\t2023c-1.cm2\t1\t2\tMicrosoft Corporation\t(none)\t9\tnoarch\t0"
        b"\ttzdata-2023c-1.cm2.src.rpm\n"
        b"broken line\n"
    )
    file = MemoryFile(data, "var/lib/rpmmanifest/container-manifest-2")
    found = RpmManifest().extract(file, Machine(OperatingSystem(id="mariner", version_id="2.0")))
    assert [problem.what for problem in found.problems] == ["line 2 does not name a package"]
    assert found.packages[0].purl == (
        "pkg:rpm/mariner/tzdata@2023c-1.cm2"
        "?arch=noarch&distro=mariner-2.0&upstream=tzdata-2023c-1.cm2.src.rpm"
    )
