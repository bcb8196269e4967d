"""Collecting over a whole tree: the walk, ownership, links, containers, faults and time."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import collect
from sidelight.inventory.protocol import Extraction, WantedFile, Wants
from sidelight.inventory.registry import DATABASES, EXTRACTORS, OS_EXTRACTORS
from tests.fakes.host_directory import HostDirectory
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.inventory.collected_machine import (
    FakeExtractor,
    collect_root,
    package_names,
    write_file,
    write_program,
)

if TYPE_CHECKING:
    from pathlib import Path


# --- what is found ---


def test_finds_the_system_its_packages_and_what_nobody_owns(debian: Path) -> None:
    found = collect_root(debian)
    assert (found.os.id, found.os.version_id) == ("debian", "12")
    assert package_names(found) == ["bash", "python3-six", "requests"]
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
    assert package_names(collect_root(debian)) == ["bash", "python3-six", "requests"]


def test_results_are_sorted_and_each_is_given_once(debian: Path) -> None:
    found = collect_root(debian)
    keys = [(p.type, p.name, p.version, p.arch, p.path) for p in found.packages]
    assert keys == sorted(set(keys))


# --- links ---


def test_a_database_behind_a_directory_link_counts_once(debian: Path) -> None:
    (debian / "data").mkdir()
    (debian / "var").rename(debian / "data/var")
    (debian / "var").symlink_to("data/var")
    found = collect_root(debian)
    assert package_names(found) == ["bash", "python3-six", "requests"]
    assert found.problems == []


def test_a_wanted_name_that_leads_to_another_is_a_file_of_its_own(debian: Path) -> None:
    write_file(debian, "srv/blob", "Metadata-Version: 2.1\nName: linked\nVersion: 1\n")
    (debian / "opt/linked-1.dist-info").mkdir()
    (debian / "opt/linked-1.dist-info/METADATA").symlink_to("/srv/blob")
    assert "linked" in package_names(collect_root(debian))


def test_a_link_to_what_the_walk_sees_anyway_adds_nothing(debian: Path) -> None:
    (debian / "srv/x-2.0.dist-info").mkdir(parents=True)
    (debian / "srv/x-2.0.dist-info/METADATA").symlink_to("/opt/app/requests-2.0.dist-info/METADATA")
    assert package_names(collect_root(debian)).count("requests") == 1


@pytest.mark.parametrize("target", ["METADATA", "/nowhere", "../../../../../etc/shadow", ""])
def test_loops_and_dangling_links_do_no_harm(debian: Path, target: str) -> None:
    (debian / "srv/x-1.dist-info").mkdir(parents=True)
    if target:
        (debian / "srv/x-1.dist-info/METADATA").symlink_to(target)
    assert package_names(collect_root(debian)) == ["bash", "python3-six", "requests"]


# --- unsupported never looks like clean ---


def test_a_system_without_a_known_database_is_a_problem(tmp_path: Path) -> None:
    write_file(tmp_path, "etc/os-release", 'ID=haiku\nPRETTY_NAME="Haiku R1"\n')
    (problem,) = collect_root(tmp_path).problems
    assert problem.where == "/"
    assert "Haiku R1" in problem.what


def test_nothing_at_all_is_a_problem(tmp_path: Path) -> None:
    assert collect_root(tmp_path).problems


def test_an_empty_database_is_a_problem(debian: Path) -> None:
    (debian / "var/lib/dpkg/status").write_bytes(b"")
    assert [p.where for p in collect_root(debian).problems] == ["/var/lib/dpkg/status"]


def test_packages_of_an_unnamed_system_are_a_problem(debian: Path) -> None:
    (debian / "usr/lib/os-release").unlink()
    found = collect_root(debian)
    assert package_names(found) == ["bash", "python3-six", "requests"]
    assert any("release file" in problem.what for problem in found.problems)


def test_executables_are_elf_files_that_nobody_owns(debian: Path) -> None:
    write_program(debian, "usr/local/bin/mine")
    write_program(debian, "usr/local/bin/versioned-1.2")
    write_program(debian, "usr/bin/owned")
    write_program(debian, "usr/local/bin/plain", mode=0o644)
    write_program(debian, "usr/local/bin/script", data=b"#!/bin/sh")
    write_program(debian, "usr/local/lib/code.py")
    write_file(debian, "usr/local/bin/tiny", b"\x7fELF").chmod(0o755)
    (debian / "usr/local/bin/link").symlink_to("mine")
    with (debian / "var/lib/dpkg/info/python3-six.list").open("a") as listed:
        listed.write("/usr/bin/owned\n")
    seen: list[str] = []

    def act(file: WantedFile) -> Extraction:
        seen.append(file.path)
        assert file.read_at(0, 4) == b"\x7fELF"
        return Extraction()

    fs = HostDirectory(debian)
    fake = FakeExtractor(act, wants=Wants(executables=True))
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


# --- names ---


def test_paths_need_not_be_text(debian: Path) -> None:
    directory = os.fsencode(debian) + b"/opt/\xff-1.dist-info"
    os.mkdir(directory)  # noqa: PTH102 - no text
    (debian / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1\n")
    os.rename(debian / "METADATA", directory + b"/METADATA")  # noqa: PTH104 - no text
    (package,) = (package for package in collect_root(debian).packages if package.name == "odd")
    assert package.path == "/opt/\udcff-1.dist-info/METADATA"


def test_devices_and_sockets_with_wanted_names_are_left_alone(debian: Path) -> None:
    (debian / "opt/y-1.dist-info").mkdir()
    fifo = debian / "opt/y-1.dist-info/METADATA"
    os.mkfifo(fifo)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert collect_root(debian).problems == []


# --- the registry ---


def test_every_extractor_has_a_name_of_its_own_and_wants_something() -> None:
    names = [extractor.name for extractor in EXTRACTORS]
    assert len(set(names)) == len(names)
    assert set(names) >= DATABASES
    assert all(name.startswith(("os/", "kernels/", "language/", "listeners/")) for name in names)
    for extractor in EXTRACTORS:
        wants = extractor.wants
        by_name = wants.names or wants.suffixes or wants.paths or wants.directories
        assert by_name or wants.executables or wants.executable_archives


def test_a_node_package_of_the_os_is_not_reported_twice(debian: Path) -> None:
    path = "usr/share/nodejs/semver/package.json"
    write_file(debian, path, json.dumps({"name": "semver", "version": "7.3.5"}))
    with (debian / "var/lib/dpkg/info/python3-six.list").open("a") as listed:
        listed.write(f"/{path}\n")
    assert "semver" not in package_names(collect_root(debian))


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
