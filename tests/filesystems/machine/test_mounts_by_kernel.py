"""The assembled tree beside the kernel's own mounts of the same filesystems."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.disk import volumes
from sidelight.filesystems.machine.mount_table import assemble, open_slices
from tests.images.kernel import unmountable

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.model import Problem

pytestmark = [
    pytest.mark.images,
    pytest.mark.mounts,
    pytest.mark.skipif(bool(unmountable()), reason=unmountable() or "mountable"),
]

ROOT = ["etc/", "data/inner/under/", "one/", "two/", "three/deep/", "self/", "var/hidden/", "srv/"]
DATA = ["inner/x/", "lib/status", "sub/dir/file", "log/"]
LOG = ["syslog", "old/a/b/c"]

CASES = {
    "nested": [("data", "var", ""), ("log", "var/log", "")],
    "bind": [("data", "data/inner", ""), ("/data", "one", "bind"), ("/data", "two", "rbind")],
    "bind of a part": [("data", "var", ""), ("/var/sub", "srv", "bind")],
    "root in itself": [("/", "self", "bind")],
    "root with all in itself": [("log", "srv", ""), ("/", "self", "rbind")],
    "twice": [("data", "one", ""), ("data", "two", "")],
    "one filesystem and a part of it": [("data", "var", ""), ("/var/lib", "data/inner", "bind")],
    "stacked": [("data", "one", ""), ("log", "one", "")],
    "chain": [("log", "one", ""), ("/one/old", "two", "bind"), ("/two/a", "three/deep", "bind")],
}


def image(folder: Path, label: str, names: list[str], extra: dict[str, bytes]) -> Path:
    tree = folder / f"{label}.tree"
    for name in names:
        path = tree / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(label)
    for name, data in extra.items():
        (tree / name).write_bytes(data)
    path = folder / f"{label}.img"
    with path.open("wb") as file:
        file.truncate(4 << 20)
    command = ["mkfs.ext4", "-q", "-L", label, "-O", "^has_journal", "-d", str(tree), str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def kernel_paths(
    folder: Path, images: dict[str, Path], lines: list[tuple[str, str, str]]
) -> set[str]:
    top = folder / "mnt"
    top.mkdir()
    with ExitStack() as stack:
        devices = {}
        for label, path in images.items():
            command = ["losetup", "-f", "--show", "-r", str(path)]
            device = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            devices[label] = device.strip()
            stack.callback(subprocess.run, ["losetup", "-d", devices[label]], check=True)
        # Private, so that what is mounted below does not also appear where it was bound.
        subprocess.run(["mount", "-o", "ro", devices["root"], str(top)], check=True)
        stack.callback(subprocess.run, ["umount", "-R", str(top)], check=True)
        subprocess.run(["mount", "--make-rprivate", str(top)], check=True)
        for source, target, option in lines:
            where = str(top / target)
            if option:
                command = ["mount", f"--{option}", str(top) + source.rstrip("/"), where]
            else:
                command = ["mount", "-o", "ro", devices[source], where]
            subprocess.run(command, check=True, capture_output=True)
            subprocess.run(["mount", "--make-rprivate", str(top)], check=True)
        found: set[str] = set()
        for parent, directories, files in os.walk(top):
            for name in directories + files:
                found.add(os.path.relpath(os.path.join(parent, name), top))  # noqa: PTH118 -- os.walk
        return found


@pytest.mark.parametrize("case", CASES)
def test_the_tree_is_the_kernels(tmp_path: Path, case: str) -> None:
    lines = CASES[case]
    fstab = "LABEL=root / ext4\n" + "".join(
        f"{source} /{target} none {option}\n" if option else f"LABEL={source} /{target} ext4\n"
        for source, target, option in lines
    )
    extra = {"etc/fstab": fstab.encode(), "etc/os-release": b"ID=x\n"}
    images = {
        "root": image(tmp_path, "root", ROOT, extra),
        "data": image(tmp_path, "data", DATA, {}),
        "log": image(tmp_path, "log", LOG, {}),
    }
    kernel = kernel_paths(tmp_path, images, lines)
    problems: list[Problem] = []
    sources = [ImageFile(str(path), label) for label, path in images.items()]
    slices = volumes(sources, problems)
    tree = assemble(slices, open_slices(slices, problems))
    paths = {
        (path + b"/" + name).decode().lstrip("/")
        for level in tree.walk()
        for path, _, _, entries in level
        for name, _, _ in entries
    }
    assert {path for path in paths if not path.startswith("[")} == kernel
    assert tree.problems == []
    assert problems == []
    for path in kernel:
        assert tree.resolve(path)
