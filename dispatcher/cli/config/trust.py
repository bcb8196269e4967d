"""What a `sidelight.toml` in the current directory may set: it may have come with a repository.

It chooses how a result is shown and which findings are listed. It does not choose where data come
from or go to, with which role, what is written, what may be spent, or how disks are read safely.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS: Final = frozenset({"containers"})
_SELECTED: Final = frozenset({"format", "severity", "ignore-unfixed", "limit"})
OPTIONS: Final[Mapping[tuple[str, ...], frozenset[str]]] = MappingProxyType(
    {
        ("scan",): _SELECTED | {"fail-on", "vex", "ignore-file"},
        ("inventory",): frozenset({"format"}),
        ("doctor",): frozenset({"format"}),
        ("fleet", "findings"): _SELECTED | {"sort", "status", "type"},
        ("fleet", "coverage"): frozenset({"format", "sort"}),
        ("fleet", "status"): frozenset({"format"}),
        ("fleet", "plan"): frozenset({"format", "severity", "limit"}),
        ("fleet", "costs"): frozenset({"format", "by"}),
    }
)
