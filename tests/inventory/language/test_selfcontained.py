"""Programs and archives that carry their packages inside: read, or a Problem."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import FormatError
from sidelight.inventory.language import asar, dotnetbundle, pyinstaller, selfcontained, zipapp
from tests.fixtures.elf_files import elf
from tests.fixtures.hypothesis_profiles import many

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extraction

Facts = set[tuple[str, str]]
EXTRACTOR = selfcontained.EXTRACTOR
DEPS = json.dumps(
    {
        "libraries": {
            "App/1.0.0": {"type": "project"},
            "Newtonsoft.Json/12.0.1": {"type": "package"},
            "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.0": {"type": "runtimepack"},
        }
    }
).encode()
METADATA = b"Metadata-Version: 2.1\nName: Tool\nVersion: 1.0\n"


def host(offset: int) -> bytes:
    place = struct.pack("<Q", offset) + dotnetbundle.MARK
    return elf({".text": b"x" * 64, ".data": b"\0" * 16 + place})


def bundle(version: int, *, packed: int = 0, kind: int = 3) -> bytes:
    """A host, a deps.json and the bundle's header."""
    begin = len(host(0))
    name = b"App.deps.json"
    header = struct.pack("<3L", version, 0, 1) + bytes([2]) + b"id"
    if version > 1:
        header += b"\0" * 40
    header += struct.pack("<2Q", begin, len(DEPS))
    if version > 5:
        header += struct.pack("<Q", packed)
    header += bytes([kind, len(name)]) + name
    return host(begin + len(DEPS)) + DEPS + header


@pytest.mark.parametrize("version", [1, 2, 6])
def test_a_dotnet_bundle_lists_its_packages(
    extract: Callable[..., Extraction], facts: Callable[[Extraction], Facts], version: int
) -> None:
    found = extract(EXTRACTOR, "opt/App", bundle(version))
    assert facts(found) == {
        ("Newtonsoft.Json", "12.0.1"),
        ("Microsoft.NETCore.App.Runtime.linux-x64", "8.0.0"),
    }
    assert not found.problems


@pytest.mark.parametrize(
    "data",
    [
        bundle(7),
        bundle(6, packed=9),
        bundle(6)[:-4],
        host(1 << 40) + b"x" * 64,
        host(len(host(0)) + 4) + b"x" * 8,
    ],
)
def test_a_bundle_that_cannot_be_read_is_an_error(
    extract: Callable[..., Extraction], data: bytes
) -> None:
    with pytest.raises(FormatError):
        extract(EXTRACTOR, "opt/App", data)


def test_a_bundle_without_deps_json_is_a_problem(extract: Callable[..., Extraction]) -> None:
    assert extract(EXTRACTOR, "opt/App", bundle(6, kind=1)).problems


def frozen(entries: dict[str, tuple[bytes, bool, bytes]]) -> bytes:
    """A PyInstaller archive: name to contents, whether packed, and kind."""
    body = contents = b""
    for name, (data, packed, kind) in entries.items():
        stored = zlib.compress(data) if packed else data
        raw = name.encode() + b"\0"
        size = struct.calcsize(">4LBc") + len(raw)
        contents += (
            struct.pack(">4LBc", size, len(body), len(stored), len(data), packed, kind) + raw
        )
        body += stored
    total = len(body) + len(contents) + 88
    cookie = struct.pack(">8s4L64s", pyinstaller.MAGIC, total, len(body), len(contents), 311, b"py")
    return body + contents + cookie


FROZEN = frozen(
    {
        "tool-1.0.dist-info/METADATA": (METADATA, True, b"x"),
        "other-1.0.dist-info/METADATA": (METADATA.replace(b"Tool", b"Other"), False, b"x"),
        "libpython3.11.so.1.0": (b"x" * 64, True, b"b"),
    }
)


@pytest.mark.parametrize(
    "data",
    [
        elf({".text": b"x" * 64}) + FROZEN,
        elf({".text": b"x" * 64, "pydata": FROZEN}),
    ],
    ids=["behind the program", "in a section"],
)
def test_a_pyinstaller_program_lists_what_has_metadata(
    extract: Callable[..., Extraction], facts: Callable[[Extraction], Facts], data: bytes
) -> None:
    found = extract(EXTRACTOR, "usr/local/bin/app", data)
    assert facts(found) == {("tool", "1.0"), ("other", "1.0")}
    assert len(found.problems) == 1


def test_a_pyinstaller_program_with_its_files_beside_it_is_no_problem(
    extract: Callable[..., Extraction],
) -> None:
    data = elf({".text": b"x"}) + frozen({"PYZ.pyz": (b"x", False, b"z")})
    found = extract(EXTRACTOR, "opt/app/app", data)
    assert not found.packages
    assert not found.problems


