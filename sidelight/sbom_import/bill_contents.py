"""What a bill of materials lists, before it is packages: the same for each format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sidelight.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_COMPONENTS: Final = 500_000  # of one document, nested ones included
MAX_PROPERTIES: Final = 2_000  # of one component; Syft writes hundreds of CPEs


@dataclass(frozen=True, slots=True)
class ListedComponent:
    """A component. What the document does not say is empty.

    `kind` is CycloneDX's type. `name` and `group` are as written; `properties` has the first value
    of each name. `built_from` is the name and version of the source that SPDX's sourceInfo has.
    """

    name: str
    version: str = ""
    purl: str = ""
    kind: str = "library"
    group: str = ""
    publisher: str = ""
    licence: str = ""
    path: str = ""
    description: str = ""
    built_from: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""

    @property
    def is_own(self) -> bool:
        """Whether Sidelight wrote it."""
        return "sidelight:type" in self.properties

    @property
    def full_name(self) -> str:
        """The name with its group, as purls have it."""
        return f"{self.group}/{self.name}" if self.group else self.name


@dataclass(slots=True)
class BillContents:
    """A whole document. `subject` are the properties of the machine that it is about.

    `requires` has the references of those that a component requires. Most tools list no dependency
    also where they know none: `known` are the components of which the document says that the list
    is whole.
    """

    components: list[ListedComponent] = field(default_factory=list)
    systems: list[ListedComponent] = field(default_factory=list)
    subject: list[tuple[str, str]] = field(default_factory=list)
    is_incomplete: bool = False
    remarks: list[str] = field(default_factory=list)
    requires: dict[str, list[str]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)

    def add(self, component: ListedComponent) -> None:
        """Add a component, or a system. Raises LimitError past MAX_COMPONENTS."""
        if component.kind == "operating-system":
            self.systems.append(component)
        else:
            self.components.append(component)
        if len(self.components) + len(self.systems) > MAX_COMPONENTS:
            raise LimitError(f"more than {MAX_COMPONENTS} components")
