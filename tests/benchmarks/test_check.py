"""What does not vary with the machine costs what was recorded, no more and no less."""

from __future__ import annotations

import pytest

from benchmarks.check import current, differences, recorded


@pytest.mark.slow
def test_counts_are_the_recorded_ones() -> None:
    assert differences(current(), recorded()) == []


def test_a_difference_is_named_with_both_counts() -> None:
    assert differences({"a": 2, "b": 1, "d": 1}, {"a": 1, "b": 1, "c": 3}) == [
        "a: 1 recorded, 2 now",
        "c: 3 recorded, nothing now",
        "d: nothing recorded, 1 now",
    ]
