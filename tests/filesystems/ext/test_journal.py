"""Journals replay in memory to what the kernel makes of a copy of the image."""

from __future__ import annotations

import io
import json
import struct
from hashlib import md5
from typing import TYPE_CHECKING

import pytest

from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.ext import journal_layout, layout
from sidelight.filesystems.protocol import InodeKind
from tests.images.ext import recipes
from tests.images.ext.recipes import Case
from tests.images.kernel import differences, kernel_view, sidelight_view
from tests.torture.run_ext import KINDS, torture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.filesystems.ext.reader import ExtFilesystem

MAGIC = journal_layout.MAGIC.to_bytes(4, "big")
PLAIN = Case("plain", ("-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^64bit"), size=16)
WIDE = Case("wide", ("-t", "ext4", "-b", "4096", "-O", "64bit,^metadata_csum"), size=32)
CHECKED = Case("checked", ("-t", "ext4", "-b", "1024"), size=16)
CHECKED_32 = Case("checked-32", ("-t", "ext4", "-b", "1024", "-O", "^64bit"), size=16)
# debugfs gives v2 and v3 to filesystems with metadata_csum; to others only v1.
JOURNALS = [
    pytest.param(PLAIN, "jo", id="32-bit tags"),
    pytest.param(WIDE, "jo", id="64-bit tags"),
    pytest.param(CHECKED_32, "jo -c -v 2", id="32-bit tags, v2 checksums"),
    pytest.param(CHECKED_32, "jo -c -v 3", id="32-bit tags, v3 checksums"),
    pytest.param(CHECKED, "jo -c -v 2", id="64-bit tags, v2 checksums"),
    pytest.param(CHECKED, "jo -c -v 3", id="64-bit tags, v3 checksums"),
]


def _image(tmp_path: Path, case: Case) -> tuple[Path, list[int]]:
    """An image with one file `data` of 12 blocks, and where those lie."""
    tree = tmp_path / "tree"
    tree.mkdir()
    size = 4096 if case is WIDE else 1024
    (tree / "data").write_bytes(b"".join(bytes([65 + n]) * size for n in range(12)))
    image = recipes.make(tmp_path / "image", case, tree)
    return image, _blocks(image, "data")


def _blocks(image: Path, file: str) -> list[int]:
    """Where debugfs says that a file's blocks lie, those of its map among them."""
    return [
        int(word) for word in recipes.debugfs(image, f"blocks {file}").split() if word.isdigit()
    ]


def _write_log(image: Path, size: int, opening: str, *steps: tuple[str, list[int], bytes]) -> None:
    """Transactions as `jw` writes them: ("write" or "revoke", blocks, first bytes of each)."""
    commands = [opening]
    for number, (step, blocks, start) in enumerate(steps):
        places = ",".join(map(str, blocks))
        if step == "revoke":
            commands.append(f"jw -r {places}")
            continue
        source = image.with_name(f"log-{number}")
        source.write_bytes((start + bytes([97 + number]) * size)[:size] * len(blocks))
        commands.append(f"jw -b {places} {source}")
    recipes.debugfs(image, *commands, "jc")


def _data(fs: ExtFilesystem) -> bytes:
    for _, entries in fs.directories([fs.root]):
        for name, number, _ in entries:
            if name == b"data":
                return fs.read(number, 0, 1 << 20)
    raise AssertionError("no file")


