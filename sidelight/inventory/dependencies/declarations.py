"""What a package's file declares: the names that it provides, and those that it requires."""

from __future__ import annotations

from typing import Final, NamedTuple

# Of one package. The largest real ones: 3,500 names that a texlive package provides, and some
# 2,000 that a metapackage requires.
MAX_PROVIDED: Final = 20_000
MAX_REQUIRED: Final = 10_000


class Declaration(NamedTuple):
    """The names that a package provides and requires.

    Of alternatives each is a required name: those that are installed count. A required name that
    no package provides is not a dependency. `requires` is None where the file does not say what the
    package requires; others may require it all the same. Without a `scope` the names are of one
    file. With one they are of all files whose packages have it; two roots never share a scope.
    `directory` is that of a package which Node.js loads: what it requires is looked up in the
    scopes `DIRECTORY/node_modules`, of this directory and of those above it, and the first counts.
    """

    provides: tuple[str, ...]
    requires: tuple[str, ...] | None
    scope: str = ""
    directory: str = ""
