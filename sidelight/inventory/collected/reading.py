"""Evaluates a collector's output with the extractors of disks: one answer by both methods."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError
from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import collect
from sidelight.inventory.collected.envelope import open_envelope
from sidelight.inventory.collected.owners import RpmOwners, as_files
from sidelight.inventory.collected.received_files import ReceivedFiles
from sidelight.inventory.collected.tar_members import members
from sidelight.inventory.language.extractors import LANGUAGE_EXTRACTORS
from sidelight.inventory.os import dpkg
from sidelight.inventory.ssm.known_sources import KnownSources, of_packages
from sidelight.inventory.wanted_files import CollectOptions
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.inventory.protocol import Extractor
    from sidelight.model import Package

WHERE: Final = "deep inspection"
EXTRACTORS: Final[tuple[Extractor, ...]] = (
    dpkg.DpkgStatus(), dpkg.DpkgLists(), RpmOwners(), *LANGUAGE_EXTRACTORS,
)  # fmt: skip
MAX_PROBLEMS: Final = 1_000
_SYSTEM_TYPES: Final = frozenset(("deb", "rpm"))
_LIMITS: Final = frozenset(("time", "files", "bytes"))
# Evaluating is bounded as a disk's is, and less is there to evaluate.
_OPTIONS: Final = CollectOptions(file_seconds=20.0, machine_seconds=120.0, whole_machine=False)


@dataclass(frozen=True, slots=True)
class CollectedReading:
    """What a machine's collector found.

    `limits` are those that ended the collection: `time`, `files` or `bytes`. `sources` are the
    source packages of this machine's debs, None without dpkg. `is_readable` is false for what is
    not a collector's output at all.
    """

    packages: tuple[Package, ...] = ()
    problems: tuple[Problem, ...] = ()
    limits: frozenset[str] = frozenset()
    sources: KnownSources | None = None
    about: dict[str, str] = field(default_factory=dict)
    is_readable: bool = True


def read_collected(output: bytes, options: CollectOptions = _OPTIONS) -> CollectedReading:
    """Return the language packages of a machine, and the source packages of its debs.

    Never raises for what a machine sent: what is damaged is a Problem, and the rest is read.
    """
    try:
        envelope = open_envelope(output)
    except FormatError as error:
        return CollectedReading(problems=(Problem(WHERE, error.what),), is_readable=False)
    faults = envelope.faults
    sections = envelope.sections
    status = sections.get("dpkg-status", b"")
    tree = ReceivedFiles(
        chain(
            as_files(status, sections.get("owners", b""), faults),
            members(sections.get("tree", b""), faults),
        ),
        faults,
    )
    found = collect(MachineTree(tree), options, EXTRACTORS)
    noted, limits = _notes(sections.get("notes", b""))
    problems = [*(Problem(WHERE, fault) for fault in faults), *noted, *found.problems]
    debs = [package for package in found.packages if package.type == "deb"]
    return CollectedReading(
        tuple(package for package in found.packages if package.type not in _SYSTEM_TYPES),
        _shortened(problems),
        limits,
        of_packages(debs, dpkg.removed(status)) if status.strip() else None,
        _about(sections.get("about", b"")),
    )


def _shortened(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    kept = list(dict.fromkeys(problems))
    if len(kept) > MAX_PROBLEMS:
        more = len(kept) - MAX_PROBLEMS
        kept[MAX_PROBLEMS:] = [Problem(WHERE, f"{more} more problems are not listed")]
    return tuple(kept)


def _notes(data: bytes) -> tuple[list[Problem], frozenset[str]]:
    """Return what the collector could not read, and the limits that ended it."""
    problems, limits = [], set()
    for line in data.decode("utf-8", "backslashreplace").split("\n")[: 2 * MAX_PROBLEMS]:
        kind, _, rest = line.partition("\t")
        where, _, what = rest.partition("\t")
        if kind == "limit" and where in _LIMITS:
            limits.add(where)
        elif kind == "problem":
            path = "/" + where.lstrip("/")[:1000]
            problems.append(Problem(path, f"not collected: {what[:500]}"))
    return problems, frozenset(limits)


def _about(data: bytes) -> dict[str, str]:
    lines = data.decode("utf-8", "backslashreplace").split("\n")[:20]
    pairs = (line.partition("\t") for line in lines)
    return {key[:40]: value[:1000] for key, _, value in pairs if key}
