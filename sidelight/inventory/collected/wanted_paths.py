"""Which files the collector sends, in a form that fits into its script: names, endings, globs.

Made of the extractors' own wants. A condition of an extractor on whole paths (`Wants.confirm`) is a
glob here where an ending alone would send too much. A glob may allow more than the condition, which
has the last word when the files are read, and never less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory import os_release
from sidelight.inventory.containers import RUNTIME_PATHS
from sidelight.inventory.language.extractors import LANGUAGE_EXTRACTORS

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Extractor

# Files that an extractor looks at beside the one that it wants.
BESIDE: Final = frozenset(
    ("INSTALLER", "REQUESTED", "composer.json", "direct_url.json", "pyproject.toml")
)
# Of the system as a whole: who it is, and what dpkg moved elsewhere.
SYSTEM: Final = (*os_release.PATHS, "var/lib/dpkg/diversions")
# Instead of an ending alone, by extractor. `*` stands for any characters, slashes too.
GLOBS: Final = {
    "language/python-installed": ("*.egg-info",),
    "language/python-requirements": ("*[Rr][Ee][Qq][Uu][Ii][Rr][Ee][Mm][Ee][Nn][Tt][Ss]*.txt",),
    "language/python-pylock": ("*/pylock.toml", "*/pylock.*.toml"),
    "language/conda-installed": ("*/conda-meta/*.json",),
    "language/conda-environment": (
        "*environment*.yml", "*environment*.yaml", "*/conda.yml", "*/conda.yaml",
    ),
    "language/conda-lock": ("*conda-lock.yml",),
    "language/gradle-lock": ("*gradle.lockfile",),
    "language/gradle-catalog": ("*.versions.toml",),
    "language/ruby-installed": ("*/specifications/*.gemspec",),
    "language/dotnet-deps": ("*.deps.json",),
    "language/erlang-application": ("*/ebin/*.app",),
    "language/julia-lock": ("*Manifest*.toml",),
    "language/lua-installed": ("*/luarocks/rocks*/*.rockspec",),
    "language/pear-installed": ("*/.registry/*.reg",),
    "language/haskell-installed": ("*package.conf.d/*.conf", "*package.db/*.conf"),
}  # fmt: skip


def names() -> frozenset[str]:
    """Return the base names of wanted files."""
    return BESIDE.union(*(extractor.wants.names for extractor in LANGUAGE_EXTRACTORS))


def suffixes() -> frozenset[str]:
    """Return the endings of which every file is wanted."""
    plain = (item for item in LANGUAGE_EXTRACTORS if item.name not in GLOBS)
    return frozenset(suffix for item in plain for suffix in item.wants.suffixes)


def globs() -> dict[str, tuple[str, ...]]:
    """Return the globs by ending, for whole paths with a leading slash."""
    found: dict[str, list[str]] = {}
    for extractor in LANGUAGE_EXTRACTORS:
        for glob in GLOBS.get(extractor.name, ()):
            found.setdefault("." + glob.rpartition(".")[2], []).append(glob)
    return {suffix: tuple(sorted(set(items))) for suffix, items in sorted(found.items())}


def needs_globs(extractor: Extractor) -> bool:
    """Whether an extractor wants files by an ending under a condition."""
    return bool(extractor.wants.suffixes and extractor.wants.confirm)


def skipped() -> tuple[str, ...]:
    """Return the directories of container runtimes, which hold the software of images."""
    return tuple(sorted(path.decode() for path in RUNTIME_PATHS))
