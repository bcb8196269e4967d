"""Plain, modern English in every text and name: the words that the style guide bans are absent.

The changelog's past entries keep their words.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.static

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".py", ".md", ".sh", ".yaml", ".toml", ""}
BANNED = (
    "nought", "noughts", "anew", "amid", "lest", "whoever", "whatsoever", "gravest", "thrift",
    "hasten", "hastens", "bidden", "mend", "mends", "mended", "mending", "unmended",
)  # fmt: skip
PHRASES = (
    "of its own accord", "to be had", "the grave ones", "word of its", "word of their",
    # A stand-in, a symbol that stands for something, and a dispatcher that stands by are plain.
    "tells?", "(?:un)?told", r"stands?(?![ _-](?:by|for|ins?)(?![a-z]))",
    # "Is not a list", not "is no list"; "there is no list" is plain, and so is "no longer".
    r"(?<!\bthere[ \n])(?:is|are|was|were) no(?=\s(?!longer|more|less|such|wider|newer|one\b))",
)  # fmt: skip
# Words of names are parted by underscores; `org.apache.thrift` is a project's own name. `tell` of
# a file is Python's, `/stand/boot` the path of an image's file.
_WORD = re.compile(
    rf"(?<![A-Za-z./])(?<!def )(?:{'|'.join((*BANNED, *PHRASES))})(?![A-Za-z])", re.IGNORECASE
)
NOT_OURS = ("tests/data/", "CHANGELOG.md", "LICENSE", "tests/test_words.py", "requirements.lock")


# In the names of tests, and in public names of the packages: a test states what is "reported",
# "listed" or "shown"; a function returns or reports. `tell` of a file is Python's own.
BANNED_IN_NAMES = {"tell", "tells", "told", "untold", "tidy", "witness"}
FILE_INTERFACE = {
    "sidelight/filesystems/pyfilesystem/stream.py",
    "sidelight/filesystems/foreign/base.py",
}


# Private words for values of the field: `request`, `answer`, `options` and so on say what they are.
BANNED_FOR_VALUES = {
    "asked", "came", "given", "got", "made", "mine", "ours", "said", "spoken", "theirs", "told",
}  # fmt: skip


def _public_names(path: Path) -> list[tuple[int, str]]:
    """Line and name of each public function, class and annotated attribute of a module."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append((node.lineno, node.name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append((node.lineno, node.target.id))
    return [(line, name) for line, name in found if not name.startswith("_")]


@pytest.mark.parametrize("folder", ["sidelight", "workers", "dispatcher", "tests"])
def test_no_public_name_and_no_test_name_has_a_private_word(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in FILE_INTERFACE
        for line, name in _public_names(path)
        if BANNED_IN_NAMES & set(name.lower().split("_"))
        and (folder != "tests" or name.startswith("test_"))
    ]
    assert found == []


def _defined_names(path: Path) -> list[tuple[int, str]]:
    """Line and name, without leading underscores, of all that a module defines or assigns."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append((node.lineno, node.name))
        elif isinstance(node, ast.arg):
            found.append((node.lineno, node.arg))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append((node.lineno, node.id))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.append((node.lineno, node.attr))
    return [(line, name.lstrip("_").lower()) for line, name in found]


@pytest.mark.parametrize(
    "folder", ["sidelight", "workers", "dispatcher", "benchmarks", "demo", "fuzz", "tests"]
)
def test_no_value_and_no_function_is_named_by_a_private_word(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, name in _defined_names(path)
        if name in BANNED_FOR_VALUES
    ]
    assert found == []


@pytest.mark.parametrize("folder", ["sidelight", "workers", "dispatcher", "benchmarks", "tests"])
def test_no_account_region_is_named_a_place(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.arg}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.arg) and node.arg in {"place", "places"}
        if node.annotation and re.search(r"\bAccountRegion\b", ast.unparse(node.annotation))
    ]
    assert found == []


def _texts() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("git does not know this folder")
    names = [name for name in listed.stdout.split("\0") if name and not name.startswith(NOT_OURS)]
    return [ROOT / name for name in names if Path(name).suffix in SUFFIXES]


# A region is AWS's: a partition or a logical volume is a volume slice. "Region" is XFS's own word
# for a part of an item in its log, and `region_size` is LVM's own member.
_REGION = re.compile(r"(?<![A-Za-z])regions?(?!_size|[A-Za-z])", re.IGNORECASE)
OF_DISKS = (
    "sidelight/disk", "sidelight/filesystems", "sidelight/scan.py", "fuzz", "tests/disk",
    "tests/filesystems",
)  # fmt: skip


def test_no_part_of_a_disk_is_named_a_region() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in _texts()
        if str(path.relative_to(ROOT)).startswith(OF_DISKS) and "xfs" not in str(path)
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if _REGION.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("text", ["a region", "open_regions(", "_region", "Regions by name"])
def test_a_region_is_found_within_names(text: str) -> None:
    assert _REGION.search(text)


def test_no_text_or_name_has_a_banned_word() -> None:
    found = []
    for path in _texts():
        try:
            text = path.read_text("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        found += [
            f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
            for match in _WORD.finditer(text)
        ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    ["starts anew", "Whoever asks", "NOUGHTS = 0", "is_mended", "is to be had", "tells that",
     "it is told", "_tell_all", "stands there", "it stands\nin", "that is no list",
     "They are no fault"],
)  # fmt: skip
def test_a_banned_word_is_found_in_any_case_and_within_names(text: str) -> None:
    assert _WORD.search(text)


@pytest.mark.parametrize(
    "text",
    ["recommended", "molest", "amidst", "org.apache.thrift", "file.tell()", "def tell(", "standing",
     "stands by", "a stand-in", "stand_ins", "stands for", "there is no list", "There are no",
     "there\nis no", "is no longer", "satellite"],
)  # fmt: skip
def test_a_word_that_only_contains_one_is_not(text: str) -> None:
    assert not _WORD.search(text)
