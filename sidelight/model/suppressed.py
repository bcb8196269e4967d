"""Findings that VEX statements or the user's ignore file take out, with why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.model.findings import Finding


class VexStatus(StrEnum):
    """The statuses of VEX, and IGNORED for the user's own ignore file."""

    NOT_AFFECTED = "not_affected"
    FIXED = "fixed"
    AFFECTED = "affected"
    UNDER_INVESTIGATION = "under_investigation"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class SuppressedFinding:
    """A finding with what suppresses it.

    `justification` is one of OpenVEX's five, or empty; `statement` is free text; `source` names the
    document.
    """

    finding: Finding
    status: VexStatus
    justification: str
    statement: str
    source: str

    @property
    def reason(self) -> str:
        """The justification and the text, in one line."""
        return ": ".join(filter(None, (self.justification, self.statement)))


@dataclass(frozen=True, slots=True)
class VexSource:
    """A VEX document of the fleet: the newest version that was added of its `identity`.

    `identity`, `version`, `author` and `issued` are the document's own words; `file` is the name
    of its file, `sha256` the digest of its bytes, and `statements` their number.
    """

    identity: str
    format: str
    version: str = ""
    author: str = ""
    issued: str = ""
    file: str = ""
    sha256: str = ""
    statements: int = 0
    id: int = 0
    added_at: datetime | None = None

    @property
    def shown(self) -> str:
        """The file, with version and author."""
        version = f"version {self.version}" if self.version else ""
        author = f"by {self.author}" if self.author else ""
        return ", ".join(filter(None, (self.file or self.identity, version, author)))


@dataclass(frozen=True, slots=True)
class VexReason:
    """The statement that suppresses a finding of the fleet, and its document."""

    status: VexStatus
    justification: str
    statement: str
    document: VexSource

    @property
    def reason(self) -> str:
        """The justification and the text, in one line."""
        return ": ".join(filter(None, (self.justification, self.statement)))
