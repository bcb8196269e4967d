"""Requirements of Ruby and PHP as intervals, and their complement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.advisories.compile import spans
from sidelight.advisories.formats.requirements import interval, outside
from sidelight.errors import DamagedError
from sidelight.model import Affected, Interval
from sidelight.versions import sort_key


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([">= 1.2"], Interval("1.2")),
        (["> 1.2"], Interval("1.2", introduced_excluded=True)),
        (["<= 1.2"], Interval("", "1.2", end_included=True)),
        (["~> 1.2.3"], Interval("1.2.3", "1.3")),
        (["~> 1.2"], Interval("1.2", "2")),
        (["~> 2"], Interval("2", "3")),
        (["~> 4.2.5", ">= 4.2.5.1"], Interval("4.2.5.1", "4.3")),
        (["1.0"], Interval("1.0", "1.0", end_included=True)),
        ([">= 2", "< 1"], None),
        (["> 1", "< 1"], None),
    ],
)
def test_terms_bound_an_interval(terms: list[str], expected: Interval | None) -> None:
    assert interval(terms, "gem") == expected


def test_another_form_is_damage() -> None:
    with pytest.raises(DamagedError):
        interval(["about 1.2"], "gem")


_version = st.integers(0, 9).map("1.{}".format)
_term = st.tuples(st.sampled_from([">=", ">", "<", "<=", "=", "~>"]), _version).map(" ".join)


def _has(found: tuple[Interval, ...], version: str) -> bool:
    compiled, _refused = spans(Affected("RubyGems", "x", found))
    return any(span.contains(sort_key("gem", version)) for span in compiled)


@given(st.lists(st.lists(_term, min_size=1, max_size=2), max_size=4), _version)
def test_a_version_is_in_one_of_the_intervals_or_outside_them_all(
    requirements: list[list[str]], version: str
) -> None:
    safe = [found for terms in requirements if (found := interval(terms, "gem")) is not None]
    assert _has(tuple(safe), version) != _has(outside(safe, "gem"), version)