PLAIN = elf({".text": b"x" * 64, ".data": b"\0" * 64})


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (elf({".text": b"x" * 64 + b"UPX!" + b"x" * 64}, headers=False), "UPX"),
        (PLAIN[:8] + b"AI\x02" + PLAIN[11:], "AppImage"),
        (PLAIN + b"x" * 99 + b"\n---- Bun! ----\n" + b"x" * 8, "Bun"),
        (elf({".text": b"x", ".bun": b"x" * 400}), "Bun"),
        (PLAIN + b"x" * 99 + b"d3n0l4nd" + b"\0" * 32, "Deno"),
        (elf({".text": b"x", ".svm_heap": b"x" * 64}), "native image"),
    ],
)
def test_a_program_that_hides_its_packages_is_a_problem(
    extract: Callable[..., Extraction], data: bytes, what: str
) -> None:
    [problem] = extract(EXTRACTOR, "usr/local/bin/tool", data).problems
    assert what in problem.what
    assert problem.where == "/usr/local/bin/tool"


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        PLAIN + b"signature" * 9,
        elf({".text": b"UPX! is a packer" + b"x" * 64}),
        elf({".text": b"x", ".bun": b"\0" * 8}),  # Bun itself
        host(0),  # a host without a bundle
        host(0) + b"x" * 64,
    ],
)
def test_other_programs_are_no_problem(extract: Callable[..., Extraction], data: bytes) -> None:
    found = extract(EXTRACTOR, "usr/local/bin/tool", data)
    assert not found.problems
    assert not found.packages


def archive(files: dict[str, bytes]) -> bytes:
    """An asar of these files."""
    tree: dict[str, object] = {"files": {}}
    body = b""
    for path, data in files.items():
        *folders, base = path.split("/")
        here = tree
        for folder in folders:
            here = here["files"].setdefault(folder, {"files": {}})  # type: ignore[attr-defined]
        here["files"][base] = {"offset": str(len(body)), "size": len(data)}  # type: ignore[index]
        body += data
    text = json.dumps(tree).encode()
    padded = text + b"\0" * (-len(text) % 4)
    return struct.pack("<4L", 4, len(padded) + 8, len(padded) + 4, len(text)) + padded + body


ASAR = archive(
    {
        "package.json": b'{"name": "the-app", "version": "9.0.0"}',
        "node_modules/a/package.json": b'{"name": "a", "version": "1.0.0"}',
        "node_modules/a/node_modules/@s/b/package.json": b'{"name": "@s/b", "version": "2.0.0"}',
        "node_modules/a/test/package.json": b'{"name": "test", "version": "3.0.0"}',
        "node_modules/bad/package.json": b"{",
    }
)


def test_an_asar_lists_its_node_modules(
    extract: Callable[..., Extraction], facts: Callable[[Extraction], Facts]
) -> None:
    found = extract(asar.EXTRACTOR, "opt/app/resources/app.asar", ASAR)
    assert facts(found) == {("a", "1.0.0"), ("@s/b", "2.0.0")}
    assert [p.where for p in found.problems] == [
        "/opt/app/resources/app.asar!/node_modules/bad/package.json"
    ]


def test_a_zipapp_lists_its_distributions(
    extract: Callable[..., Extraction], facts: Callable[[Extraction], Facts]
) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        target.writestr("site-packages/tool-1.0.dist-info/METADATA", METADATA)
        target.writestr(".deps/o.whl/o-1.0.dist-info/METADATA", METADATA.replace(b"Tool", b"o"))
    found = extract(
        zipapp.EXTRACTOR, "bin/app.pyz", b"#!/usr/bin/env python3\n" + stream.getvalue()
    )
    assert facts(found) == {("tool", "1.0"), ("o", "1.0")}


@many(150)
@given(
    data=st.sampled_from([bundle(6), PLAIN + FROZEN]),
    at=st.integers(0, 6000),
    piece=st.binary(min_size=1, max_size=8),
    cut=st.integers(0, 400),
)
def test_damage_is_an_error_or_a_problem(
    extract: Callable[..., Extraction], data: bytes, at: int, piece: bytes, cut: int
) -> None:
    at %= len(data)
    damaged = data[:at] + piece + data[at + len(piece) : len(data) - cut]
    with contextlib.suppress(FormatError):
        extract(EXTRACTOR, "app", damaged)


@many(100)
@given(at=st.integers(0, len(ASAR) - 1), piece=st.binary(min_size=1, max_size=8))
def test_a_damaged_asar_is_an_error_or_a_problem(
    extract: Callable[..., Extraction], at: int, piece: bytes
) -> None:
    with contextlib.suppress(FormatError):
        extract(asar.EXTRACTOR, "app.asar", ASAR[:at] + piece + ASAR[at + len(piece) :])
