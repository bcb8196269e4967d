"""Rust programs with their list of crates (cargo auditable)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import DamagedError, FormatError, LimitError
from sidelight.inventory.language import cargoauditable
from tests.fixtures.elf_files import elf
from tests.inventory.language.program_sections import dep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.inventory.protocol import Extraction


def test_crates_of_an_auditable_program(extract: Callable[..., Extraction]) -> None:
    section = dep(
        [
            {"name": "app", "version": "0.1.0", "root": True, "dependencies": [1, 2]},
            {"name": "serde", "version": "1.0.0", "dependencies": [3]},
            {"name": "cc", "version": "1.1.0", "kind": "build"},
            {"name": "itoa", "version": "2.0.0"},
        ]
    )
    found = extract(cargoauditable.EXTRACTOR, "app", elf({".dep-v0": section}))
    assert {(p.name, p.direct) for p in found.packages} == {
        ("app", False),
        ("serde", True),
        ("itoa", False),
    }


@pytest.mark.parametrize(
    ("section", "error"),
    [
        (b"no zlib", DamagedError),
        (dep([])[:-3], DamagedError),
        (zlib.compress(b" " * (cargoauditable.JSON_LIMIT + 1)), LimitError),
        (b"\0" * (cargoauditable.COMPRESSED_LIMIT + 1), LimitError),
        (zlib.compress(b"[1]"), DamagedError),
        (zlib.compress(b'{"packages": [[]]}'), DamagedError),
    ],
)
def test_a_damaged_list_of_crates_is_reported(
    extract: Callable[..., Extraction], section: bytes, error: type[FormatError]
) -> None:
    with pytest.raises(error):
        extract(cargoauditable.EXTRACTOR, "app", elf({".dep-v0": section}))


@pytest.mark.conformance
def test_real_auditable_programs(
    extract: Callable[..., Extraction],
    facts: Callable[[Extraction], set[tuple[str, str]]],
    manifests: Path,
) -> None:
    data = manifests / "rust/cargoauditable/testdata/uses_serde_json/uses_serde_json"
    assert facts(extract(cargoauditable.EXTRACTOR, "app", data)) >= {
        ("itoa", "1.0.14"),
        ("memchr", "2.7.4"),
        ("ryu", "1.0.18"),
        ("serde", "1.0.217"),
        ("serde_json", "1.0.135"),
        ("uses_json", "0.1.0"),
    }
