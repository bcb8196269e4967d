"""Which files packages own: our answer for every path of a tree, beside `rpm -qf`'s."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.filesystems.machine.mount_table import MachineTree
from sidelight.inventory.collect import collect
from sidelight.inventory.registry import OS_EXTRACTORS
from tests.fakes.host_directory import HostDirectory
from tests.fakes.unowned_files import Every

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sidelight.inventory.protocol import Extractor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("rpmbuild") is None or os.geteuid() != 0, reason="needs rpmbuild and root"
    ),
]

# Of files of a package: the line in %files without the path, or `link:` and a target; the path.
Files = list[tuple[str, str]]


def build(folder: Path, name: str, files: Files, arch: str = "noarch", version: str = "1") -> Path:
    """A package whose files hold its name and version."""
    top = folder / f"build-{name}-{version}-{arch}"
    make = "\n".join(
        f'mkdir -p "%{{buildroot}}$(dirname "{path}")"\n'
        f'echo "{name} {version}" > "%{{buildroot}}{path}"'
        for kind, path in files
        if not kind.startswith("link:")
    )
    make += "\n" + "\n".join(
        f'mkdir -p "%{{buildroot}}$(dirname "{path}")"; ln -s "{kind[5:]}" "%{{buildroot}}{path}"'
        for kind, path in files
        if kind.startswith("link:")
    )
    listed = "\n".join(
        f'{"" if kind.startswith("link:") else kind} "{path}"'.strip() for kind, path in files
    )
    spec = folder / f"{name}-{version}.spec"
    spec.write_text(
        f"Name: {name}\nVersion: {version}\nRelease: 1\nSummary: x\nLicense: x\n"
        f"AutoReqProv: no\n%description\nx\n%install\n{make}\n"
        f"%files\n%defattr(-,root,root)\n{listed}\n"
    )
    command = ["rpmbuild", "-bb", "--quiet", "--target", arch, "--define", f"_topdir {top}"]
    command += ["--define", "__os_install_post %nil", "--define", "debug_package %nil"]
    subprocess.run([*command, str(spec)], check=True, capture_output=True, cwd=folder)
    (package,) = top.glob("RPMS/*/*.rpm")
    return package


def rpm(root: Path, *words: str) -> str:
    command = ["rpm", "--root", str(root), "--define", "_dbpath /usr/lib/sysimage/rpm", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout


def install(root: Path, *words: str) -> None:
    command = ["rpm", "--root", str(root), "--define", "_dbpath /usr/lib/sysimage/rpm", "-U"]
    flags = ["--nodeps", "--nosignature", "--noscripts", "--ignorearch", "--ignoreos"]
    subprocess.run([*command, *flags, *words], check=True, capture_output=True)


def owned_by_rpm(root: Path, paths: Sequence[str]) -> set[str]:
    """The paths of which `rpm -qf` names a package."""
    owned = set()
    for path in paths:
        command = ["rpm", "--root", str(root), "--define", "_dbpath /usr/lib/sysimage/rpm"]
        done = subprocess.run([*command, "-qf", path], check=False, capture_output=True)
        if done.returncode == 0:
            owned.add(path)
    return owned


def walked(root: Path) -> list[str]:
    found = []
    for folder, _, names in os.walk(root):
        found += [f"{folder}/{name}"[len(str(root)) :] for name in names if name.endswith(".own")]
    return sorted(path for path in found if not (root / path[1:]).is_symlink())


def owned_by_us(root: Path, paths: Sequence[str]) -> set[str]:
    extractors: tuple[Extractor, ...] = (*OS_EXTRACTORS, Every())
    found = collect(MachineTree(HostDirectory(root)), extractors=extractors)
    assert [item for item in found.problems if "release file" not in item.what] == []
    free = {package.name for package in found.packages if package.type == "generic"}
    assert free <= set(paths)
    return set(paths) - free


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "usr/lib/sysimage/rpm").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("ID=fedora\nVERSION_ID=40\n")
    return root


def _compare(root: Path, expected_owned: int) -> None:
    paths = walked(root)
    by_rpm = owned_by_rpm(root, paths)
    assert owned_by_us(root, paths) == by_rpm
    assert len(by_rpm) == expected_owned


def test_ordinary_configuration_and_ghost_files(root: Path, tmp_path: Path) -> None:
    files = [
        ("", "/usr/lib/plain.own"),
        ("%config(noreplace)", "/etc/kept.own"),
        ("%config", "/etc/replaced.own"),
        ("%ghost", "/var/lib/ghost.own"),
        ("%ghost", "/var/lib/absent-ghost.own"),
        ("%doc", "/usr/share/doc/a/readme.own"),
    ]
    package = build(tmp_path, "a", files)
    install(root, str(package))
    (root / "var/lib").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/ghost.own").write_text("made later")
    (root / "etc/kept.own").write_text("changed")
    (root / "etc/strange.own").write_text("nobody's")
    _compare(root, 5)


def test_directories_that_are_links(root: Path, tmp_path: Path) -> None:
    layout = [("", "/usr/lib/first.own"), ("link:usr/lib", "/lib"), ("link:usr/bin", "/bin")]
    install(root, str(build(tmp_path, "filesystem", layout)))
    (root / "usr/bin").mkdir(exist_ok=True)
    other = build(
        tmp_path, "b", [("", "/lib/modules/b.own"), ("", "/bin/b.own"), ("", "/usr/bin/c.own")]
    )
    install(root, str(other))
    (root / "usr/lib/modules/nobody.own").write_text("")
    assert (root / "usr/lib/modules/b.own").exists()
    _compare(root, 4)


def test_files_that_were_not_installed_or_replaced_are_not_owned(
    root: Path, tmp_path: Path
) -> None:
    documents = build(tmp_path, "docs", [("%doc", "/usr/share/doc/x.own"), ("", "/usr/x.own")])
    install(root, "--excludedocs", str(documents))
    (root / "usr/share/doc").mkdir(parents=True, exist_ok=True)
    (root / "usr/share/doc/x.own").write_text("by hand")
    first = build(tmp_path, "first", [("", "/opt/shared.own"), ("", "/opt/first.own")])
    second = build(tmp_path, "second", [("", "/opt/shared.own")])
    install(root, str(first))
    install(root, "--replacefiles", str(second))
    net = build(tmp_path, "net", [("", "/net/share.own"), ("", "/usr/local.own")])
    install(root, "--define", "_netsharedpath /net", str(net))
    (root / "net").mkdir(exist_ok=True)
    (root / "net/share.own").write_text("on the server")
    _compare(root, 5)
    subprocess.run(
        ["rpm", "--root", str(root), "--define", "_dbpath /usr/lib/sysimage/rpm", "-e", "second"],
        check=True,
        capture_output=True,
    )
    (root / "opt/shared.own").write_text("left by somebody")
    _compare(root, 4)


def test_two_architectures_share_a_file(root: Path, tmp_path: Path) -> None:
    shared = [("", "/usr/share/both.own")]
    wide = build(tmp_path, "lib", [*shared, ("", "/usr/lib64/lib.own")], "x86_64")
    narrow = build(tmp_path, "lib", [*shared, ("", "/usr/lib/lib.own")], "i686")
    install(root, "--force", str(wide), str(narrow))
    (root / "usr/lib/other.own").write_text("")
    _compare(root, 3)
    install(root, "--oldpackage", str(build(tmp_path, "lib", shared, "x86_64", "2")), "--force")
    _compare(root, len(owned_by_rpm(root, walked(root))))


NAMES = [
    "plain",
    "with blank",
    "quote'",
    "é",
    "percent%",
    "[bracket]",
    "star*",
    "tab",
    "back\\slash",
]


def test_awkward_names(root: Path, tmp_path: Path) -> None:
    files = [("", f"/opt/dir {index}/{name}.own") for index, name in enumerate(NAMES[:2])]
    install(root, str(build(tmp_path, "odd", files)))
    for name in NAMES:
        (root / f"opt/{name}.own").write_text("")
    _compare(root, 2)
