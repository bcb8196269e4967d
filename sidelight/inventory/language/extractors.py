"""The language formats, as a written tuple."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language import (
    applications,
    asar,
    bunlock,
    bunlockb,
    c_headers,
    cargoauditable,
    cargolock,
    composer,
    condalock,
    condameta,
    denolock,
    distinfo,
    dotnetdeps,
    egg,
    executablezip,
    gemfilelock,
    gemspec,
    gobinary,
    gomod,
    gradlecatalog,
    gradlelockfile,
    javaarchive,
    mixlock,
    nodemodules,
    nugetcentral,
    nugetlock,
    packagelock,
    packageresolved,
    pdmlock,
    pipfilelock,
    pnpmlock,
    poetrylock,
    pomxml,
    pubspeclock,
    pylock,
    requirements,
    sbtlock,
    selfcontained,
    uvlock,
    version_strings,
    yarnlock,
    zipapp,
)

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Extractor

LANGUAGE_EXTRACTORS: Final[tuple[Extractor, ...]] = (
    # Python
    distinfo.EXTRACTOR,
    egg.EXTRACTOR,
    zipapp.EXTRACTOR,
    requirements.EXTRACTOR,
    pipfilelock.EXTRACTOR,
    poetrylock.EXTRACTOR,
    pdmlock.EXTRACTOR,
    uvlock.EXTRACTOR,
    pylock.EXTRACTOR,
    condameta.EXTRACTOR,
    condalock.ENVIRONMENT_EXTRACTOR,
    condalock.LOCK_EXTRACTOR,
    condalock.PIXI_EXTRACTOR,
    # JavaScript
    nodemodules.EXTRACTOR,
    asar.EXTRACTOR,
    packagelock.EXTRACTOR,
    yarnlock.EXTRACTOR,
    pnpmlock.EXTRACTOR,
    bunlock.EXTRACTOR,
    bunlockb.EXTRACTOR,
    denolock.EXTRACTOR,
    # Java
    javaarchive.EXTRACTOR,
    pomxml.EXTRACTOR,
    gradlelockfile.EXTRACTOR,
    gradlecatalog.EXTRACTOR,
    sbtlock.EXTRACTOR,
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
    nugetcentral.PROPS_EXTRACTOR,
    nugetcentral.PAKET_EXTRACTOR,
    # Elixir and Erlang, Dart, Swift
    mixlock.EXTRACTOR,
    mixlock.REBAR_EXTRACTOR,
    pubspeclock.EXTRACTOR,
    packageresolved.EXTRACTOR,
    # What nobody's package manager installed
    applications.JDK_EXTRACTOR,
    applications.GO_EXTRACTOR,
    applications.RUBY_EXTRACTOR,
    applications.WORDPRESS_EXTRACTOR,
    applications.ADDED_EXTRACTOR,
    c_headers.EXTRACTOR,
    version_strings.EXTRACTOR,
    # Programs with their packages inside
    selfcontained.EXTRACTOR,
    executablezip.EXTRACTOR,
)
