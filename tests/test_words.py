"""Plain, modern English in every text and name: the words that the style guide bans are absent.

The changelog's past entries keep their words.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".py", ".md", ".sh", ".yaml", ".toml", ""}
BANNED = (
    "nought", "noughts", "anew", "amid", "lest", "whoever", "whatsoever", "gravest", "thrift",
    "hasten", "hastens", "bidden", "mend", "mends", "mended", "mending", "unmended",
)  # fmt: skip
# Words of names are parted by underscores; `org.apache.thrift` is a project's own name.
_WORD = re.compile(rf"(?<![A-Za-z.])(?:{'|'.join(BANNED)})(?![A-Za-z])", re.IGNORECASE)
NOT_OURS = ("tests/data/", "CHANGELOG.md", "LICENSE", "tests/test_words.py", "requirements.lock")


def _texts() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("git does not know this folder")
    names = [name for name in listed.stdout.split("\0") if name and not name.startswith(NOT_OURS)]
    return [ROOT / name for name in names if Path(name).suffix in SUFFIXES]


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


@pytest.mark.parametrize("text", ["starts anew", "Whoever asks", "NOUGHTS = 0", "is_mended"])
def test_a_banned_word_is_found_in_any_case_and_within_names(text: str) -> None:
    assert _WORD.search(text)


@pytest.mark.parametrize("text", ["recommended", "molest", "amidst", "org.apache.thrift"])
def test_a_word_that_only_contains_one_is_not(text: str) -> None:
    assert not _WORD.search(text)
