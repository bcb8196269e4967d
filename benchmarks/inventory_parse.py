"""What parsing the package databases costs, beside a plain split of the same bytes.

    python benchmarks/inventory_parse.py [directory of rpm databases]

Prints CPU milliseconds (the best of five) and ratios of one run. The rpm headers are those of the
real databases in the directory (`../shared/data/rpmdb` by default), repeated up to 1,000.
"""

from __future__ import annotations

import lzma
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from sidelight.inventory.os import rpm, rpm_berkeley, rpm_header, rpm_sqlite
from sidelight.inventory.os.apk import parse_installed
from sidelight.inventory.os.dpkg import parse_status
from sidelight.model import OperatingSystem

if TYPE_CHECKING:
    from collections.abc import Callable

SYSTEM = OperatingSystem(id="debian", version_id="12")
HEADERS = 1000
STATUS_BYTES = 467_000


class Whole:
    """A WantedFile in memory."""

    path = "var/lib/rpm/Packages"

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self) -> bytes:
        """The whole file."""
        return self.data

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from an offset on."""
        return self.data[offset : offset + length]

    def check_time(self) -> None:
        """There is time."""

    def sibling(self, name: str, limit: int = 0) -> bytes | None:
        """Nothing: it has no siblings."""
        del name, limit
        return None


def best(action: Callable[[], object], runs: int = 5) -> float:
    """The least CPU milliseconds of some runs."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        action()
        times.append((time.process_time() - start) * 1e3)
    return min(times)


def show(what: str, spent: float, plain: float, target: str = "") -> None:
    """Print one line of figures."""
    print(f"{what:52} {spent:8.1f} ms  {spent / plain:6.1f} x plain split  {target}")


def dpkg_status() -> bytes:
    """A status file of about 467 KB in dpkg's own order of fields."""
    stanza = (
        "Package: libexample{n}\nStatus: install ok installed\nPriority: optional\nSection: libs\n"
        "Installed-Size: 1234\nMaintainer: Some Maintainers <team@example.org>\n"
        "Architecture: amd64\nMulti-Arch: same\nSource: example (1.2.{n}-1)\n"
        "Version: 1:1.2.{n}-1+b1\nDepends: libc6 (>= 2.34), libgcc-s1 (>= 3.0), zlib1g\n"
        "Conffiles:\n /etc/example/{n}.conf 0123456789abcdef0123456789abcdef\n"
        "Description: an example\n"
        + " A long description goes over a few lines of text.\n" * 5
        + "Homepage: https://example.org/{n}\n\n"
    )
    text = "".join(stanza.format(n=n) for n in range(700)).encode()
    return text[: text.rindex(b"\n\n", 0, STATUS_BYTES) + 2]


def real_headers(directory: Path) -> list[bytes]:
    """A thousand header blobs of real systems."""
    found: list[bytes] = []
    sqlite = directory / "sqlite/cbl-mariner-2.0.rpmdb.sqlite"
    berkeley = directory / "bdb/fedora-27.Packages.xz"
    found += [
        b for b in rpm_sqlite.header_blobs(Whole(sqlite.read_bytes())) if isinstance(b, bytes)
    ]
    unpacked = Whole(lzma.decompress(berkeley.read_bytes()))
    found += [b for b in rpm_berkeley.header_blobs(unpacked) if isinstance(b, bytes)]
    return list(islice(cycle(found), HEADERS))


def main() -> None:
    """Print every figure."""
    status = dpkg_status()
    plain = best(lambda: [stanza.split(b"\n") for stanza in status.split(b"\n\n")])
    spent = best(lambda: parse_status(status, "/status", SYSTEM))
    count = len(parse_status(status, "/status", SYSTEM).packages)
    show(f"dpkg: {len(status)} bytes, {count} packages", spent, plain, "target: < 60 ms")
    installed = b"".join(
        b"C:Q1=\nP:p%d\nV:1.%d-r0\nA:x86_64\nL:MIT\no:p\nF:usr/bin\n" % (n, n)
        + b"R:file\na:0:0:755\nZ:Q1xxxxxxxxxxxxxxxxxxxxxxxxxxxx=\n" * 20
        + b"\n"
        for n in range(500)
    )
    plain = best(lambda: [stanza.split(b"\n") for stanza in installed.split(b"\n\n")])
    spent = best(lambda: parse_installed(installed, "/installed", SYSTEM))
    show(f"apk: {len(installed)} bytes, 500 packages, 10,000 files", spent, plain)
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/rpmdb")
    if not directory.is_dir():
        print(f"rpm: no databases in {directory}")
        return
    blobs = real_headers(directory)
    size, files = sum(map(len, blobs)), sum(len(rpm_header.decode(blob).files) for blob in blobs)
    plain = best(lambda: [blob.split(b"\0") for blob in blobs])
    what = f"rpm: {len(blobs)} headers, {size >> 10} KiB, {files} files"
    spent = best(lambda: [rpm_header.decode(blob) for blob in blobs])
    show(f"{what}, decoded", spent, plain, "target: < 150 ms")
    spent = best(lambda: rpm.extraction(blobs, "/rpmdb", SYSTEM))
    show(f"{what}, to packages and owned paths", spent, plain)


if __name__ == "__main__":
    main()
