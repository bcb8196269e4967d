"""Mutated package databases and archives: only our own errors, within the time and the memory.

Each input repeats some of its pieces many times and lets counts and links lie, so that what costs
more than its bytes is found by the limits that the driver sets (CPU seconds and address space).
"""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING

from fuzz.choices import INTERESTING, scramble
from sidelight.errors import FormatError
from sidelight.inventory import kernel_packages, kernels, os_release
from sidelight.inventory.language import javaarchive
from sidelight.inventory.language.ziparchive import InflateBudget, ZipArchive
from sidelight.inventory.os import rpm_header
from sidelight.inventory.os.apk import parse_installed
from sidelight.inventory.os.dpkg import DpkgLists, DpkgStatus
from sidelight.inventory.os.rpm import RpmBerkeley, RpmNdb, RpmSqlite
from sidelight.inventory.os.sqlite_recovery import committed_frames, original_pages
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem, Package
from tests.fakes.memory_file import MemoryFile
from tests.fixtures import rpm_databases as rpm_stores

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extractor

MACHINE = Machine(OperatingSystem(id="debian", version_id="12"))
REPEATS = (1, 1, 1, 2, 50, 5000)
TAGS = (1000, 1001, 1002, 1003, 1011, 1014, 1022, 1027, 1044, 1116, 1117, 1118, 5096)
COUNTS = (0, 1, 2, 3, 255, 1 << 16, 1 << 20, 104_000_000, 0x7FFFFFFF, 0xFFFFFFFF)
LINES = (
    b"Package: a\n", b"Package: b\n", b"Status: install ok installed\n", b"Version: 1\n",
    b"Status: deinstall ok config-files\n", b"Architecture: amd64\n", b"Source: s (2)\n",
    b"\n", b" \n", b"\t\n", b"Package\n", b": \n", b" x\n", b"Source: " + b"(" * 300 + b"\n",
)  # fmt: skip
APK = (b"P:a\n", b"V:1-r0\n", b"F:usr\n", b"F:" + b"d" * 3000 + b"\n", b"R:x\n", b"\n", b"o:\n")
WORDS = ("linux-", "objects-", "image-", "6.1.0", "-18", "unsigned-", "modules-", "-", ".", "a")


MEMBERS = (
    "META-INF/MANIFEST.MF", "META-INF/maven/g/a*/pom.properties", "META-INF/maven/g/a*/pom.xml",
    "META-INF/io.netty.versions.properties", "x*.class", "a-*.jar",
)  # fmt: skip
TEXTS = (
    b"\n",
    b"\r",
    b"\f",
    b" ",
    b"a: b\n",
    b" x\n",
    b"version=1\n",
    b"artifactId=a\n",
    b"<a/>",
    b"<project>",
    b"</project>",
    b"<version>${version}</version>",
    b"Implementation-Title: a.b\n",
    b"Bundle-SymbolicName: a.a-a\n",
    b"netty-a.version=1\n",
    b"a.",
    b"-1",
    b"PK\5\6",
)
RELEASE = (
    b"ID=a\n",
    b"ID=",
    b"VERSION_ID=1.2\n",
    b'"',
    b"'",
    b"\\",
    b"$",
    b"`",
    b"\n",
    b"=",
    b" ",
    b"a",
    b"\xff",
    b'PRETTY_NAME="x"\n',
    b"DISTRIB_ID=a\n",
    b"Red Hat Enterprise Linux release 8.1 (x)\n",
    b"1.",
    b"#",
)


