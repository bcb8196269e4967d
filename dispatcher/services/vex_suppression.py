"""VEX documents of the fleet: command line and tests call this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from sidelight.vex.vex_documents import is_older

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.model import VexSource
    from sidelight.store import StatedFinding, Store
    from sidelight.vex.statements import VexStatement
    from sidelight.vex.vex_documents import VexDocument

Outcome = Literal["added", "replaced", "unchanged", "older"]
ADDED: Final = "added"
REPLACED: Final = "replaced"
UNCHANGED: Final = "unchanged"
OLDER: Final = "older"


@dataclass(frozen=True, slots=True)
class DocumentOutcome:
    """What becomes of a document: ADDED, REPLACED, UNCHANGED or OLDER.

    `before` is the version that is stored, `unmatched` are its statements about no open finding;
    of an OLDER one, which is not read any further, none are listed.
    """

    source: VexSource
    outcome: Outcome
    before: str = ""
    unmatched: Sequence[VexStatement] = ()


@dataclass(frozen=True, slots=True)
class VexAddition:
    """What adding documents changes, or would change. `changed` counts what was written."""

    documents: Sequence[DocumentOutcome]
    findings: Sequence[StatedFinding] = field(default_factory=list)
    changed: int = 0


class VexService:
    """Adds VEX documents to what suppresses findings, and takes them back."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, offered: Sequence[VexDocument], *, dry_run: bool) -> VexAddition:
        """Add documents, each in place of an older version of it; with `dry_run` write nothing.

        A document that is stored already changes nothing. One that is older than the stored
        version, or than another one offered, is left out. Raises LimitError.
        """
        states = [self._state(offered, number) for number in range(len(offered))]
        kept = [number for number, (state, _) in enumerate(states) if state != OLDER]
        preview = self._store.vex_documents.preview(
            [(offered[number].source, offered[number].statements) for number in kept]
        )
        documents, changed = [], 0
        for number, (document, (state, before)) in enumerate(zip(offered, states, strict=True)):
            source, statements = document.source, document.statements
            unmatched: list[VexStatement] = []
            if number in kept:
                place = kept.index(number)
                unmatched = [
                    statement
                    for position, statement in enumerate(statements)
                    if (place, position) not in preview.matched
                ]
            if state in {ADDED, REPLACED} and not dry_run:
                changed += self._store.vex_documents.add(source, statements)
            documents.append(DocumentOutcome(source, state, before, unmatched))
        return VexAddition(documents, preview.changes, changed)

    def _state(self, offered: Sequence[VexDocument], number: int) -> tuple[Outcome, str]:
        """Return what becomes of a document, and the version that is stored."""
        source = offered[number].source
        known = self._store.vex_documents.find(source.identity)
        before = known.version if known else ""
        for place, other in enumerate(offered):
            # Of two with one identity the newer is added; of equal versions the last one.
            is_same = other.source.identity == source.identity and place != number
            if is_same and is_older(source.version, other.source.version):
                return OLDER, before
            if is_same and place > number and not is_older(other.source.version, source.version):
                return OLDER, before
        if known is None:
            return ADDED, before
        if known.sha256 == source.sha256:
            return UNCHANGED, before
        return (OLDER if is_older(source.version, known.version) else REPLACED), before

    def all(self) -> list[VexSource]:
        """Return the documents, those added first before others."""
        return self._store.vex_documents.all()

    def named(self, name: str) -> list[VexSource]:
        """Return the documents of this identity, or of this file's name."""
        known = self.all()
        return [item for item in known if item.identity == name] or [
            item for item in known if item.file == name
        ]

    def remove(self, source: VexSource) -> int | None:
        """Take a document back; return how many findings changed, None if it is gone already."""
        return self._store.vex_documents.remove(source.identity)