@pytest.mark.mounts
@pytest.mark.parametrize(("case", "opening"), JOURNALS)
def test_writes_revokes_and_escapes_replay_as_in_the_kernel(
    case: Case, opening: str, tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    image, blocks = _image(tmp_path, case)
    size = 4096 if case is WIDE else 1024
    _write_log(
        image,
        size,
        opening,
        ("write", blocks[0:4], b""),
        ("write", blocks[4:6], MAGIC),  # must be escaped in the log
        ("revoke", blocks[1:3], b""),
        ("write", blocks[2:3], b""),  # written again after its revoke
        ("write", blocks[7:8], b"later"),
    )
    fs = opened(image)
    assert fs.journal == "replayed"
    assert differences(sidelight_view(fs), kernel_view(image, "ext4", replay=True)) == []
    assert fs.problems == []
    data = _data(fs)
    starts = [data[n * size : n * size + 5] for n in range(12)]
    assert starts[:4] == [b"aaaaa", b"BBBBB", b"ddddd", b"aaaaa"]
    assert starts[4:9] == [MAGIC + b"b", MAGIC + b"b", b"GGGGG", b"later", b"IIIII"]


@pytest.mark.mounts
@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "damaged"])
def test_v1_checksums_are_over_the_whole_transaction(
    damaged: bool, tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    image, blocks = _image(tmp_path, PLAIN)
    _write_log(
        image, 1024, "jo -c -v 1", ("write", blocks[:3], b""), ("write", blocks[3:4], b"second")
    )
    if damaged:
        raw = bytearray(image.read_bytes())
        raw[raw.rfind(b"second") + 500] ^= 1
        image.write_bytes(raw)
    fs = opened(image)
    if damaged:
        assert [problem.what for problem in fs.problems] == [
            "transaction 2 is corrupt: its checksum is wrong"
        ]
        with pytest.raises(OSError, match="mount"):
            kernel_view(image, "ext4", replay=True)
    else:
        assert differences(sidelight_view(fs), kernel_view(image, "ext4", replay=True)) == []
    assert fs.journal == ("unreplayed" if damaged else "replayed")
    assert _data(fs)[2048:3075] == b"a" * 1024 + (b"DDD" if damaged else b"sec")


@pytest.mark.mounts
@pytest.mark.parametrize("victim", ["descriptor", "commit", "data", "revoke"])
def test_a_wrong_checksum_in_the_log_ends_recovery_and_is_a_problem(
    victim: str, tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    image, blocks = _image(tmp_path, CHECKED)
    steps = [("write", blocks[:1], b""), ("revoke", blocks[5:6], b"")]
    _write_log(image, 1024, "jo -c", *steps, ("write", blocks[1:2], b""))
    kinds = {"descriptor": journal_layout.DESCRIPTOR, "revoke": journal_layout.REVOKE}
    kind = kinds.get(victim, journal_layout.COMMIT)
    raw = bytearray(image.read_bytes())
    at = raw.rfind(MAGIC + kind.to_bytes(4, "big"))
    if victim == "data":
        at = raw.rfind(MAGIC + journal_layout.DESCRIPTOR.to_bytes(4, "big")) + 1024
    raw[at + 40] ^= 0x10
    image.write_bytes(raw)
    fs = opened(image)
    assert fs.journal == "unreplayed"
    assert any("checksum" in problem.what for problem in fs.problems)
    with pytest.raises(OSError, match="mount"):  # the kernel refuses such a journal
        kernel_view(image, "ext4", replay=True)
    if victim in {"commit", "data"}:
        # What comes before the fault is replayed all the same, as by the kernel.
        assert _data(fs)[:2048] == b"a" * 1024 + b"B" * 1024


def _write_fast_commit(image: Path, block: int, *changes: tuple[int, bytes]) -> None:
    """A log of one transaction that writes `block`, and a fast commit after it."""
    _write_log(image, 1024, "jo", ("write", [block], b"full commit"))
    places = _blocks(image, "<8>")
    raw = bytearray(image.read_bytes())
    head = places[0] * 1024
    (tid,) = struct.unpack_from(">I", raw, head + 0x18)
    raw[head + 0x2B] |= journal_layout.INCOMPAT_FAST_COMMIT  # as the kernel does when it mounts
    # The whole journal's blocks, and how many of the last are for fast commits.
    (total,) = struct.unpack_from(">I", raw, head + 0x10)
    (fast,) = struct.unpack_from(">I", raw, head + journal_layout.FAST_BLOCKS_AT)
    tags = [(journal_layout.FAST_HEAD, journal_layout.FAST_PAIR.pack(0, tid + 1)), *changes]
    body = b"".join(journal_layout.FAST_TAG.pack(kind, len(value)) + value for kind, value in tags)
    body += journal_layout.FAST_TAG.pack(journal_layout.FAST_TAIL, 1024 - len(body) - 4)
    body += (tid + 1).to_bytes(4, "little")
    body += crc32c(body, 0).to_bytes(4, "little")
    at = places[total - fast + 1] * 1024
    raw[at : at + 1024] = body.ljust(1024, b"\0")
    image.write_bytes(raw)


@pytest.mark.mounts
@pytest.mark.parametrize("name", [b"folder", b"other"], ids=["its own name", "another name"])
def test_a_fast_commit_that_makes_a_directory_again_changes_nothing(
    name: bytes, tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    # Left in the queue of fast commits when a full one has written the directory already.
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder/inner").write_text("text")
    (tree / "data").write_bytes(b"x" * 1024)
    case = Case("fast", ("-t", "ext4", "-b", "1024", "-O", "fast_commit,^metadata_csum"), size=32)
    image = recipes.make(tmp_path / "image", case, tree)
    ((_, entries),) = opened(image).directories([layout.ROOT_INODE])
    (number,) = (number for found, number, _ in entries if found == b"folder")
    entry = journal_layout.FAST_PAIR.pack(layout.ROOT_INODE, number) + name
    _write_fast_commit(image, _blocks(image, "data")[0], (journal_layout.FAST_CREAT, entry))
    fs = opened(image)
    assert (fs.journal, fs.problems) == ("replayed", [])
    view = sidelight_view(fs)
    kernels = kernel_view(image, "ext4", replay=True, writable=True)
    assert b"/folder/inner" in kernels
    assert differences(view, kernels) == []


@pytest.mark.images
def test_a_log_without_a_commit_changes_nothing(
    tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    image, blocks = _image(tmp_path, PLAIN)
    _write_log(image, 1024, "jo", ("write", blocks[:1], b""))
    raw = bytearray(image.read_bytes())
    at = raw.rfind(MAGIC + journal_layout.COMMIT.to_bytes(4, "big"))
    raw[at : at + 1024] = bytes(1024)
    image.write_bytes(raw)
    fs = opened(image)
    assert (fs.journal, fs.problems) == ("replayed", [])
    assert _data(fs)[:3] == b"AAA"


@pytest.mark.images
def test_a_journal_elsewhere_is_a_problem(
    tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    image = recipes.make(tmp_path / "image", PLAIN)
    recipes.debugfs(image, "ssv journal_inum 0", "ssv feature_incompat 0x46")
    fs = opened(image)
    assert fs.journal == "unreplayed"
    assert [problem.what for problem in fs.problems] == [
        "the journal is on another device and was not replayed"
    ]


@pytest.mark.images
def test_a_log_that_never_ends_is_damage_not_a_hang(
    tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    image = recipes.make(tmp_path / "image", PLAIN)
    raw = bytearray(image.read_bytes())
    at = raw.find(MAGIC + journal_layout.SUPERBLOCK_V2.to_bytes(4, "big"))
    struct.pack_into(">I", raw, at + 0x1C, 1)  # the log starts at its block 1
    sequence = raw[at + 0x18 : at + 0x1C]
    revoke = MAGIC + journal_layout.REVOKE.to_bytes(4, "big") + sequence + (16).to_bytes(4, "big")
    for block in range(1, 1024):
        raw[at + block * 1024 : at + block * 1024 + len(revoke)] = revoke
    incompat = layout.SUPERBLOCK_OFFSET + 0x60
    raw[incompat] |= layout.INCOMPAT_RECOVER
    image.write_bytes(raw)
    fs = opened(image)
    assert fs.journal == "unreplayed"
    assert "no end" in fs.problems[0].what


@pytest.mark.images
def test_the_image_itself_is_never_written(
    tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    image, blocks = _image(tmp_path, PLAIN)
    _write_log(image, 1024, "jo", ("write", blocks[:4], b""))
    image.chmod(0o400)
    before = image.read_bytes()
    sidelight_view(opened(image))
    assert image.read_bytes() == before


@pytest.mark.mounts
@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_copies_of_a_mounted_image_read_as_after_the_kernels_replay(kind: str) -> None:
    copies = 6 if kind in {"ext3", "ext4"} else 2
    assert list(torture(kind, copies, seed=99)) == []


@pytest.mark.conformance
def test_a_real_dirty_image_reads_as_the_kernel_left_it(
    shared_data: Path, tmp_path: Path, opened: Callable[[Path], ExtFilesystem]
) -> None:
    zstandard = pytest.importorskip("zstandard")
    folder = shared_data / "dirty-journals"
    image = tmp_path / "dirty.img"
    packed = io.BytesIO((folder / "dirty-ext4.img.zst").read_bytes())
    with image.open("wb") as file:
        zstandard.ZstdDecompressor().copy_stream(packed, file)
    expected = json.loads((folder / "dirty-ext4-replay.json").read_text())
    fs = opened(image)
    assert (fs.journal, fs.problems) == ("replayed", [])
    assert _listing(fs) == {path: tuple(facts) for path, facts in expected.items()}


def _listing(fs: ExtFilesystem) -> dict[str, tuple[str, int, str]]:
    """(type, size, MD5) by path, as the conformance data has them."""
    found: dict[str, tuple[str, int, str]] = {}
    level = [("", fs.root)]
    while level:
        names = {number: path for path, number in level}
        level = []
        for number, entries in fs.directories(list(names)):
            inodes = fs.inodes([child for _, child, _ in entries])
            for name, child, kind in entries:
                path = f"{names[number]}/{name.decode()}"
                if kind == InodeKind.DIRECTORY:
                    level.append((path, child))
                    found[path] = ("d", 0, "")
                elif kind == InodeKind.REGULAR:
                    data = fs.read(child, 0, 1 << 30)
                    found[path] = ("f", inodes[child].size, md5(data).hexdigest())  # noqa: S324 - their sums
                else:
                    target = fs.readlink(child)
                    found[path] = ("l", len(target), target.decode())
    return found
