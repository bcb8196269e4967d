"""What the fuzzers keep: every target on its corpus and on a few seeded inputs finds nothing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from fuzz import corpus
from fuzz.choices import Choices
from fuzz.targets import NAMES, target

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("zstandard")


@pytest.fixture(autouse=True)
def _checksums_put_back() -> Iterator[None]:
    """Targets switch checks off for good: theirs is a process of its own."""
    from sidelight.disk.lvm import thin_layout
    from sidelight.filesystems.xfs import log_records

    kept = thin_layout.checksum, log_records._checksum_ok
    yield
    thin_layout.checksum, log_records._checksum_ok = kept


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_mutated_structures_raise_only_our_errors(name: str) -> None:
    decode = target(name)
    inputs = corpus.load(name)[:40]
    inputs += [random.Random(seed).randbytes(100) for seed in range(10)]
    assert sum(decode(data) for data in inputs) > 0


@pytest.mark.parametrize("name", NAMES)
def test_every_target_has_a_corpus(name: str) -> None:
    assert corpus.load(name)


def test_an_input_gives_the_same_choices_again_and_its_bytes_steer_them() -> None:
    first, again, other = (
        Choices(b"ab" + b"\x01\x02" * 8),
        Choices(b"ab" + b"\x01\x02" * 8),
        Choices(b"\xff" * 16),
    )
    drawn = [first.randrange(200) for _ in range(50)]
    assert drawn == [again.randrange(200) for _ in range(50)]
    assert drawn[:4] == [1, 2, 1, 2]
    assert [other.random() for _ in range(4)] == [0xFFFF / 0x10000] * 4
