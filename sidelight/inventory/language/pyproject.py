"""What a pyproject.toml beside a lock file asks for.

Source: PEP 621, PEP 735, and the tables of Poetry and PDM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError
from sidelight.inventory.language.safe_parsers import parse_toml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.protocol import WantedFile

_NAME: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_RUN: Final = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class PyprojectRequirements:
    """Normalised names of what is asked for, to run (extras too) and to develop."""

    run: frozenset[str]
    develop: frozenset[str]


def normal(name: str) -> str:
    """The normalised name (PEP 503)."""
    return _RUN.sub("-", name).lower()


def requirements_beside(file: WantedFile) -> PyprojectRequirements | None:
    """The requirements of the pyproject.toml in the same directory; None where there are none."""
    try:
        data = file.sibling("pyproject.toml", 1 << 20)
        document = None if data is None else parse_toml(data)
    except FormatError:
        return None  # the file itself is not what was asked for: it shows nothing then
    if document is None:
        return None
    tool = _table(document, "tool")
    project, poetry, pdm = _table(document, "project"), _table(tool, "poetry"), _table(tool, "pdm")
    run = {*_names(project.get("dependencies")), *_names(poetry.get("dependencies"))}
    for extra in _table(project, "optional-dependencies").values():
        run.update(_names(extra))
    develop = set(_names(poetry.get("dev-dependencies")))
    for group in _table(poetry, "group").values():
        develop.update(_names(group.get("dependencies") if isinstance(group, dict) else None))
    for groups in (_table(document, "dependency-groups"), _table(pdm, "dev-dependencies")):
        for group in groups.values():
            develop.update(_names(group))
    run.discard("python")
    if not run and not develop:
        return None
    return PyprojectRequirements(frozenset(run), frozenset(develop))


def _table(parent: dict[str, object], key: str) -> dict[str, object]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _names(value: object) -> Iterator[str]:
    """Of requirement strings, or of Poetry's table of names."""
    for item in value if isinstance(value, (list, dict)) else ():
        match = _NAME.match(item) if isinstance(item, str) else None
        if match:
            yield normal(match[1])
