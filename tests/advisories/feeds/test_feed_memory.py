"""The memory that reading large feeds takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.advisories.feeds import decoding, read
from sidelight.advisories.feeds.formats import debian_tracker
from sidelight.errors import LimitError
from tests.advisories.feeds.measured_feeds import TRACKED, json_bytes, peak_of
from tests.fixtures.feed_records import OSV

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


# Large documents are composed by the tests that read them: each process of tests imports this.
_BY_RECORD: dict[str, Callable[[], bytes]] = {
    "list.json": lambda: (
        b"[%s]" % b",".join(json_bytes(OSV | {"id": f"GHSA-{at}"}) for at in range(10_000))
    ),
    "tracker.json": lambda: b"{%s}" % b",".join(TRACKED % (at, at % 1000) for at in range(10_000)),
}


# The rows of the tracker's packages are kept until the last.
@pytest.mark.slow
@pytest.mark.parametrize(("name", "share"), [("list.json", 0.5), ("tracker.json", 6)])
def test_documents_of_many_records_are_read_one_by_one(
    tmp_path: Path, name: str, share: float
) -> None:
    path = tmp_path / name
    path.write_bytes(_BY_RECORD[name]())
    count, peak = peak_of(path)
    assert count in {10_000, 1000}
    assert peak < share * path.stat().st_size


_NODES = decoding.MAX_NODES - 10
_AT_BOUNDS: dict[str, Callable[[], bytes]] = {
    "objects.json": lambda: b'{"a":[' + b'{"":0},' * (_NODES // 2) + b"{}]}",
    "fields.json": lambda: b'{"a":0' + b"".join(b',"%d":0' % at for at in range(_NODES)) + b"}",
    "emoji.json": lambda: b'{"a":"\xf0\x9f\x98\x80' + b"a" * (65 << 20) + b'"}',
    "list.json": lambda: b'[{"a":"\xf0\x9f\x98\x80' + b"a" * (65 << 20) + b'"}]',
}


@pytest.mark.slow
@pytest.mark.parametrize("name", _AT_BOUNDS)
def test_a_record_at_the_bounds_takes_no_gigabyte(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(_AT_BOUNDS[name]())
    count, peak = peak_of(tmp_path / name)
    assert count == -1
    assert peak < 400 << 20


def test_very_many_rows_of_the_tracker_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tracker.json"
    path.write_bytes(b"{%s}" % b",".join(TRACKED % (at, at) for at in range(100)))
    for name in ("MAX_ROWS", "MAX_VULNERABILITIES"):
        with monkeypatch.context() as patch:
            patch.setattr(debian_tracker, name, 50)
            with pytest.raises(LimitError, match="more than"):
                list(read.read(path))
