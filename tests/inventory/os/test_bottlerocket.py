"""Bottlerocket's application inventory."""

from __future__ import annotations

import json

import pytest

from sidelight.errors import DamagedError, LimitError
from sidelight.inventory.os.bottlerocket import BottlerocketInventory
from sidelight.inventory.protocol import Extraction, Machine
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile


def _extract(data: bytes) -> Extraction:
    file = MemoryFile(data, "usr/share/bottlerocket/application-inventory.json")
    machine = Machine(OperatingSystem(id="bottlerocket", version_id="1.26.0"))
    return BottlerocketInventory().extract(file, machine)


def test_reads_packages_with_and_without_an_epoch() -> None:
    items = [
        {
            "Name": "pigz",
            "Version": "2.8",
            "Release": "1.abc.br1",
            "Epoch": "0",
            "Architecture": "aarch64",
        },
        {
            "Name": "kernel-6.1",
            "Version": "6.1.2",
            "Release": "1",
            "Epoch": "1",
            "Publisher": "Bottlerocket",
        },
        {"Name": "bare", "Version": "1.18.0"},
        {"Name": 5, "Version": "1"},
        "not an object",
    ]
    found = _extract(json.dumps({"Content": items}).encode())
    assert [(p.name, p.version) for p in found.packages] == [
        ("pigz", "2.8-1.abc.br1"),
        ("kernel-6.1", "1:6.1.2-1"),
        ("bare", "1.18.0"),
    ]
    assert found.packages[0].purl == (
        "pkg:rpm/bottlerocket/pigz@2.8-1.abc.br1?arch=aarch64&distro=bottlerocket-1.26.0"
    )
    assert len(found.problems) == 2


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"Content": 1}', b"\xff", b"[" * 100_000])
def test_another_document_is_damaged(data: bytes) -> None:
    with pytest.raises((DamagedError, LimitError)):
        _extract(data)
