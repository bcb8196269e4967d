"""The order of mounts: what it must keep, and what it may cost."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.filesystems.machine.fstab import Line
from sidelight.filesystems.machine.mount_order import ordered


def line(number: int, target: str, device: str = "/dev/sda1") -> Line:
    return Line(number, device, target.strip("/").encode(), "ext4", ())


def numbers(*lines: Line) -> list[int]:
    return [item.number for item in ordered(lines)]


def test_what_lies_above_goes_first_whatever_the_order_of_the_lines() -> None:
    lines = line(1, "/a"), line(2, "/a/b"), line(3, "/a/b/c")
    assert all(numbers(*order) == [1, 2, 3] for order in permutations(lines))


def test_a_source_goes_before_what_is_bound_from_it() -> None:
    assert numbers(line(1, "/x", "/data/in"), line(2, "/data")) == [2, 1]
    assert numbers(line(1, "/x", "/data"), line(2, "/data")) == [2, 1]


def test_lines_without_need_keep_their_order() -> None:
    assert numbers(line(1, "/b"), line(2, "/a"), line(3, "/b")) == [1, 2, 3]


def test_lines_that_need_each_other_all_come_once() -> None:
    assert numbers(line(1, "/a", "/b/x"), line(2, "/b", "/a/x"), line(3, "/c")) == [3, 1, 2]


def _needs(one: Line, pending: list[Line]) -> bool:
    """The law: another line that waits mounts above this one's target or source."""
    on_tree = one.device.startswith("/") and not one.device.startswith("/dev/")
    source = one.device.encode().strip(b"/") + b"/" if on_tree else b""
    return any(
        one.target.startswith(other.target + b"/") or source.startswith(other.target + b"/")
        for other in pending
        if other is not one
    )


_PATHS = st.sampled_from(["/a", "/a/b", "/a/b/c", "/b", "/b/a", "/ab"])


@given(
    st.lists(st.tuples(_PATHS, st.sampled_from(["/dev/sda1", "/a", "/a/b/c", "/b/x"])), max_size=7)
)
def test_the_first_line_that_needs_no_other_is_next(drawn: list[tuple[str, str]]) -> None:
    pending = [line(number, *parts) for number, parts in enumerate(drawn)]
    for found in ordered(list(pending)):
        expected = next((one for one in pending if not _needs(one, pending)), pending[0])
        assert found is expected
        pending.remove(found)
    assert pending == []


class _CountedPath(bytes):
    """A target that counts what is asked of it."""

    calls = 0

    def find(self, *args: object) -> int:
        type(self).calls += 1
        return super().find(*args)  # type: ignore[arg-type]

    def startswith(self, *args: object) -> bool:
        type(self).calls += 1
        return super().startswith(*args)  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [1, -1, 7])
def test_the_work_does_not_grow_as_the_pairs_of_lines(step: int) -> None:
    count = 1000
    lines = [
        Line(number, f"/m{number - 1}/d", _CountedPath(b"m%d" % number), "none", ("bind",))
        for number in range(count)
    ]
    shuffled = [lines[at * step % count] for at in range(count)]
    _CountedPath.calls = 0
    assert len(list(ordered(shuffled))) == count
    assert _CountedPath.calls < 10 * count
