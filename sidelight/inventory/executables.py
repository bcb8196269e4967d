"""Which files may be Go or Rust programs, found without reading whole files.

The names first (an object with a source file's suffix is none), then mode and size from the inodes,
read in batches; the magic number last, for what no OS package owns.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from sidelight.filesystems.protocol import Kind
from sidelight.inventory.treefile import Place

if TYPE_CHECKING:
    from sidelight.filesystems.protocol import Entry, Filesystem
    from sidelight.inventory.treefile import Root

ELF = b"\x7fELF"
HEAD = 64  # bytes of an ELF header
_EXECUTABLE = 0o111
# The least Go program is ten times larger, and so is a Rust one with its crates' list.
MIN_SIZE = 32 << 10
# Candidates whose inodes are looked at together: more would only hold memory.
BATCH = 4_000
_NAMES = 1024  # bytes; what the names of a program's sections hardly exceed
_MOST_SECTIONS = 256 << 10  # bytes of section headers that are fetched ahead
_MOST_OFFSET = 1 << 40

_NO_PROGRAM = frozenset(
    b".py .pyc .pyi .pyo .js .mjs .cjs .ts .mts .cts .tsx .jsx .map .json .html .htm .css .scss .md"
    b" .rst .txt .h .hpp .hh .c .cc .cpp .cxx .go .rs .java .class .rb .pl .pm .php .xml .yml"
    b" .yaml .toml .ini .cfg .conf .svg .png .jpg .jpeg .gif .ico .gz .xz .bz2 .zst .zip .tar .tgz"
    b" .jar .war .ear .whl .gem .deb .rpm .apk .po .mo .pot .log .csv .list .md5sums .sh .bash .bat"
    b" .ps1 .cmd .a .o .la .pc .cmake .m4 .ttf .woff .woff2 .eot .pdf .sqlite .db .pem .crt .key"
    b" .service .desktop .mp3 .mp4 .webp .wasm .dll .lock .flow .el .elc .tcl .lua .vim .rds .ko"
    b" .postinst .postrm .preinst .prerm .triggers .shlibs .symbols .templates .conffiles".split()
)
# Directories whose nameless files are objects, not programs.
_NO_PROGRAMS_IN = (b"/.git/", b"/__pycache__", b"/_cacache/", b"/.cache/pip/")


def sections_of(head: bytes) -> tuple[int, int]:
    """(offset, length) of an ELF file's section headers and of the names before them.

    These are the last thing in a program, and the first that is looked at: a program without them
    gives its first bytes. Source: the System V ABI (e_shoff, e_shentsize, e_shnum).
    """
    if len(head) < HEAD or head[4] not in {1, 2} or head[5] not in {1, 2}:
        return 0, HEAD
    order, wide = "<>"[head[5] - 1], head[4] == 2
    (offset,) = struct.unpack_from(order + ("Q" if wide else "L"), head, 40 if wide else 32)
    size, count = struct.unpack_from(order + "2H", head, 58 if wide else 46)
    if offset > _MOST_OFFSET or size * count > _MOST_SECTIONS:
        return 0, HEAD
    before = min(offset, _NAMES)
    return offset - before, before + size * count


class Sieve:
    """Gathers candidates from directory entries, and keeps those that their inodes confirm."""

    def __init__(self, kept: list[Place]) -> None:
        """`kept` is filled, a batch at a time: call `flush` at the end."""
        self._kept = kept
        self._waiting: list[tuple[Root, bytes, Filesystem, Entry]] = []

    def add(self, root: Root, directory: bytes, fs: Filesystem, entries: list[Entry]) -> None:
        """The files of one directory (its path within its root)."""
        if any(part in directory for part in _NO_PROGRAMS_IN):
            return
        for entry in entries:
            if entry[2] != Kind.REGULAR:
                continue
            name = entry[0]
            dot = name.rfind(b".")
            if dot > 0 and name[dot:].lower() in _NO_PROGRAM:
                continue
            self._waiting.append((root, directory, fs, entry))
        if len(self._waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Look at the inodes of those that wait."""
        by_fs: dict[int, tuple[Filesystem, list[int]]] = {}
        for _, _, fs, entry in self._waiting:
            by_fs.setdefault(id(fs), (fs, []))[1].append(entry[1])
        modes = {
            key: {
                number
                for number, inode in fs.inodes(numbers).items()
                if inode.kind == Kind.REGULAR
                and inode.mode & _EXECUTABLE
                and inode.size >= MIN_SIZE
            }
            for key, (fs, numbers) in by_fs.items()
        }
        for root, directory, fs, (name, inode, _) in self._waiting:
            if inode in modes[id(fs)]:
                path = directory + b"/" + name if directory else name
                self._kept.append(Place(root, path, fs, inode, None))
        self._waiting.clear()
