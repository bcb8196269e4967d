"""Metadata texts and thin pools that nobody honest writes: only our errors, always an end."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.disk import volumes
from sidelight.disk.lvm import groups, layout, thin_layout
from sidelight.disk.lvm import text as lvm_text
from sidelight.disk.lvm.text import parse
from sidelight.disk.lvm.thin import ThinPool, ThinSource
from sidelight.errors import DamagedError, FormatError, LimitError, SidelightError
from tests.fakes.sources import MemorySource
from tests.images.disk.lvm_writer import physical_volume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.model import Problem

UUID = "abcdef-ghij-klmn-opqr-stuv-wxyz-012345"

TEXT = """# made by a test
contents = "Text Format Volume Group"
vg0 {
  id = "vvvvvv-vvvv-vvvv-vvvv-vvvv-vvvv-vvvvvv"
  seqno = 3
  extent_size = 8
  physical_volumes { pv0 { id = "%s" device = "/dev/sda" pe_start = 2048 pe_count = 8 } }
  logical_volumes {
%s
  }
}
"""


def group(logical_volumes: str) -> bytes:
    return (TEXT % (UUID, logical_volumes)).encode()


def disk(logical_volumes: str, extents: bytes = bytes(32768)) -> MemorySource:
    return MemorySource(physical_volume(UUID, group(logical_volumes), extents))


def lv(name: str, segment: str) -> str:
    return (
        f'{name} {{ id = "x" status = ["READ", "VISIBLE"] segment_count = 1\n'
        f"segment1 {{ start_extent = 0 extent_count = 2 {segment} }} }}\n"
    )


def test_a_volume_written_by_hand_is_read() -> None:
    problems: list[Problem] = []
    segment = 'type = "striped" stripe_count = 1 stripes = ["pv0", 1]'
    source = disk(lv("root", segment), b"".join(bytes([n]) * 4096 for n in range(8)))
    (volume_slice,) = volumes([source], problems)
    assert volume_slice.name == "vg0/root"
    assert volume_slice.source.read_at(4000, 200) == b"\x01" * 96 + b"\x02" * 104


def test_a_volume_that_is_its_own_member_ends_with_a_problem() -> None:
    segment = 'type = "striped" stripe_count = 1 stripes = ["pv0", 0]'
    text = group(lv("root", segment)).replace(b"pe_start = 2048", b"pe_start = 0")
    # Extents of 2 MiB, so that the first holds all that makes a member.
    text = text.replace(b"extent_size = 8", b"extent_size = 4096")
    problems: list[Problem] = []
    source = MemorySource(physical_volume(UUID, text, bytes(8 << 20)))
    assert volumes([source], problems) == []
    assert [(p.where, "within each other" in p.what) for p in problems] == [("vg0/root", True)]


def test_more_volumes_than_are_looked_at_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MAX_VOLUMES", 2)
    segment = 'type = "striped" stripe_count = 1 stripes = ["pv0", 1]'
    problems: list[Problem] = []
    source = disk("".join(lv(name, segment) for name in ("a", "b", "c")))
    found = volumes([source], problems)
    assert [volume_slice.name for volume_slice in found] == ["vg0/a", "vg0/b"]
    assert "LVM2: 3 volumes; 2 are looked at" in [p.what for p in problems]


def test_the_text_has_strings_numbers_lists_and_sections() -> None:
    root = parse(b'a = 1 b = "x \\"y\\" \\\\z" c = [1, "two", -3] d { e { f = [] } } # end\0junk {')
    assert root == {
        "a": 1,
        "b": 'x "y" \\z',
        "c": [1, "two", -3],
        "d": {"e": {"f": []}},
    }


@pytest.mark.parametrize(
    "text",
    [
        b"a",
        b"a =",
        b"a = [1",
        b"a {",
        b"}",
        b'a = "x',
        b"= 1",
        b"a b",
        b'"a" = 1',
        b"a = {",
        b"a = ]",
    ],
)
def test_broken_texts_are_damaged(text: bytes) -> None:
    with pytest.raises(DamagedError):
        parse(text)


@pytest.mark.slow
def test_deep_and_endless_texts_meet_a_limit() -> None:
    with pytest.raises(LimitError):
        parse(b"a {" * 100)
    with pytest.raises(LimitError):
        parse(b"a = [" + b"1 " * 2_000_001)


@pytest.mark.parametrize(
    ("logical_volumes", "expected"),
    [
        (
            lv("a", 'type = "striped" stripes = ["b", 0]')
            + lv("b", 'type = "striped" stripes = ["a", 0]'),
            "circle",
        ),
        (lv("a", 'type = "striped" stripes = ["a", 0]'), "circle"),
        (lv("a", 'type = "raid5"'), "unsupported: LVM2 raid5"),
        (lv("a", 'type = "cache" cache_pool = "x"'), "unsupported: LVM2 cache"),
        (lv("a", 'type = "writecache"'), "unsupported: LVM2 writecache"),
        (lv("a", "x = 1"), "without a type"),
        (lv("a", 'type = "striped" stripes = []'), "0 words"),
        (lv("a", 'type = "striped" stripes = ["pv0"]'), "1 words"),
        (lv("a", 'type = "striped" stripes = ["pv0", -1]'), "-1"),
        (lv("a", 'type = "striped" stripes = ["pv0", 0, "pv0", 1]'), "stripes of 0"),
        (lv("a", 'type = "striped" stripes = ["nobody", 0]'), "no such volume"),
        (lv("a", 'type = "thin" thin_pool = "gone" device_id = 1'), "no thin pool"),
        (lv("a", 'type = "error"'), "members are missing"),
    ],
)
def test_impossible_volumes_are_problems(logical_volumes: str, expected: str) -> None:
    problems: list[Problem] = []
    good = lv("good", 'type = "striped" stripes = ["pv0", 0]')
    found = volumes([disk(logical_volumes + good)], problems)
    assert [volume_slice.name for volume_slice in found if volume_slice.kind != ""] == ["vg0/good"]
    assert any(expected in p.what for p in problems), problems


def test_a_chain_of_volumes_beyond_reason_meets_a_limit() -> None:
    text = "".join(lv(f"v{n}", f'type = "striped" stripes = ["v{n + 1}", 0]') for n in range(300))
    problems: list[Problem] = []
    volumes([disk(text + lv("v300", 'type = "striped" stripes = ["pv0", 0]'))], problems)
    assert any("too deep" in p.what for p in problems)


def test_volumes_met_by_very_many_ways_are_looked_at_once() -> None:
    width, depth = 64, 12
    text = lv("l0", 'type = "striped" stripe_count = 1 stripes = ["pv0", 0]')
    for level in range(1, depth):
        stripes = ", ".join(f'"l{level - 1}", 0' for _ in range(width))
        text += lv(f"l{level}", f'type = "striped" stripe_size = 8 stripes = [{stripes}]')
    text += lv("m", f'type = "mirror" mirrors = ["l{depth - 1}", 0, "pv0", 0]')
    problems: list[Problem] = []
    assert len(volumes([disk(text)], problems)) == depth + 1
    assert problems == []


def test_a_mirror_whose_copy_lies_on_a_volume_with_a_missing_member_is_not_whole() -> None:
    text = lv("l0", 'type = "striped" stripes = ["gone", 0]')
    text += lv("l1", 'type = "striped" stripe_size = 8 stripes = ["l0", 0, "pv0", 0]')
    text += lv("m", 'type = "mirror" mirrors = ["l1", 0, "l1", 1]')
    raw = group(text).replace(
        b"physical_volumes {", b'physical_volumes { gone { id = "g" pe_start = 2048 } '
    )
    problems: list[Problem] = []
    volumes([MemorySource(physical_volume(UUID, raw, bytes(32768)))], problems)
    assert "no copy of the mirror is whole" in [problem.what for problem in problems]


def test_a_long_string_of_a_text_costs_no_memory_for_each_character() -> None:
    for text in (b'a = "' + b"x" * (1 << 20), b'a = "' + b"\\x" * (1 << 19)):
        tracemalloc.start()
        with pytest.raises(DamagedError):
            parse(text)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10 * len(text)


@pytest.mark.parametrize("name", ["MAX_TEXTS_READ", "MAX_TEXTS_PARSED"])
def test_the_texts_of_all_members_together_are_bounded(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, name, 1500)
    sources = [
        MemorySource(physical_volume(f"{UUID[:-4]}{at:04}", group("") + b"#" * at, b""), f"d{at}")
        for at in range(10)
    ]
    problems: list[Problem] = []
    volumes(sources, problems)
    assert len([problem for problem in problems if "this text is not read" in problem.what]) >= 3


def test_members_of_the_same_uuid_are_a_problem() -> None:
    problems: list[Problem] = []
    source = disk(lv("a", 'type = "striped" stripes = ["pv0", 0]'))
    volumes([source, MemorySource(source.data, "copy")], problems)
    assert any("the same member" in p.what and p.where == "copy" for p in problems)


@given(st.data())
def test_any_damage_to_a_text_gives_only_our_errors(data: st.DataObject) -> None:
    text = bytearray(
        group(lv("a", 'type = "striped" stripe_size = 8 stripes = ["pv0", 0, "pv0", 1]'))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        part = data.draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from([b"{", b"}", b"[", b'"', b"99999999999999999999", b"-1"]),
            )
        )
        text[at : at + data.draw(st.integers(0, 6))] = part
    for volume_slice in volumes([MemorySource(physical_volume(UUID, bytes(text)))], []):
        with contextlib.suppress(SidelightError):
            volume_slice.source.read_at(0, min(volume_slice.source.size, 10_000))


@given(st.data())
def test_any_damage_to_a_member_gives_only_our_errors(data: st.DataObject) -> None:
    raw = bytearray(disk(lv("a", 'type = "striped" stripes = ["pv0", 0]')).data)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from([512, 512 + 16, 512 + 32, 512 + 72, 4096, 4096 + 40, 4608]))
        at += data.draw(st.integers(0, 64))
        raw[at] = data.draw(st.integers(0, 255))
    volumes([MemorySource(bytes(raw))], [])


# --- thin pools ---


CHUNK = 64 << 10


def sealed(block: bytes, seed: int) -> bytes:
    block = block.ljust(4096, b"\0")
    return struct.pack("<I", thin_layout.checksum(block, seed)) + block[4:]


def node(number: int, leaf: bool, pairs: dict[int, int]) -> bytes:
    head = struct.pack("<IIQIIII", 0, 2 if leaf else 1, number, len(pairs), 252, 8, 0)
    keys = struct.pack(f"<{len(pairs)}Q", *pairs).ljust(252 * 8, b"\0")
    return sealed(head + keys + struct.pack(f"<{len(pairs)}Q", *pairs.values()), 121107)


def superblock(root: int, sectors: int = 128) -> bytes:
    head = struct.pack("<IIQ16sQIIQQ", 0, 0, 0, b"", 27022010, 2, 0, 1, 0)
    roots = struct.pack("<QQII", root, root, sectors, 8)
    return sealed(head.ljust(320, b"\0") + roots, 160774)


def pool(*blocks: bytes) -> ThinPool:
    data = MemorySource(b"".join(bytes([n]) * CHUNK for n in range(8)), "data")
    return ThinPool(MemorySource(b"".join(blocks), "meta"), data)


def test_a_pool_written_by_hand_is_read() -> None:
    tree = pool(
        superblock(1),
        node(1, True, {5: 2}),
        node(2, False, {0: 3, 2: 4}),
        node(3, True, {0: 1 << 24, 1: 2 << 24 | 99}),
        node(4, True, {3: 7 << 24}),
    )
    source = ThinSource("vg/t", 5 * CHUNK, tree, 5)
    assert [source.read_at(n * CHUNK, 1)[0] for n in range(5)] == [1, 2, 0, 7, 0]
    assert source.read_at(CHUNK - 6, 12) == b"\x01" * 6 + b"\x02" * 6
    source.prefetch([(0, 10**9)])


def test_trees_in_circles_and_out_of_order_raise() -> None:
    circle = pool(superblock(1), node(1, True, {1: 2}), node(2, False, {0: 2}))
    with pytest.raises(SidelightError, match="deeper"):
        ThinSource("t", 4096, circle, 1).read_at(0, 1)
    unsorted_keys = pool(superblock(1), node(1, True, {5: 2, 1: 2}))
    with pytest.raises(DamagedError, match="order"):
        unsorted_keys.device_root(1)
    with pytest.raises(DamagedError, match="no device"):
        pool(superblock(1), node(1, True, {5: 2})).device_root(6)
    with pytest.raises(DamagedError, match="outside"):
        pool(superblock(1 << 60)).device_root(6)


def test_a_pool_without_its_checksum_is_refused() -> None:
    raw = bytearray(superblock(1))
    raw[330] ^= 1
    with pytest.raises(DamagedError, match="checksum"):
        pool(bytes(raw))
    with pytest.raises(FormatError):
        pool(bytes(4096))
    with pytest.raises(DamagedError, match="8 and 8 sectors"):
        pool(superblock(1, sectors=8))


@given(st.data())
def test_any_resealed_node_gives_only_our_errors(data: st.DataObject) -> None:
    blocks = [
        superblock(1),
        node(1, True, {5: 2}),
        node(2, False, {0: 3}),
        node(3, True, {0: 1 << 24}),
    ]
    which = data.draw(st.integers(1, 3))
    raw = bytearray(blocks[which])
    for _ in range(3):
        at = data.draw(st.sampled_from([4, 8, 16, 20, 24, 32, 40, 2048, 2056])) + data.draw(
            st.integers(0, 7)
        )
        raw[at] = data.draw(st.integers(0, 255))
    blocks[which] = sealed(bytes(raw), 121107)
    with contextlib.suppress(SidelightError):
        source = ThinSource("t", 1 << 30, pool(*blocks), 5)
        source.prefetch([(0, 65536), (1 << 29, 65536)])
        source.read_at(0, 65536)


def _words_taken(text: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """What refuses a text, and how many words the parser had taken by then."""
    taken = [0]
    tokens = lvm_text._tokens

    def counted(data: str) -> Iterator[tuple[int, str]]:
        for token in tokens(data):
            taken[0] += 1
            yield token

    monkeypatch.setattr(lvm_text, "_tokens", counted)
    with pytest.raises(LimitError) as caught:
        parse(text)
    return caught.value.what, taken[0]


def test_a_list_of_millions_is_refused_at_its_first_thousands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    what, taken = _words_taken(b"a = [" + b"1," * 1_000_000 + b"]", monkeypatch)
    assert "the list at 4 has more than 4096 values" in what
    assert taken < 5000


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        b"a=1\n" * 700_000,
        b"a{}" * 700_000,
        b'a=""' * 700_000,
        b"#\n" * 700_000,
        b'a = "' + b"\\a" * 700_000 + b'"',
        (b'a = "' + b"\\a" * 1000 + b'"\n') * 700,
    ],
    ids=["values", "sections", "strings", "comments", "escapes", "many escapes"],
)
def test_texts_of_very_many_small_things_are_refused(
    text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, taken = _words_taken(text, monkeypatch)
    assert "more than 500000 words" in what
    assert taken <= 500_000


def test_the_text_of_as_many_volumes_as_are_looked_at_is_within_the_limit() -> None:
    segment = 'type = "striped" stripe_count = 1 stripes = [\n"pv0", 1\n]\n'
    more = 'creation_time = 1\ncreation_host = "h"\nallocation_policy = "inherit"\ntags = ["a"]\n'
    lines = "".join(lv(f"v{at}", segment + more * 3) for at in range(groups.MAX_VOLUMES))
    assert len(parse(group(lines)).section("vg0").section("logical_volumes")) == groups.MAX_VOLUMES
