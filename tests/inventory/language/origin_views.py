"""The origins of packages, as tests compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.inventory.purl import is_of_public_registry

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Extraction


def others(found: Extraction) -> dict[str, str]:
    """Name to the purl's qualifiers, of what is not the public registry's."""
    assert not found.problems
    return {
        package.name: package.purl.partition("?")[2]
        for package in found.packages
        if not is_of_public_registry(package.purl)
    }
