"""The language formats, as a written tuple."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language import (
    applications,
    bunlock,
    cargoauditable,
    cargolock,
    composer,
    condameta,
    distinfo,
    dotnetdeps,
    egg,
    gemfilelock,
    gemspec,
    gobinary,
    gomod,
    gradlelockfile,
    headers,
    javaarchive,
    nodemodules,
    nugetlock,
    packagelock,
    pdmlock,
    pipfilelock,
    pnpmlock,
    poetrylock,
    pomxml,
    programs,
    pylock,
    requirements,
    uvlock,
    yarnlock,
)

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Extractor

LANGUAGE_EXTRACTORS: Final[tuple[Extractor, ...]] = (
    # Python
    distinfo.EXTRACTOR,
    egg.EXTRACTOR,
    requirements.EXTRACTOR,
    pipfilelock.EXTRACTOR,
    poetrylock.EXTRACTOR,
    pdmlock.EXTRACTOR,
    uvlock.EXTRACTOR,
    pylock.EXTRACTOR,
    condameta.EXTRACTOR,
    # JavaScript
    nodemodules.EXTRACTOR,
    packagelock.EXTRACTOR,
    yarnlock.EXTRACTOR,
    pnpmlock.EXTRACTOR,
    bunlock.EXTRACTOR,
    # Java
    javaarchive.EXTRACTOR,
    pomxml.EXTRACTOR,
    gradlelockfile.EXTRACTOR,
    # Go
    gobinary.EXTRACTOR,
    gomod.EXTRACTOR,
    gomod.SUM_EXTRACTOR,
    # Rust
    cargoauditable.EXTRACTOR,
    cargolock.EXTRACTOR,
    # Ruby
    gemspec.EXTRACTOR,
    gemfilelock.EXTRACTOR,
    # PHP
    composer.LOCK_EXTRACTOR,
    composer.INSTALLED_EXTRACTOR,
    # .NET
    dotnetdeps.EXTRACTOR,
    nugetlock.LOCK_EXTRACTOR,
    nugetlock.CONFIG_EXTRACTOR,
    # What nobody's package manager installed
    applications.JDK_EXTRACTOR,
    applications.GO_EXTRACTOR,
    applications.RUBY_EXTRACTOR,
    applications.WORDPRESS_EXTRACTOR,
    applications.ADDED_EXTRACTOR,
    headers.EXTRACTOR,
    programs.EXTRACTOR,
)
