"""The collector sends every file that an extractor would read."""

from __future__ import annotations

import fnmatch

import pytest

from sidelight.inventory.collected import wanted_paths
from sidelight.inventory.language.extractors import LANGUAGE_EXTRACTORS

# A path or more for each extractor that wants an ending under a condition.
EXAMPLES = {
    "language/python-installed": ("usr/lib/a-1.egg-info", "a.egg-info"),
    "language/python-requirements": (
        "srv/requirements.txt", "srv/Requirements-dev.txt", "srv/dev_requirements.in.txt",
    ),
    "language/python-pylock": ("srv/pylock.toml", "srv/pylock.prod.toml", "pylock.toml"),
    "language/conda-installed": ("opt/conda/conda-meta/a-1-b.json", "conda-meta/a.json"),
    "language/conda-environment": (
        "environment.yml", "srv/environment.yaml", "srv/gpu-environment.dev.yml", "srv/conda.yaml",
    ),
    "language/conda-lock": ("srv/conda-lock.yml", "srv/gpu.conda-lock.yml"),
    "language/gradle-lock": ("srv/gradle.lockfile", "srv/buildscript-gradle.lockfile"),
    "language/gradle-catalog": ("srv/gradle/libs.versions.toml",),
    "language/ruby-installed": (
        "usr/lib/ruby/specifications/a-1.gemspec", "specifications/default/a-1.gemspec",
    ),
    "language/dotnet-deps": ("srv/app.deps.json",),
    "language/erlang-application": ("opt/rel/lib/a-1/ebin/a.app",),
    "language/pear-installed": (
        "usr/share/php/.registry/a.reg", "usr/share/php/.registry/.channel.pecl.php.net/redis.reg",
    ),
    "language/haskell-installed": (
        "opt/ghc/lib/package.conf.d/aeson-2.0.conf", "root/.cabal/store/ghc-9.4/package.db/a.conf",
    ),
    "language/lua-installed": ("usr/lib/luarocks/rocks-5.4/a/1-1/a-1-1.rockspec",),
    "language/julia-lock": ("srv/Manifest.toml", "srv/JuliaManifest.toml", "Manifest-v1.11.toml"),
}  # fmt: skip
CONDITIONAL = [item for item in LANGUAGE_EXTRACTORS if wanted_paths.needs_globs(item)]


def is_sent(path: str) -> bool:
    """As the script decides it."""
    name = path.rpartition("/")[2]
    suffix = name[name.rfind(".") :] if "." in name else ""
    globs = wanted_paths.globs().get(suffix, ())
    return (
        name in wanted_paths.names()
        or suffix in wanted_paths.suffixes()
        or any(fnmatch.fnmatchcase("/" + path, glob) for glob in globs)
    )


@pytest.mark.parametrize("extractor", CONDITIONAL, ids=lambda item: item.name)
def test_an_ending_under_a_condition_has_globs_that_allow_what_it_allows(extractor: object) -> None:
    chosen = next(item for item in CONDITIONAL if item is extractor)
    examples = EXAMPLES[chosen.name]

    assert chosen.name in wanted_paths.GLOBS
    assert chosen.wants.confirm is not None
    for path in examples:
        assert chosen.wants.confirm(path), path
        assert is_sent(path), path


def test_every_name_and_plain_ending_is_sent() -> None:
    for extractor in LANGUAGE_EXTRACTORS:
        assert all(is_sent(f"usr/lib/{name}") for name in extractor.wants.names)
        if not wanted_paths.needs_globs(extractor):
            assert all(is_sent(f"usr/lib/a{suffix}") for suffix in extractor.wants.suffixes)
        assert not extractor.wants.paths
        assert not extractor.wants.directories


@pytest.mark.parametrize("path", ["usr/lib/a.json", "srv/notes.txt", "srv/values.yml", "srv/a.py"])
def test_other_files_of_these_endings_are_not_sent(path: str) -> None:
    assert not is_sent(path)
