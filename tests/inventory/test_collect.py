"""Collecting over a whole tree: the walk, ownership, links, containers, faults and time."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import DamagedError, LimitError
from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import Collected, CollectOptions, collect
from sidelight.inventory.protocol import Extraction, Machine, ReadAhead, WantedFile, Wants
from sidelight.inventory.registry import DATABASES, EXTRACTORS, OS_EXTRACTORS
from sidelight.model import Package, Problem
from tests.fakes.host_directory import HostDirectory
from tests.fakes.memory_filesystem import MemoryFilesystem

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from sidelight.inventory.protocol import Extractor

_DEFAULT = CollectOptions()

_STATUS = """Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2-1

Package: python3-six
Status: install ok installed
Architecture: all
Version: 1.16-4
"""


def _write(root: Path, path: str, data: str | bytes = "") -> Path:
    where = root / path
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(data if isinstance(data, bytes) else data.encode())
    return where


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """A small Debian with merged /usr; six belongs to an OS package, requests to nobody."""
    _write(tmp_path, "usr/lib/os-release", 'ID=debian\nVERSION_ID="12"\n')
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").symlink_to("../usr/lib/os-release")
    (tmp_path / "lib").symlink_to("usr/lib")
    _write(tmp_path, "var/lib/dpkg/status", _STATUS)
    six = "usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA"
    _write(tmp_path, six, "Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\n")
    _write(tmp_path, "var/lib/dpkg/info/python3-six.list", f"/.\n/usr\n/{six}\n/etc/motd\n")
    _write(
        tmp_path,
        "opt/app/requests-2.0.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: requests\nVersion: 2.0\n",
    )
    return tmp_path


def _collect(root: Path, *, options: CollectOptions = _DEFAULT) -> Collected:
    return collect(MachineTree(HostDirectory(root)), options)


def _names(collected: Collected) -> list[str]:
    return sorted(package.name for package in collected.packages)


# --- what is found ---


def test_finds_the_system_its_packages_and_what_nobody_owns(debian: Path) -> None:
    found = _collect(debian)
    assert (found.os.id, found.os.version_id) == ("debian", "12")
    assert _names(found) == ["bash", "python3-six", "requests"]
    assert found.owned == 1
    assert found.problems == []


def test_every_file_is_read_once(debian: Path) -> None:
    fs = HostDirectory(debian)
    collect(MachineTree(fs))
    assert len(fs.content_requests) == len(set(fs.content_requests))


def test_an_owned_language_file_is_not_even_read(debian: Path) -> None:
    fs = HostDirectory(debian)
    collect(MachineTree(fs))
    metadata = [number for number, _, _ in fs.reads if fs.name_of(number) == "METADATA"]
    assert len(metadata) == 1


def test_ownership_knows_of_merged_directories(debian: Path) -> None:
    listed = debian / "var/lib/dpkg/info/python3-six.list"
    listed.write_text(listed.read_text().replace("/usr/lib/python3", "/lib/python3"))
    assert _names(_collect(debian)) == ["bash", "python3-six", "requests"]


def test_results_are_sorted_and_each_is_given_once(debian: Path) -> None:
    found = _collect(debian)
    keys = [(p.type, p.name, p.version, p.arch, p.path) for p in found.packages]
    assert keys == sorted(set(keys))


# --- links ---


def test_a_database_behind_a_directory_link_counts_once(debian: Path) -> None:
    (debian / "data").mkdir()
    (debian / "var").rename(debian / "data/var")
    (debian / "var").symlink_to("data/var")
    found = _collect(debian)
    assert _names(found) == ["bash", "python3-six", "requests"]
    assert found.problems == []


def test_a_wanted_name_that_leads_to_another_is_a_file_of_its_own(debian: Path) -> None:
    _write(debian, "srv/blob", "Metadata-Version: 2.1\nName: linked\nVersion: 1\n")
    (debian / "opt/linked-1.dist-info").mkdir()
    (debian / "opt/linked-1.dist-info/METADATA").symlink_to("/srv/blob")
    assert "linked" in _names(_collect(debian))


def test_a_link_to_what_the_walk_sees_anyway_adds_nothing(debian: Path) -> None:
    (debian / "srv/x-2.0.dist-info").mkdir(parents=True)
    (debian / "srv/x-2.0.dist-info/METADATA").symlink_to("/opt/app/requests-2.0.dist-info/METADATA")
    assert _names(_collect(debian)).count("requests") == 1


@pytest.mark.parametrize("target", ["METADATA", "/nowhere", "../../../../../etc/shadow", ""])
def test_loops_and_dangling_links_do_no_harm(debian: Path, target: str) -> None:
    (debian / "srv/x-1.dist-info").mkdir(parents=True)
    if target:
        (debian / "srv/x-1.dist-info/METADATA").symlink_to(target)
    assert _names(_collect(debian)) == ["bash", "python3-six", "requests"]


# --- unsupported never looks like clean ---


def test_a_system_without_a_known_database_is_a_problem(tmp_path: Path) -> None:
    _write(tmp_path, "etc/os-release", 'ID=haiku\nPRETTY_NAME="Haiku R1"\n')
    (problem,) = _collect(tmp_path).problems
    assert problem.where == "/"
    assert "Haiku R1" in problem.what


def test_nothing_at_all_is_a_problem(tmp_path: Path) -> None:
    assert _collect(tmp_path).problems


def test_an_empty_database_is_a_problem(debian: Path) -> None:
    (debian / "var/lib/dpkg/status").write_bytes(b"")
    assert [p.where for p in _collect(debian).problems] == ["/var/lib/dpkg/status"]


def test_packages_of_an_unnamed_system_are_a_problem(debian: Path) -> None:
    (debian / "usr/lib/os-release").unlink()
    found = _collect(debian)
    assert _names(found) == ["bash", "python3-six", "requests"]
    assert any("release file" in problem.what for problem in found.problems)


# --- container runtimes ---


def _layer(root: Path) -> None:
    layer = root / "var/lib/docker/overlay2/abc/diff"
    _write(layer, "etc/os-release", "ID=alpine\nVERSION_ID=3.20\n")
    _write(layer, "lib/apk/db/installed", "P:musl\nV:1.2.5-r0\nA:x86_64\n")
    _write(layer, "app/pip-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: pip\nVersion: 1\n")


def test_runtime_paths_are_left_out(debian: Path) -> None:
    _layer(debian)
    assert _names(_collect(debian)) == ["bash", "python3-six", "requests"]


def test_runtime_paths_are_taken_in_with_a_label(debian: Path) -> None:
    _layer(debian)
    found = _collect(debian, options=CollectOptions(include_containers=True))
    layered = {package.name: package for package in found.packages if package.layer}
    assert set(layered) == {"musl", "pip"}
    assert {package.layer for package in layered.values()} == {"docker"}
    assert layered["musl"].path == "/var/lib/docker/overlay2/abc/diff/lib/apk/db/installed"
    assert layered["musl"].purl.startswith("pkg:apk/alpine/musl@")
    assert "distro=alpine-3.20" in layered["musl"].purl
    assert found.os.id == "debian"


def _moved(root: Path) -> None:
    """The runtime's directory is a link to a larger disk's."""
    _layer(root)
    (root / "data/images").mkdir(parents=True)
    (root / "var/lib/docker").rename(root / "data/images/docker")
    (root / "var/lib/docker").symlink_to("/data/images/docker")
    _write(
        root / "data", "pip-2.dist-info/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 2\n"
    )


def test_runtime_paths_are_left_out_where_a_link_leads_to_them(debian: Path) -> None:
    _moved(debian)
    assert _names(_collect(debian)) == ["bash", "mine", "python3-six", "requests"]


def test_runtime_paths_behind_a_link_are_taken_in_with_a_label(debian: Path) -> None:
    _moved(debian)
    found = _collect(debian, options=CollectOptions(include_containers=True))
    layered = {package.name: package for package in found.packages if package.layer}
    assert {name: package.layer for name, package in layered.items()} == {
        "musl": "docker",
        "pip": "docker",
    }
    assert layered["musl"].path == "/data/images/docker/overlay2/abc/diff/lib/apk/db/installed"


@pytest.mark.parametrize("target", ["usr", "data", "srv/shop"])
def test_a_runtime_s_link_to_what_is_not_its_own_hides_nothing(debian: Path, target: str) -> None:
    _write(
        debian / target,
        "pip-2.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: mine\nVersion: 2\n",
    )
    (debian / "var/lib/containerd").symlink_to(f"/{target}")
    assert "mine" in _names(_collect(debian))


@pytest.mark.parametrize("containers", [False, True])
def test_a_bound_runtime_path_is_not_taken_for_the_machine_s_own(containers: bool) -> None:
    # As Bottlerocket has it: /var is bound to a directory of the data disk.
    metadata = b"Metadata-Version: 2.1\nName: %s\nVersion: 1\n"
    images = {"io.containerd.app": {"pip-1.dist-info": {"METADATA": metadata % b"pip"}}}
    own = {"own-1.dist-info": {"METADATA": metadata % b"own"}}
    data = MemoryFilesystem({"var": {"lib": {"containerd": images}}, "opt": own}, "data")
    tree = MachineTree(MemoryFilesystem({"etc": {}, "var": {}, "local": {}}))
    tree.mount("local", data)
    tree.bind("local/var", "var")
    found = collect(tree, CollectOptions(include_containers=containers))
    paths = {package.name: (package.path, package.layer) for package in found.packages}
    pip = ("/var/lib/containerd/io.containerd.app/pip-1.dist-info/METADATA", "containerd")
    assert paths == {
        "own": ("/local/opt/own-1.dist-info/METADATA", ""),
        **({"pip": pip} if containers else {}),
    }


# --- faults ---


@dataclass
class _Fake:
    """An extractor of `*.fake` files that does what a test sets."""

    act: Callable[[WantedFile], Extraction]
    name: str = "language/fake"
    wants: Wants = field(default_factory=lambda: Wants(suffixes=frozenset((".fake",))))

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        del machine
        return self.act(file)


def _one(file: WantedFile) -> Extraction:
    name = file.read().decode()
    return Extraction([Package("generic", name, "1", f"/{file.path}", f"pkg:generic/{name}@1")])


def _with(fake: _Fake, root: Path, options: CollectOptions = _DEFAULT) -> Collected:
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
    _write(debian, "a/bad.fake", "bad")
    _write(debian, "a/good.fake", "good")

    def act(file: WantedFile) -> Extraction:
        if file.path == "a/bad.fake":
            raise error
        return _one(file)

    found = _with(_Fake(act), debian)
    assert found.problems == [Problem("/a/bad.fake", what)]
    assert _names(found) == ["bash", "good", "python3-six"]


def test_a_file_over_the_limit_is_a_problem(debian: Path) -> None:
    _write(debian, "a/large.fake", "x" * 101)
    _write(debian, "a/small.fake", "small")
    fake = _Fake(_one, wants=Wants(suffixes=frozenset((".fake",)), limit=100))
    found = _with(fake, debian)
    assert [problem.where for problem in found.problems] == ["/a/large.fake"]
    assert "small" in _names(found)


@pytest.mark.parametrize("random_access", [True, False])
def test_a_file_that_cannot_be_read_is_a_problem(debian: Path, random_access: bool) -> None:
    _write(debian, "a/bad.fake", "bad")
    _write(debian, "a/good.fake", "good")
    wants = Wants(suffixes=frozenset((".fake",)), random_access=random_access)
    fs = HostDirectory(debian)
    fs.unreadable.add(b"bad.fake")
    found = collect(MachineTree(fs), extractors=(*OS_EXTRACTORS, _Fake(_one, wants=wants)))
    assert found.problems == [Problem("/a/bad.fake", "block 7 cannot be read")]
    assert "good" in _names(found)


def test_random_access_reads_only_what_is_asked_for(debian: Path) -> None:
    _write(debian, "a/archive.fake", b"head" + bytes(1 << 20) + b"tail")
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
    collect(MachineTree(fs), extractors=(_Fake(act, wants=wants),))
    assert seen == [(b"head", b"tail", b"", (1 << 20) + 8)]
    read = sum(length for number, _, length in fs.reads if fs.name_of(number) == "archive.fake")
    # The end, where archives have their directory, was fetched ahead with its neighbours'.
    assert read == 8 + (64 << 10)


def test_siblings_are_found_beside_and_below_but_not_above(debian: Path) -> None:
    _write(debian, "a/x.fake", "x")
    _write(debian, "a/beside", "b")
    _write(debian, "a/below/deep", "d")
    _write(debian, "above", "no")
    (debian / "a/link").symlink_to("/above")
    seen: list[bytes | None] = []

    def act(file: WantedFile) -> Extraction:
        names = ("beside", "below/deep", "link", "../above", "nothing", "below", "beside/x", "")
        seen.extend(file.sibling(name) for name in names)
        with pytest.raises(LimitError):
            file.sibling("beside", limit=0)
        return Extraction()

    _with(_Fake(act), debian)
    assert seen == [b"b", b"d", b"no", None, None, None, None, None]


# --- executables ---


def _program(root: Path, path: str, *, mode: int = 0o755, data: bytes = b"\x7fELF") -> None:
    where = _write(root, path, data + bytes(64 << 10))
    where.chmod(mode)


def test_executables_are_elf_files_that_nobody_owns(debian: Path) -> None:
    _program(debian, "usr/local/bin/mine")
    _program(debian, "usr/local/bin/versioned-1.2")
    _program(debian, "usr/bin/owned")
    _program(debian, "usr/local/bin/plain", mode=0o644)
    _program(debian, "usr/local/bin/script", data=b"#!/bin/sh")
    _program(debian, "usr/local/lib/code.py")
    _write(debian, "usr/local/bin/tiny", b"\x7fELF").chmod(0o755)
    (debian / "usr/local/bin/link").symlink_to("mine")
    with (debian / "var/lib/dpkg/info/python3-six.list").open("a") as listed:
        listed.write("/usr/bin/owned\n")
    seen: list[str] = []

    def act(file: WantedFile) -> Extraction:
        seen.append(file.path)
        assert file.read_at(0, 4) == b"\x7fELF"
        return Extraction()

    fs = HostDirectory(debian)
    fake = _Fake(act, wants=Wants(executables=True))
    found = collect(MachineTree(fs), extractors=(*OS_EXTRACTORS, fake))
    assert sorted(seen) == [
        "usr/local/bin/mine",
        "usr/local/bin/versioned-1.2",
        "usr/local/lib/code.py",
    ]
    opened = {fs.name_of(number) for number, _, _ in fs.reads}
    assert not opened & {"owned", "plain", "tiny"}
    assert max(length for number, _, length in fs.reads if fs.name_of(number) == "mine") == 64
    assert found.problems == []


# --- time ---


class _Clock:
    """Moves on by a second with each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_a_file_that_takes_too_long_is_a_problem(debian: Path) -> None:
    for name in ("a", "b"):
        _write(debian, f"x/{name}.fake", name)

    def act(file: WantedFile) -> Extraction:
        while file.path == "x/a.fake":
            file.check_time()
        return _one(file)

    options = CollectOptions(file_seconds=50, machine_seconds=1e9, clock=_Clock())
    found = _with(_Fake(act), debian, options)
    assert found.problems == [Problem("/x/a.fake", "this file took longer than 50 s")]
    assert "b" in _names(found)


