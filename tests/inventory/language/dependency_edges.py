"""Which package requires which, as names and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import CollectOptions, collect
from sidelight.inventory.language.extractors import LANGUAGE_EXTRACTORS
from tests.fakes.memory_filesystem import MemoryFilesystem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import Package

    Edges = dict[str, list[str] | None]


def named(packages: Iterable[Package], found: Iterable[tuple[int, ...] | None]) -> Edges:
    names = [f"{item.name} {item.version}" for item in packages]
    return {
        name: None if others is None else sorted(names[other] for other in others)
        for name, others in zip(names, found, strict=True)
    }


def collected(files: dict[str, bytes]) -> Edges:
    """What the packages of a machine with these files require."""
    tree: dict[str, object] = {}
    for path, data in files.items():
        *above, name = path.split("/")
        directory = tree
        for part in above:
            directory = directory.setdefault(part, {})  # type: ignore[assignment] # a directory
        directory[name] = data
    options = CollectOptions(whole_machine=False)
    found = collect(MachineTree(MemoryFilesystem(tree)), options, LANGUAGE_EXTRACTORS)
    assert found.problems == []
    return named(found.packages, found.dependencies or [None] * len(found.packages))
