"""A caged read gives what a read in this process gives, with as many calls and the same errors."""

from __future__ import annotations

import json
import logging
import random
import re
import resource
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight import errors, scan
from sidelight.cage import CagedReading, caged_reading, missing_protections, reader_cpu_seconds
from sidelight.cage.block_server import BlockServer
from sidelight.cage.frames import FrameKind
from sidelight.cage.reader_process import ReaderProcess
from sidelight.cage.remote_source import CHUNK
from sidelight.disk import Attachment
from sidelight.errors import (
    AccessDeniedError,
    CageError,
    KeyDeniedError,
    SourceError,
    ThrottledError,
)
from sidelight.fleet.dollar_budget import MoneySpentError
from sidelight.fleet.error_recording_source import ErrorRecordingSource
from sidelight.fleet.rate_limit.limiter import RateLimitedError
from sidelight.inventory.collect import CollectOptions
from sidelight.model import ReadingOptions
from tests.fakes.sources import CountingFetcher, MemorySource, RoundsCache
from tests.fixtures.kernel_protections import NEEDS_SEAL
from tests.images.ext import tiny
from tests.images.xfs import fixtures

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from sidelight.cage.seal import Bounds
    from sidelight.model import Inventory

pytestmark = [pytest.mark.images, pytest.mark.slow]

LATIN = (
    "<project><groupId>g</groupId><artifactId>a</artifactId><version>1</version><dependencies>"
    "<dependency><groupId>g</groupId><artifactId>caf\xe9</artifactId><version>1</version>"
    "</dependency></dependencies></project>"
)


def machine(folder: Path) -> Path:
    """The tree of a Debian machine with packages of several kinds, and one that is damaged."""
    files: dict[str, bytes] = {
        "etc/os-release": b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n',
        "etc/ssh/sshd_config": b"Port 2222\n",
        "var/lib/dpkg/status": b"".join(
            b"Package: p%d\nStatus: install ok installed\nVersion: 5.2-%d\nArchitecture: amd64\n\n"
            % (number, number)
            for number in range(1000)
        ),
        "srv/app/package-lock.json": json.dumps(
            {
                "name": "app",
                "lockfileVersion": 3,
                "packages": {"node_modules/left-pad": {"version": "1.3.0"}},
            }
        ).encode(),
        "srv/bad/package-lock.json": b'{"name": ',
        "srv/java/pom.xml": b"<?xml version='1.0' encoding='cp1252'?>" + LATIN.encode("cp1252"),
        "srv/names/caf\udce9/package.json": b"{}",
        "var/lib/containers/storage/overlay/x/diff/etc/os-release": b"ID=alpine\n",
    }
    chance = random.Random(7)
    for number in range(300):
        files[f"usr/share/d{number % 40}/f{number}"] = bytes(chance.choice([10, 5_000, 60_000]))
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("mke2fs") is None:
        pytest.skip("needs mke2fs")
    folder = tmp_path_factory.mktemp("caged")
    path = folder / "disk.img"
    with path.open("wb") as file:
        file.truncate(128 << 20)
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-d", str(machine(folder / "tree")), str(path)]
    subprocess.run(command, check=True)
    return path


def _with_rounds(image: Path, *, caged: bool) -> tuple[Inventory, list[int], int]:
    fetcher = CountingFetcher(str(image), "snapshot")
    cache = RoundsCache(fetcher)
    found = CagedReading().inspect([cache]) if caged else scan.inspect([cache])
    cache.close()
    fetcher.close()
    return found, sorted(fetcher.fetched), cache.rounds


def test_a_caged_machine_is_the_same_with_the_same_calls_in_as_few_rounds(image: Path) -> None:
    own, blocks, rounds = _with_rounds(image, caged=False)
    caged, caged_blocks, caged_rounds = _with_rounds(image, caged=True)
    assert caged == own
    assert len(own.packages) > 1000
    assert own.problems
    assert own.listeners
    assert own.left_out
    assert caged_blocks == blocks
    assert caged_rounds == rounds