def test_files_that_are_read_in_turn_take_none_of_each_other_s_time(debian: Path) -> None:
    """And one that fails between two steps is a Problem of its own."""
    clock = _Clock()
    order = []

    @dataclass
    class _Stepping(_Fake):
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
        _write(debian, f"x/{name}.fake", name)
    wants = Wants(suffixes=frozenset((".fake",)), random_access=True)
    options = CollectOptions(file_seconds=50, machine_seconds=1e9, clock=clock)
    found = _with(_Stepping(_one, wants=wants), debian, options)
    assert sorted(order[:3]) == sorted(order[3:]), "each had begun before one went on"
    assert found.problems == [
        Problem("/x/a.fake", "this file took longer than 50 s"),
        Problem("/x/b.fake", "bad bytes"),
    ]
    assert "c" in _names(found)


def test_a_machine_that_takes_too_long_is_read_in_part(debian: Path) -> None:
    clock = _Clock()

    def act(file: WantedFile) -> Extraction:
        clock.now += 1000
        return _one(file)

    for number in range(9):
        _write(debian, f"x/{number}.fake", str(number))
    found = _with(_Fake(act), debian, CollectOptions(machine_seconds=1500, clock=clock))
    assert 1 <= sum(package.type == "generic" for package in found.packages) < 9
    assert any("the time is spent" in problem.what for problem in found.problems)


