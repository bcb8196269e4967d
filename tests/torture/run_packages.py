"""Images copied while dpkg and rpm work on them, against the kernel, dpkg-query and rpm.

`python -m tests.torture.run_packages --copies 20 --kind ext4` prints one line a fault; exit 1 if
any. Needs root, loop devices, dpkg and rpm with rpmbuild. Small packages are made first. Then dpkg
installs, upgrades and removes them in one thread, and rpm does in another, on a mounted image that
is copied at random moments, at one instant each. The kernel mounts a second copy, replaying its
journal: its paths must be ours, and what dpkg-query and rpm list there must be our inventory.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sidelight.blocks import ImageFile
from sidelight.filesystems.open import open_filesystem
from sidelight.scan import inspect
from tests.images.kernel import (
    copy_at_once,
    differences,
    mounted,
    reflinks,
    sidelight_view,
    tree_view,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Not fast_commit: the kernel's replay changes directories' times, and fails on some of its own
# images. run_ext allows for that.
KINDS = {
    "ext3": ["mke2fs", "-q", "-F", "-t", "ext3"],
    "ext4": ["mke2fs", "-q", "-F", "-t", "ext4"],
    "ext4-1k": ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-J", "size=4"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
}
SIZE = 400 << 20
HOST_SIZE = 6 << 30
PACKAGES, VERSIONS = 6, 3
SQLITE = ("--define", "_db_backend sqlite", "--define", "_dbpath /var/lib/rpm")

# The type, the name and the version.
Listed = tuple[str, str, str]


class Worker:
    """A thread that runs one package manager on the mounted image until it is stopped."""

    def __init__(self, command: Callable[[random.Random], list[str]], seed: int) -> None:
        self._command = command
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.runs = 0
        self.failed = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            done = subprocess.run(
                self._command(self._random), check=False, capture_output=True, text=True
            )
            self.runs += done.returncode == 0
            self.failed = done.stderr if done.returncode else self.failed


def debs(folder: Path) -> dict[tuple[int, int], Path]:
    """Packages for dpkg, by number and version."""
    found = {}
    for number in range(PACKAGES):
        for version in range(1, VERSIONS + 1):
            tree = folder / f"deb-{number}-{version}"
            (tree / "DEBIAN").mkdir(parents=True)
            (tree / "DEBIAN/control").write_text(
                f"Package: deb{number}\nVersion: {version}.0-1\nArchitecture: all\n"
                f"Maintainer: Nobody <nobody@example.org>\nDescription: {'x' * 200}\n"
            )
            data = tree / f"usr/share/deb{number}"
            data.mkdir(parents=True)
            for file in range(10 + version):
                (data / f"file-{file}").write_bytes(random.Random(file).randbytes(3000 * version))
            found[number, version] = folder / f"deb{number}_{version}.deb"
            _run("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, found[number, version])
    return found


def rpms(folder: Path) -> dict[tuple[int, int], Path]:
    """Packages for rpm, by number and version."""
    found = {}
    for number in range(PACKAGES):
        for version in range(1, VERSIONS + 1):
            top, spec = folder / f"rpm-{number}-{version}", folder / f"{number}-{version}.spec"
            data = f"%{{buildroot}}/opt/rpm{number}"
            spec.write_text(
                f"Name: rpm{number}\nVersion: {version}.0\nRelease: 1\nSummary: x\nLicense: x\n"
                f"BuildArch: noarch\nAutoReqProv: no\n%description\nx\n%install\nmkdir -p {data}\n"
                f"for i in $(seq {10 + version}); do"
                f" head -c {3000 * version} /dev/zero > {data}/$i; done\n%files\n/opt/rpm{number}\n"
            )
            _run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}", spec)
            (found[number, version],) = top.glob("RPMS/*/*.rpm")
    return found


def dpkg_commands(
    top: Path, packages: dict[tuple[int, int], Path]
) -> Callable[[random.Random], list[str]]:
    """What dpkg does next."""

    def command(chance: random.Random) -> list[str]:
        words = ["dpkg", f"--root={top}", "--force-all", "--log=/dev/null"]
        if chance.random() < 0.3:
            return [
                *words,
                chance.choice(["--purge", "--remove"]),
                f"deb{chance.randrange(PACKAGES)}",
            ]
        chosen = chance.sample(sorted(packages), chance.randrange(1, 4))
        return [*words, "-i", *(str(packages[key]) for key in chosen)]

    return command


def rpm_commands(
    top: Path, packages: dict[tuple[int, int], Path]
) -> Callable[[random.Random], list[str]]:
    """What rpm does next."""

    def command(chance: random.Random) -> list[str]:
        words = ["rpm", "--root", str(top), *SQLITE]
        if chance.random() < 0.3:
            return [*words, "-e", "--nodeps", f"rpm{chance.randrange(PACKAGES)}"]
        number = chance.randrange(PACKAGES)
        package = packages[number, chance.randrange(1, VERSIONS + 1)]
        return [*words, "-U", "--force", "--nodeps", "--nosignature", str(package)]

    return command


def copies(kind: str, count: int, seed: int, folder: Path) -> Iterator[Path]:
    """Copies of one image at random moments while both package managers work on it."""
    chance = random.Random(seed)
    made_debs, made_rpms = debs(folder), rpms(folder)
    with reflinks(folder, HOST_SIZE) as place, ExitStack() as stack:
        image = place / "live.img"
        with image.open("wb") as file:
            file.truncate(SIZE)
        _run(*KINDS[kind], image)
        fstype = kind.partition("-")[0]
        top = stack.enter_context(mounted(image, fstype, "rw"))
        for directory in ("etc", "var/lib/dpkg/updates", "var/lib/dpkg/info", "var/lib/rpm"):
            (top / directory).mkdir(parents=True)
        (top / "etc/os-release").write_text("ID=debian\nVERSION_ID=12\n")
        (top / "var/lib/dpkg/status").touch()
        _run("sync", "-f", top)
        workers = [
            stack.enter_context(Worker(commands, seed + at))
            for at, commands in enumerate(
                (dpkg_commands(top, made_debs), rpm_commands(top, made_rpms))
            )
        ]
        for _ in range(600):
            if all(worker.runs for worker in workers):
                break
            time.sleep(0.1)
        else:
            raise RuntimeError("\n".join(worker.failed for worker in workers))
        for number in range(count):
            time.sleep(chance.uniform(0.05, 1.0))
            copy = place / f"copy-{number}.img"
            copy_at_once(image, copy)
            yield copy
            copy.unlink(missing_ok=True)
        _say(f"{kind}: dpkg ran {workers[0].runs} times, rpm {workers[1].runs}")


def compare(copy: Path, kind: str) -> list[str]:
    """What differs between one copy as we read it and as the kernel and the tools do."""
    fstype = kind.partition("-")[0]
    with ImageFile(str(copy)) as source:
        own_facts = sidelight_view(open_filesystem(source))
        inventory = inspect([source])
    twin = copy.with_suffix(".twin")
    copy_at_once(copy, twin)
    try:
        options = "rw,nouuid" if fstype == "xfs" else "rw"
        with mounted(twin, fstype, options) as top:
            lines = differences(own_facts, tree_view(top), 5)
            expected = listed(top)
    finally:
        twin.unlink()
    found = {(p.type, p.name, p.version) for p in inventory.packages if p.type in {"deb", "rpm"}}
    lines += [f"only ours: {item}" for item in sorted(found - expected)]
    lines += [f"only theirs: {item}" for item in sorted(expected - found)]
    lines += [f"problem: {item.where}: {item.what}" for item in inventory.problems]
    return lines


def listed(top: Path) -> set[Listed]:
    """What dpkg-query and rpm say is installed, in any state that has files."""
    form = "${Package} ${Version} ${db:Status-Status}\\n"
    text = _run("dpkg-query", f"--admindir={top}/var/lib/dpkg", "-W", "-f", form)
    rows = [line.split(" ") for line in text.splitlines()]
    absent = {"not-installed", "config-files"}
    found = {("deb", row[0], row[1]) for row in rows if row[-1] not in absent and row[1]}
    form = "%{NAME} %{VERSION}-%{RELEASE}\\n"
    text = _run("rpm", "--root", top, *SQLITE, "-qa", "--qf", form)
    return found | {("rpm", *line.split(" ")) for line in text.splitlines()}  # type: ignore[misc]


def torture(kind: str, count: int, seed: int, keep: Path | None) -> int:
    """The number of copies that differ; each is printed."""
    faults = 0
    with tempfile.TemporaryDirectory(prefix="sidelight-packages-", dir="/var/tmp") as folder:
        for number, copy in enumerate(copies(kind, count, seed, Path(folder))):
            lines = compare(copy, kind)
            if lines:
                faults += 1
                _say(f"{kind} copy {number}: " + "\n    ".join(lines))
                if keep is not None:
                    shutil.copy(copy, keep / f"{kind}-{seed}-{number}.img")
    return faults


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _run(*words: str | Path) -> str:
    done = subprocess.run([str(w) for w in words], check=False, capture_output=True, text=True)
    if done.returncode and words[0] != "dpkg-query":
        raise OSError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=sorted(KINDS))
    parser.add_argument("--keep", type=Path, help="directory for copies that differ")
    words = parser.parse_args()
    faults = sum(
        torture(kind, words.copies, words.seed, words.keep) for kind in words.kind or list(KINDS)
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