class Targets:
    """Each target makes one structure from an input's choices and gives it to its reader."""

    def __init__(self) -> None:
        self.all: dict[str, Callable[[random.Random], int]] = {
            "rpm-headers": self.headers,
            "rpm-berkeley": self.berkeley,
            "rpm-ndb": self.ndb,
            "rpm-sqlite": self.sqlite,
            "sqlite-logs": self.logs,
            "dpkg-status": self.status,
            "dpkg-lists": self.lists,
            "apk-installed": self.apk,
            "kernel-names": self.kernel_names,
            "zip-directories": self.zips,
            "java-archives": self.archives,
            "os-release": self.os_release,
        }
        self._database = rpm_stores.sqlite([rpm_stores.header("n"), bytes(3000), bytes(700)])
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as written:
            for name in ("META-INF/MANIFEST.MF", "a.jar", "b.jar"):
                written.writestr(name, b"x" * 20)
        self._archive = archive.getvalue()

    def headers(self, chance: random.Random) -> int:
        """Headers whose entries lie about their counts."""
        rpm_header_or_error(self._header(chance))
        return 1

    def _header(self, chance: random.Random) -> bytes:
        entries = [
            (chance.choice(TAGS), chance.choice((4, 6, 8, 9, 0)), chance.choice(COUNTS))
            for _ in range(chance.randrange(5))
        ]
        data = chance.choice((b"\0", b"a\0", b"dir/\0", b"\0\0\0\1")) * chance.choice(
            (*REPEATS, 100_000)
        )
        blob = rpm_stores.header("n" * chance.randrange(1, 4), entries, data)
        return scramble(chance, blob, 3) if chance.random() < 0.3 else blob

    def berkeley(self, chance: random.Random) -> int:
        """Pages of values on chains that are shared, follow themselves or lie about their size."""
        pages = []
        for _ in range(chance.randrange(1, 12)):
            if chance.random() < 0.5:
                value = rpm_stores.off_page(chance.randrange(12), chance.choice(COUNTS) & 0xFFFF)
                items = [rpm_stores.KEY, value] * chance.randrange(1, 8)
                pages.append(rpm_stores.hash_page(items))
            else:
                body = self._header(chance)[: chance.randrange(1, 480)]
                pages.append(rpm_stores.overflow_page(chance.randrange(12), body))
        data = rpm_stores.berkeley(pages * chance.choice((1, 1, 30)))
        return _run(RpmBerkeley(), scramble(chance, data, 4) if chance.random() < 0.4 else data)

    def ndb(self, chance: random.Random) -> int:
        """Slots that share a blob or lie about its length."""
        blobs = [self._header(chance) for _ in range(chance.randrange(1, 4))]
        slots = [(chance.randrange(4), chance.randrange(len(blobs)))] * chance.randrange(200)
        data = rpm_stores.ndb(blobs, slots)
        return _run(RpmNdb(), scramble(chance, data, 6) if chance.random() < 0.6 else data)

    def sqlite(self, chance: random.Random) -> int:
        """Pages with other links, cells and sizes."""
        data = bytearray(self._database)
        for _ in range(chance.randrange(1, 8)):
            page = chance.randrange(len(data) // rpm_stores.PAGE) * rpm_stores.PAGE
            at = page + chance.choice((*range(12), chance.randrange(rpm_stores.PAGE)))
            data[at] = chance.choice((*INTERESTING, chance.randrange(256)))
        side = {"x-journal": self._journal(chance)} if chance.random() < 0.2 else {}
        return _run(RpmSqlite(), bytes(data) * chance.choice((1, 1, 40)), "x", side)

    def _journal(self, chance: random.Random) -> bytes:
        head = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + struct.pack(
            ">5I", chance.choice(COUNTS), 0, 9, 512, 512
        )
        page = struct.pack(">I", chance.choice(COUNTS)) + bytes(512) + bytes(4)
        return scramble(chance, head.ljust(512, b"\0") + page * 3, 3) * chance.choice((1, 200))

    def logs(self, chance: random.Random) -> int:
        """What SQLite leaves beside a database."""
        journal = self._journal(chance)
        committed_frames(struct.pack(">4I", 0x377F0682, 3007000, 512, 0) + journal)
        return len(original_pages(journal)) or 1

    def status(self, chance: random.Random) -> int:
        """Stanzas of a status file, some many times, and updates beside it."""
        updates = {
            f"updates/{number:04}": _lines(chance, LINES, (1, 2))
            for number in range(chance.choice((0, 0, 1, 3)))
        }
        return _run(DpkgStatus(), _lines(chance, LINES), "var/lib/dpkg/status", updates)

    def lists(self, chance: random.Random) -> int:
        """Lists of owned paths, and diversions."""
        path = chance.choice(("info/a.list", "info/a:amd64.list", "diversions"))
        lines = (b"/a\n", b"/\n", b"\n", b":\n", b"/" + b"x" * 300 + b"\n", b"a\n")
        return _run(DpkgLists(), _lines(chance, lines), f"var/lib/dpkg/{path}")

    def apk(self, chance: random.Random) -> int:
        """Apk's stanzas."""
        return len(parse_installed(_lines(chance, APK), "/x", MACHINE.os).packages) or 1

    def kernel_names(self, chance: random.Random) -> int:
        """Names of packages and of images against each other."""
        names = [
            "".join(chance.choice(WORDS) for _ in range(chance.randrange(12)))
            * chance.choice((1, 1, 100, 10_000))
            for _ in range(6)
        ]
        kinds = ("deb", "rpm", "apk", "alpm")
        packages = [
            Package(chance.choice(kinds), name, name[:20], "/p", "") for name in names[:4]
        ] * chance.choice((1, 300))
        images = [f"boot/vmlinuz-{name}" for name in names] * chance.choice((1, 300))
        named, _ = kernel_packages.named_images(images)
        kernel_packages.without_packaged_images([*packages, *named])
        kernel_packages.mark(packages, kernels.booted({}, images))
        text = _lines(chance, [f"{name[:3000]}\n".encode() for name in (*names, *_BOOT)])
        kernels.booted(dict.fromkeys(kernels.PATHS, text), images[:4])
        return len(packages)

    def zips(self, chance: random.Random) -> int:
        """Archives with several end records, and directories that lie."""
        data = self._archive
        for _ in range(chance.randrange(3)):
            end = struct.pack(
                "<4s4H2LH", b"PK\5\6", 0, 0, chance.randrange(4), chance.randrange(4),
                chance.choice((0, 46, 138, len(data))), chance.choice((0, 150, len(data))),
                chance.choice((0, 0, 22, 44, 65535)),
            )  # fmt: skip
            data += end * chance.choice((1, 1, 2000)) + b"z" * chance.randrange(3)
        data = scramble(chance, data, 4) if chance.random() < 0.6 else data
        try:
            archive = ZipArchive(lambda at, n: data[at : at + n], len(data), InflateBudget(1 << 24))
            return sum(1 for _ in archive.members()) or 1
        except FormatError:
            return 1

    def archives(self, chance: random.Random) -> int:
        """Archives within each other, with texts of little but lines or elements."""
        data = b""
        for depth in range(chance.randrange(1, 4)):
            members = {
                chance.choice(MEMBERS).replace("*", f"{depth}{number}"): self._text(chance)
                for number in range(4)
            }
            members |= {f"{number}.jar": data for number in range(chance.choice((1, 2, 20)))}
            method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w", method) as written:
                for name, text in members.items():
                    written.writestr(zipfile.ZipInfo(name), text, method)
            data = stream.getvalue()
        data = scramble(chance, data, 4) if chance.random() < 0.3 else data
        return _run(javaarchive.EXTRACTOR, data, "opt/x-1.0.jar")

    def _text(self, chance: random.Random) -> bytes:
        return b"".join(
            chance.choice(TEXTS) * chance.choice(REPEATS) for _ in range(chance.randrange(1, 5))
        )

    def os_release(self, chance: random.Random) -> int:
        """Release files of assignments, quotes and escapes, some very many times."""
        text = b"".join(
            chance.choice(RELEASE) * chance.choice((*REPEATS, 100_000))
            for _ in range(chance.randrange(1, 8))
        )
        names = ("etc/os-release", "etc/lsb-release", "etc/redhat-release", "etc/debian_version")
        files = {name: text for name in names if chance.random() < 0.7}
        found = os_release.identify(files)
        if len(found.id) > 1024 or len(found.version_id) > 1024:
            raise AssertionError(f"a system that cannot be: {found!r}"[:300])
        return 1


_BOOT = (
    "menuentry 'a' --id b {", "menuentry {{{{{{", "submenu a {", "}", "linux /vmlinuz-6.1",
    'set default="1>0"', "title x", "kernel (hd0,0)/vmlinuz", "default 1", "label a", "{ " * 900,
)  # fmt: skip


def rpm_header_or_error(blob: bytes) -> None:
    """Decode, as the stores do."""
    try:
        rpm_header.decode(blob)
    except FormatError:
        return


def _lines(chance: random.Random, known: object, repeats: tuple[int, ...] = REPEATS) -> bytes:
    """Some lines, runs of them many times, and some bytes of others."""
    pieces = list(known)  # type: ignore[call-overload]
    parts = []
    for _ in range(chance.randrange(1, 7)):
        run = b"".join(chance.choice(pieces) for _ in range(chance.randrange(1, 6)))
        parts.append(run * chance.choice(repeats))
    text = b"".join(parts)
    return scramble(chance, text, 3) if chance.random() < 0.3 else text


def _run(
    extractor: Extractor, data: bytes, path: str = "a/x", siblings: dict[str, bytes] | None = None
) -> int:
    """How many packages there are, or 1."""
    file = MemoryFile(data, path, siblings or {}, time_left=200_000)
    try:
        found = extractor.extract(file, MACHINE)
    except FormatError:
        return 1
    for package in found.packages:
        if not package.name or not package.purl.isascii():
            raise AssertionError(f"a package that cannot be: {package!r}"[:300])
    return len(found.packages) or 1