def test_a_walk_that_takes_too_long_is_cut_short(debian: Path) -> None:
    found = _collect(debian, options=CollectOptions(machine_seconds=0.5, clock=_Clock()))
    assert any("walk was cut short" in problem.what for problem in found.problems)


# --- names ---


def test_paths_need_not_be_text(debian: Path) -> None:
    directory = os.fsencode(debian) + b"/opt/\xff-1.dist-info"
    os.mkdir(directory)  # noqa: PTH102 - no text
    (debian / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1\n")
    os.rename(debian / "METADATA", directory + b"/METADATA")  # noqa: PTH104 - no text
    (package,) = (package for package in _collect(debian).packages if package.name == "odd")
    assert package.path == "/opt/\udcff-1.dist-info/METADATA"


def test_devices_and_sockets_with_wanted_names_are_left_alone(debian: Path) -> None:
    (debian / "opt/y-1.dist-info").mkdir()
    fifo = debian / "opt/y-1.dist-info/METADATA"
    os.mkfifo(fifo)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert _collect(debian).problems == []


# --- the registry ---


def test_every_extractor_has_a_name_of_its_own_and_wants_something() -> None:
    names = [extractor.name for extractor in EXTRACTORS]
    assert len(set(names)) == len(names)
    assert set(names) >= DATABASES
    assert all(name.startswith(("os/", "language/", "listeners/")) for name in names)
    for extractor in EXTRACTORS:
        wants = extractor.wants
        by_name = wants.names or wants.suffixes or wants.paths or wants.directories
        assert by_name or wants.executables or wants.executable_archives


def test_a_node_package_of_the_os_is_not_reported_twice(debian: Path) -> None:
    path = "usr/share/nodejs/semver/package.json"
    _write(debian, path, json.dumps({"name": "semver", "version": "7.3.5"}))
    with (debian / "var/lib/dpkg/info/python3-six.list").open("a") as listed:
        listed.write(f"/{path}\n")
    assert "semver" not in _names(_collect(debian))


# --- kernels ---


def test_boot_may_be_a_filesystem_of_its_own() -> None:
    status = "".join(
        f"Package: linux-image-6.1.0-{n}-amd64\nStatus: install ok installed\nVersion: 6.1\n\n"
        for n in (17, 18)
    )
    grub = (
        b"set default=\"0\"\nmenuentry 'old' {\n linux /vmlinuz-6.1.0-17-amd64 ro\n}\n"
        b"menuentry 'new' {\n linux /vmlinuz-6.1.0-18-amd64 ro\n}\n"
    )
    tree = MachineTree(
        MemoryFilesystem(
            {
                "boot": {},
                "etc": {"os-release": b"ID=debian\nVERSION_ID=12\n"},
                "var": {"lib": {"dpkg": {"status": status.encode()}}},
            },
            "root",
        )
    )
    images = {f"vmlinuz-6.1.0-{n}-amd64": b"x" for n in (17, 18)}
    tree.mount(b"boot", MemoryFilesystem({**images, "grub": {"grub.cfg": grub}}, "boot"))
    found = collect(tree)
    assert {package.name: package.running_kernel for package in found.packages} == {
        "linux-image-6.1.0-17-amd64": True,
        "linux-image-6.1.0-18-amd64": False,
    }


# --- caps of one machine ---


@pytest.mark.parametrize(
    ("cap", "what"),
    [("MAX_FILES", "wanted files"), ("MAX_CANDIDATES", "files that may be programs")],
)
def test_files_beyond_a_cap_are_reported(
    debian: Path, cap: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        _program(debian, f"opt/app{number}/program.png")
        _write(debian, f"opt/app{number}/app.jar", b"")
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


def test_configured_ports_are_read_though_a_package_owns_the_files() -> None:
    status = (
        b"Package: openssh-server\nStatus: install ok installed\nVersion: 1\n"
        b"Architecture: amd64\nMaintainer: Debian <a@debian.org>\n\n"
    )
    owned = {"openssh-server.list": b"/.\n/etc/ssh/sshd_config\n"}
    chroot = {
        "etc": {"os-release": b"ID=alpine\n", "ssh": {"sshd_config": b"Port 99\n"}},
        "lib": {"apk": {"db": {"installed": b"P:musl\nV:1\n\n"}}},
    }
    release = b'ID=debian\nVERSION_ID="12"\n'
    fs = MemoryFilesystem(
        {
            "etc": {"os-release": release, "ssh": {"sshd_config": b"Port 2222\n"}},
            "var": {"lib": {"dpkg": {"status": status, "info": owned}}},
            "srv": {"chroot": chroot},
        }
    )
    found = collect(MachineTree(fs))
    assert [(item.service, item.port, item.path, item.line) for item in found.listeners] == [
        ("ssh", 2222, "/etc/ssh/sshd_config", 1)
    ]
