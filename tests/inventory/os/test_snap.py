"""Snaps, unpacked and as snapd lists them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import DamagedError, LimitError
from sidelight.inventory.os.snap import SnapState, SnapYaml, top_level
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile

if TYPE_CHECKING:
    from pathlib import Path

_MACHINE = Machine(OperatingSystem())
_PATH = "snap/core/1/meta/snap.yaml"


@pytest.mark.conformance
@pytest.mark.parametrize(
    ("name", "arch"), [("multi-arch", "amd64 arm64"), ("single-arch", "amd64")]
)
def test_real_files(shared_data: Path, name: str, arch: str) -> None:
    data = (shared_data / f"manifests/osv-scalibr/os/snap/testdata/{name}.yaml").read_bytes()
    (package,) = SnapYaml().extract(MemoryFile(data, _PATH), _MACHINE).packages
    assert (package.name, package.version) == ("core", "16-2.61.4-20240607")
    assert package.arch == arch


@pytest.mark.conformance
@pytest.mark.parametrize("name", ["missing-name.yaml", "missing-version.yaml", "invalid"])
def test_real_files_without_a_name_or_a_version_are_damaged(shared_data: Path, name: str) -> None:
    data = (shared_data / f"manifests/osv-scalibr/os/snap/testdata/{name}").read_bytes()
    with pytest.raises(DamagedError):
        SnapYaml().extract(MemoryFile(data, _PATH), _MACHINE)


def test_only_the_first_level_counts() -> None:
    data = (
        b"apps:\n  a:\n    name: no\n    version: 9\n"
        b"name: 'x'\nversion: 1.10\nlist: [a, [b], {c: d}]\n"
    )
    assert top_level(data, "") == {"name": "x", "version": "1.10", "list": ["a"]}


@pytest.mark.parametrize(
    "data", [b"a: &a [x]\nb: *a\nname: n\nversion: 1\n", b"a: !!python/name:os.system x\n"]
)
def test_aliases_and_tags_do_nothing(data: bytes) -> None:
    assert top_level(data, "").get("b") is None


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"[" * 50_000, (DamagedError, LimitError)),
        (b"a: [" + b"1," * 200_000 + b"]", LimitError),
        (b"\xff", DamagedError),
    ],
)
def test_hostile_documents_end(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        top_level(data, "")


def test_the_state_lists_revisions() -> None:
    state = {"data": {"snaps": {"core20": {"current": "2105"}, "bad": 1, "lxd": {"current": 7}}}}
    file = MemoryFile(json.dumps(state).encode(), "var/lib/snapd/state.json")
    found = SnapState().extract(file, _MACHINE).packages
    assert {(p.name, p.version) for p in found} == {
        ("core20", "revision 2105"),
        ("lxd", "revision 7"),
    }


@pytest.mark.parametrize("data", [b"", b"{", b'{"data": {"snaps": []}}'])
def test_a_damaged_state_is_reported(data: bytes) -> None:
    with pytest.raises(DamagedError):
        SnapState().extract(MemoryFile(data), _MACHINE)


def test_tag_directives_past_a_bound_do_not_reach_the_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("yaml.parse", lambda *_arguments, **_options: pytest.fail("was parsed"))
    text = b"".join(b"%%TAG !a%d! b\n" % number for number in range(50_000)) + b"---\nname: a\n"
    with pytest.raises(LimitError):
        top_level(text, "/meta/snap.yaml")