def test_few_frames_cross_for_a_machine(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: Counter[int] = Counter()
    following = BlockServer._next

    def counting(server: BlockServer) -> tuple[int, bytes]:
        kind, payload = following(server)
        kinds[kind] += 1
        return kind, payload

    monkeypatch.setattr(BlockServer, "_next", counting)
    found, fetched, _ = _with_rounds(image, caged=True)
    assert found.packages
    # A read of one run needs no hint, so hints are a few for each step of a scan.
    assert kinds[FrameKind.PREFETCH] < 60
    chunks = CountingFetcher.block_size // CHUNK
    assert kinds[FrameKind.READ] < len(fetched) * chunks


def test_the_options_of_a_read_reach_the_cage(image: Path) -> None:
    data = image.read_bytes()
    attachments = (Attachment("/dev/xvda", "vol-1"),)
    options = scan.ScanOptions(
        attachments=attachments,
        collecting=CollectOptions(include_containers=True, machine_seconds=0.0),
    )
    own = scan.inspect([MemorySource(data, "a"), MemorySource(bytes(1 << 20), "b")], options)
    reading = CagedReading(options=ReadingOptions(include_containers=True, machine_seconds=0.0))
    caged = reading.inspect(
        [MemorySource(data, "a"), MemorySource(bytes(1 << 20), "b")], attachments
    )
    assert caged == own


@pytest.mark.parametrize("name", tiny.NAMES)
def test_the_images_of_ext_are_read_alike(name: str) -> None:
    source = MemorySource(tiny.load(name), name)
    assert CagedReading().inspect([source]) == scan.inspect([source])


@pytest.mark.parametrize("name", [*fixtures.NAMES, *fixtures.NEWER])
def test_the_images_of_xfs_are_read_alike(name: str) -> None:
    source = fixtures.load(name)
    assert CagedReading().inspect([source]) == scan.inspect([source])


# --- errors of the parent ---


class Refusing(MemorySource):
    """A disk of which nothing can be read from an offset on."""

    def __init__(self, data: bytes, error: BaseException, since: int) -> None:
        super().__init__(data, "snap-1")
        self._error = error
        self._since = since

    def read_at(self, offset: int, length: int) -> bytes:
        if offset >= self._since:
            raise self._error
        return super().read_at(offset, length)


@pytest.mark.parametrize("since", [0, 8192, 1 << 20])
@pytest.mark.parametrize(
    "error",
    [
        ThrottledError("throttled", where="snap-1: block 7"),
        KeyDeniedError("no key", where="snap-1"),
        AccessDeniedError("no", where="snap-1"),
        MoneySpentError("spent", where="1"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_block_is_the_same_problem_and_is_recorded(
    image: Path, error: SourceError, since: int
) -> None:
    data = image.read_bytes()
    own, caged = (ErrorRecordingSource(Refusing(data, error, since)) for _ in range(2))
    assert CagedReading().inspect([caged]) == scan.inspect([own])
    assert caged.error is error
    assert own.error is error


@pytest.mark.parametrize(
    "error", [RateLimitedError("wait", where="1", delay=1.0), KeyboardInterrupt(), SystemExit(0)]
)
def test_what_a_reader_must_not_see_ends_the_read(image: Path, error: BaseException) -> None:
    data = image.read_bytes()
    with pytest.raises(type(error)) as caught:
        CagedReading().inspect([Refusing(data, error, 8192)])
    assert caught.value is error
    assert CagedReading().inspect([MemorySource(data)]).packages


def test_every_error_of_a_source_crosses_as_itself() -> None:
    from sidelight.cage import source_errors

    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, SourceError)
    ]
    assert len(kinds) > 8
    for kind in kinds:
        loaded = source_errors.load(source_errors.dump(kind("what \udcff", where="here")))
        assert (type(loaded), loaded.what, loaded.where) == (kind, "what \udcff", "here")


# --- kernels, costs, processes ---


def test_a_kernel_without_seccomp_and_landlock_is_reported_once(
    image: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caged_reading, "_reported", set())
    reading = CagedReading(program=("-m", "tests.worker_programs.bare_reader"))
    source = MemorySource(image.read_bytes())
    with caplog.at_level(logging.WARNING):
        found = [reading.inspect([source]) for _ in range(2)]
    assert found[0] == found[1] == scan.inspect([source])
    for name in ("seccomp", "Landlock"):
        lines = [record.message for record in caplog.records if name in record.message]
        assert lines == [
            f"readers of disks run without {name}: Function not implemented (docs/threat-model.md)"
        ]


def test_a_required_cage_gives_no_byte_to_a_reader_without_it() -> None:
    reading = CagedReading(program=("-m", "tests.worker_programs.bare_reader"), is_required=True)
    source = Refusing(bytes(1 << 20), AssertionError("it was read"), 0)
    with pytest.raises(CageError, match=r"not sealed.*Landlock: .*seccomp: ") as caught:
        reading.inspect([source])
    assert caught.value.where == "snap-1"


@NEEDS_SEAL
def test_a_required_cage_reads_where_the_kernel_seals() -> None:
    assert CagedReading(is_required=True).inspect([MemorySource(bytes(4096))]).problems


@pytest.fixture
def limited() -> Iterator[int]:
    """A limit of 2 GiB beyond what the process holds, as a worker has one; the 2 GiB in bytes."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (held + (2 << 30), before[1]))
    yield 2 << 30
    resource.setrlimit(resource.RLIMIT_DATA, before)


def test_a_process_and_its_reader_share_the_limit_of_memory(
    limited: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    process_bounds: list[Bounds] = []
    start = ReaderProcess.start

    def noted(process: ReaderProcess, bounds: Bounds) -> socket.socket:
        process_bounds.append(bounds)
        return start(process, bounds)

    monkeypatch.setattr(ReaderProcess, "start", noted)
    held = bytearray(256 << 20)
    for reserved in (0, 128 << 20, 4 << 30):
        CagedReading(reserved=reserved).inspect([MemorySource(bytes(4096))])
    whole, less, least = (bounds.memory for bounds in process_bounds)
    assert whole < limited - len(held)
    assert abs(whole - less - (128 << 20)) < 32 << 20
    assert least == caged_reading.LEAST_MEMORY


def test_the_kernel_is_asked_what_the_seal_will_use() -> None:
    reading = CagedReading(is_required=not missing_protections())
    assert reading.inspect([MemorySource(bytes(4096))]).problems


def test_the_cpu_of_readers_is_counted(image: Path) -> None:
    before = reader_cpu_seconds()
    CagedReading().inspect([MemorySource(image.read_bytes())])
    assert 0.01 < reader_cpu_seconds() - before < 60


def test_no_more_processes_are_kept_than_are_useful() -> None:
    for _ in range(3):
        CagedReading().inspect([MemorySource(bytes(4096))])
    assert len(caged_reading._idle) <= 2


def test_the_numbers_of_system_calls_are_the_kernels() -> None:
    from sidelight.cage.system_calls import ALLOWED, ARCHITECTURES, DEADLY

    headers = {
        "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        "aarch64": Path("/usr/include/asm-generic/unistd.h"),
    }
    seen = 0
    for machine_name, path in headers.items():
        if not path.exists():
            continue
        text = path.read_text()
        known = {
            name: int(number) for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)", text)
        }
        # asm-generic's names for calls whose argument has another width on 32 bits.
        for name, number in re.findall(r"#define __NR3264_(\w+)\s+(\d+)", text):
            known.setdefault(name, int(number))
        numbers = ARCHITECTURES[machine_name].numbers
        assert {name: known.get(name) for name in numbers} == numbers
        assert set(numbers) == {name for name in (*ALLOWED, *DEADLY) if name in known}
        seen += 1
    if not seen:
        pytest.skip("needs the kernel's headers")


def test_records_are_bounded_frames_and_bear_every_name() -> None:
    from sidelight.cage.frames import MOST_TEXT
    from sidelight.cage.inventory_records import InventoryDecoder, records
    from sidelight.model import Inventory, OperatingSystem, Package, Problem, Status

    packages = tuple(
        Package("deb", f"n{number}", "1", "/x\udcff" + "y" * 4096, "pkg:deb/x", direct=True)
        for number in range(5000)
    )
    problems = tuple(Problem("\udc80" * 60_000, "w" * 60_000) for _ in range(300))
    inventory = Inventory(Status.PARTIAL, OperatingSystem("debian"), packages, problems)
    parts = list(records(inventory))
    assert max(map(len, parts)) <= MOST_TEXT
    decoder = InventoryDecoder()
    for part in parts[:-1]:
        decoder.add(part)
    assert decoder.done(parts[-1]) == inventory
    assert json.loads(parts[-1])[2]["packages"] == 5000
