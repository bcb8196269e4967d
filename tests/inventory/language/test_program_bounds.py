"""Parts of a file that lie in the same place do not multiply the work: bytes and looks counted."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass

import pytest

from sidelight.errors import DamagedError, LimitError
from sidelight.inventory.language import (
    bunlock,
    bunlockb,
    dotnetbundle,
    gobinary,
    golinker,
    pyinstaller,
)
from sidelight.inventory.language.executable import program
from tests.fakes.counted_text import Compared
from tests.fakes.memory_file import MemoryFile


@dataclass
class _Counted(MemoryFile):
    taken: int = 0

    def read_at(self, offset: int, length: int) -> bytes:
        data = super().read_at(offset, length)
        self.taken += len(data)
        return data


def _sections(name: bytes, flags: int, count: int, size: int) -> bytes:
    """A 64-bit ELF program whose sections of one name are all the same `size` bytes."""
    names = b"\0" + name + b"\0"
    at = 64 + 64 * (count + 1)
    entry = struct.Struct("<2L4Q2L2Q")
    table = entry.pack(1, 3, 0, 0, at, len(names), 0, 0, 0, 0)
    table += entry.pack(1, 1, flags, 0, at + len(names), size, 0, 0, 0, 0) * count
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<2HL3QL6H", 2, 62, 1, 0, 0, 64, 0, 64, 0, 0, 64, count + 1, 0)
    return head + table + names + bytes(size)


def test_data_sections_in_one_place_are_searched_up_to_a_bound() -> None:
    file = _Counted(_sections(b".data", 1, 4000, 1 << 20))
    with pytest.raises(LimitError, match="data sections"):
        dotnetbundle.bundle_offset(file, program(file.read_at))
    assert file.taken < dotnetbundle.ALL_SEARCHED + (1 << 20)


def test_sections_of_build_information_are_searched_up_to_a_bound() -> None:
    file = _Counted(_sections(b".go.buildinfo", 3, 4000, 1 << 20))
    with pytest.raises(LimitError, match="4001 sections"):
        list(gobinary._parse(file))
    assert file.taken < (gobinary.MOST_PLACES + 2) << 20


def test_the_linkers_variables_are_not_compared_with_every_module() -> None:
    modules = [Compared(f"example.com/m{number}") for number in range(5_000)]
    flags = " ".join(f"-X other.com/a{number}.version=1" for number in range(500))
    Compared.comparisons = 0
    assert not golinker.linked_version(f"build\t-ldflags={flags}\n", modules)
    assert Compared.comparisons < 10_000


def test_a_package_below_one_of_the_modules_is_the_programs_own() -> None:
    text = "build\t-ldflags=-X example.com/mine/cmd/build.Version=1.2.3\n"
    assert golinker.linked_version(text, ["example.com/mine"]) == "1.2.3"
    assert not golinker.linked_version(text, ["example.com/min"])


def _frozen(count: int, metadata: bytes) -> bytes:
    """An archive of PyInstaller whose distributions' metadata is all in one place."""
    name = b"a.dist-info/METADATA\0"
    entry = struct.pack(">4LBc", 18 + len(name), 0, len(metadata), len(metadata), 1, b"x") + name
    contents = entry * count
    length = len(metadata) + len(contents) + 88
    return (
        metadata
        + contents
        + struct.pack(">8s4L64s", pyinstaller.MAGIC, length, len(metadata), len(contents), 311, b"")
    )


def test_metadata_in_one_place_is_inflated_up_to_a_bound() -> None:
    text = b"Name: a\nVersion: 1\nX: " + b"x" * (1 << 20)
    file = MemoryFile(_frozen(4_000, zlib.compress(text)))
    cookie = pyinstaller.cookie_offset(file, file.size)
    found: list[object] = []
    with pytest.raises(LimitError, match="bytes of metadata"):
        found.extend(pyinstaller.read_archive(file, cookie))


def _bun(count: int, *, needs: int, text: int) -> bytes:
    """Packages of bun.lockb that share their dependencies and their names."""
    packages = 8 * count + 8 * count + 64 * count + 16 * count
    begin = len(bunlockb.MAGIC) + bunlockb._HEADER.size
    body = struct.pack("<2L", 0, text | 0x80000000) * count + bytes(8 * count) + bytes(64 * count)
    body += struct.pack("<2L", 0, needs) * (2 * count)
    assert len(body) == packages
    end = begin + packages
    arrays = [b"", b"", bytes(4 * needs), bytes(26 * needs), b"", b"x" * text]
    places = at = end
    out = b""
    for data in arrays:
        at = places + len(out) + 16
        out += struct.pack("<2Q", at, at + len(data)) + data
    head = bunlockb._HEADER.pack(2, b"", 0, count, 8, 8, begin, end)
    return bunlockb.MAGIC + head + body + out


def test_dependencies_that_packages_share_are_damage() -> None:
    assert len(bunlockb._LockReader(_bun(1, needs=5_000, text=3)).packages()[0].needs) == 5_000
    with pytest.raises(DamagedError, match="share their dependencies"):
        bunlockb._LockReader(_bun(5_000, needs=5_000, text=3)).packages()


def test_strings_in_one_place_are_decoded_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bunlockb, "TEXT_LIMIT", 1 << 20)
    with pytest.raises(LimitError, match="bytes of strings"):
        bunlockb._LockReader(_bun(1_000, needs=0, text=4_000)).packages()


def test_a_key_longer_than_any_is_not_searched_within() -> None:
    key = "a/" * 1_000_000 + "a"
    needs = {f"n{number}": "1" for number in range(200)}

    class Packages(dict[str, object]):
        looked_up = 0

        def __contains__(self, name: object) -> bool:
            self.looked_up += len(str(name))
            return super().__contains__(name)

    packages = Packages(json.loads(json.dumps({key: ["a@1", "", {"dependencies": needs}]})))
    assert sorted(bunlock._needs(packages, key)) == sorted(needs)
    assert packages.looked_up < 1_000_000
