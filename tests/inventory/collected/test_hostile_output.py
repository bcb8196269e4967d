"""Outputs that an instance's owner made up: each fault is a Problem, and the rest is evaluated."""

from __future__ import annotations

import tarfile
import tracemalloc
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.inventory.collected import envelope, tar_members
from sidelight.inventory.collected.reading import read_collected
from tests.fixtures.collector_outputs import FLASK, RACK, output, tar

if TYPE_CHECKING:
    from collections.abc import Callable


def names(text: bytes) -> set[str]:
    return {package.name for package in read_collected(text).packages}


def faults(text: bytes) -> str:
    return "; ".join(problem.what for problem in read_collected(text).problems)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_a_sound_output_has_no_problems(form: int) -> None:
    long = f"usr/lib/{'d' * 90}/{'e' * 60}.dist-info/METADATA"

    text = output(tar(FLASK, (long, b"Name: long\nVersion: 1\n"), form=form))

    assert names(text) == {"flask", "long"}
    assert faults(text) == ""


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
def test_a_truncated_output_gives_what_is_whole_and_says_so(keep: float) -> None:
    tree = tar(FLASK, *((f"usr/lib/n{n}.dist-info/METADATA", b"Name: n\nVersion: 1\n")
                        for n in range(500)))  # fmt: skip
    text = output(tree)

    cut = text[: int(len(text) * keep)]

    assert "cut short" in faults(cut)
    assert "flask" in names(cut)


def test_a_wrong_checksum_is_a_problem_and_sound_sections_are_read() -> None:
    text = output(tar(FLASK))
    changed = text.replace(b"\nend ", b"\nend 0")

    assert "checksum is wrong" in faults(changed)
    assert names(changed) == {"flask"}


def test_a_section_of_wrong_bytes_is_not_read() -> None:
    text = output(tar(FLASK, RACK))
    at = text.index(b"= tree\n") + 60
    changed = text[:at] + (b"A" if text[at : at + 1] != b"A" else b"B") + text[at + 1 :]

    found = read_collected(changed)

    assert found.problems
    assert found.about == {"collector": "test"}


@pytest.mark.parametrize("text", [b"", b"x", b"\0" * 100, b"SIDELIGHT-DEEP-INSPECTION 2\n= tree\n",
                                  b"/bin/sh: not found\n"])  # fmt: skip
def test_what_is_no_output_is_one_problem(text: bytes) -> None:
    found = read_collected(text)

    assert len(found.problems) == 1
    assert not found.packages


@pytest.mark.parametrize(
    "name",
    ["../etc/METADATA", "/etc/METADATA", "usr/../../METADATA", "usr//x", "a/" * 200 + "METADATA"],
)
def test_names_that_lead_out_of_the_tree_are_left_out(name: str) -> None:
    text = output(tar((name, b"x"), FLASK, form=tarfile.PAX_FORMAT))

    assert "left out" in faults(text)
    assert names(text) == {"flask"}


def test_links_lead_nowhere_outside_of_the_tree() -> None:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, target in (
            ("usr/lib/METADATA", "/etc/passwd"),
            ("usr/lib/loop", "loop"),
            ("usr/lib/x/package.json", "../../../../../../etc/shadow"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
        for kind in (tarfile.CHRTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"usr/lib/{kind.decode()}")
            info.type = kind
            archive.addfile(info)
    found = read_collected(output(out.getvalue()))

    assert not found.packages
    assert "neither a file nor a link" in found.problems[0].what


@pytest.mark.slow
def test_a_bomb_inflates_to_its_sections_limit_and_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(envelope.SECTIONS, "tree", 1 << 20)
    text = output(tar(FLASK) + bytes(200 << 20))
    tracemalloc.start()
    try:
        assert "inflates to more than" in faults(text)
        assert tracemalloc.get_traced_memory()[1] < 60 << 20
    finally:
        tracemalloc.stop()


def test_more_members_than_allowed_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_members, "MAX_MEMBERS", 5)
    text = output(tar(FLASK, *((f"usr/lib/f{n}/METADATA", b"") for n in range(20))))

    assert "more than 5 files" in faults(text)
    assert names(text) == {"flask"}


def test_a_damaged_header_ends_the_files_and_keeps_those_before() -> None:
    tree = bytearray(tar(FLASK, RACK))
    tree[1024 + 130] ^= 1  # the size in the second header

    text = output(bytes(tree))

    assert "damaged header" in faults(text)
    assert names(text) == {"flask"}


def test_a_path_that_is_there_twice_counts_once() -> None:
    text = output(tar(FLASK, (FLASK[0], b"Name: other\nVersion: 1\n"), (f"{FLASK[0]}/x", b"")))

    assert names(text) == {"flask"}
    assert faults(text).count("twice, or below a file") == 2


@pytest.mark.parametrize(
    "pieces",
    [b"0+10,5+10", b"90+20", b"0+99999999999999999999", b"x", b"-1+5", b"0+1," * 6000, b"5+1,0+1"],
)
def test_impossible_pieces_leave_their_file_out(pieces: bytes) -> None:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("usr/lib/tool")
        info.size, info.mode = 30, 0o755
        info.pax_headers = {"SIDELIGHT.size": "100", "SIDELIGHT.pieces": pieces.decode()}
        archive.addfile(info, BytesIO(bytes(30)))
    text = output(out.getvalue())

    assert "impossible pieces" in faults(text) or "pax" in faults(text)


def test_huge_numbers_of_owners_and_notes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidelight.inventory.collected.owners.MAX_LINES", 10)
    found = read_collected(
        output(
            tar(FLASK), owners=b"dpkg\tx\t/a\n" * 1000, notes=b"problem\ta\tb\x1b[31m\n" * 100_000
        )
    )

    assert {package.name for package in found.packages} == {"flask"}
    assert any("10 lines of owned files" in problem.what for problem in found.problems)
    assert len(found.problems) < 1_010


SOUND = output(
    tar(FLASK, RACK), dpkg_status=b"Package: a\nStatus: x\n", owners=b"rpm\ta\tb\tc\t/d\n"
)


@given(st.data())
def test_any_damage_is_survived(data: st.DataObject) -> None:
    text = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 5))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(text)))

    read_collected(bytes(text[:cut]))


@given(st.data())
def test_any_damage_to_the_files_is_survived(data: st.DataObject) -> None:
    tree = bytearray(tar(FLASK, RACK, form=tarfile.PAX_FORMAT))
    change: Callable[[], int] = lambda: data.draw(st.integers(0, len(tree) - 1))  # noqa: E731
    for _ in range(data.draw(st.integers(1, 8))):
        tree[change()] = data.draw(st.integers(0, 255))

    read_collected(output(bytes(tree)))
