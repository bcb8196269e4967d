"""Where packages are from: repositories, mirrors; crates, gems and Composer's packages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.inventory.language import cargolock, composer, gemfilelock
from sidelight.inventory.language.origin import Drawn, git, local, other_registries
from tests.inventory.language.origin_views import others

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidelight.inventory.protocol import Extraction


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("git+ssh://git@github.com/a/b.git#abc", "git+ssh://github.com/a/b.git@abc"),
        ("git@github.com:a/b.git", "git+ssh://github.com/a/b.git"),
        ("https://user:secret@example.com/a.git?branch=x#abc", "git+https://example.com/a.git@abc"),
        ("github:a/b#abc", "git+https://github.com/a/b@abc"),
        ("a/b", "git+https://github.com/a/b"),
    ],
)
def test_a_repository_is_written_one_way_and_without_passwords(url: str, expected: str) -> None:
    assert git(url) == (("vcs_url", expected),)


def test_a_local_path_is_a_file_address() -> None:
    assert local("file:../x") == local("../x") == (("download_url", "file:../x"),)


@given(
    st.lists(
        st.builds(
            Drawn,
            st.sampled_from("abcdef"),
            st.sampled_from(["", "public", "x", "y"]),
            st.lists(st.sampled_from("abcdef"), max_size=3).map(tuple),
        ),
        max_size=12,
    )
)
def test_a_registry_is_its_own_only_beside_a_public_one(drawn: list[Drawn]) -> None:
    public = frozenset(("public",))
    own = other_registries(drawn, public)
    assert not own & public
    assert "" not in own
    assert not own or any(item.host == "public" for item in drawn)
    needed = {name for item in drawn if item.host == "public" for name in item.needs}
    for host in own:
        given_by_public = {item.name for item in drawn if item.host == "public"}
        names = {item.name for item in drawn if item.host == host}
        assert not (names & needed) - given_by_public


def test_crates_of_the_workspace_of_git_and_of_other_registries(
    extract: Callable[..., Extraction],
) -> None:
    sources = {
        "own": "",
        "public": "registry+https://github.com/rust-lang/crates.io-index",
        "sparse": "sparse+https://{io.crates.index}/",
        "forked": "git+https://github.com/x/forked?tag=v1#abc",
        "other": "sparse+https://crates.example.com/index/",
    }
    text = "version = 4\n" + "".join(
        f'[[package]]\nname = "{name}"\nversion = "1.0.0"\n'
        + (f'source = "{url}"\n' if url else "")
        for name, url in sources.items()
    )
    found = extract(cargolock.EXTRACTOR, "Cargo.lock", text)
    assert len(found.packages) == len(sources)
    assert others(found) == {
        "own": "download_url=file:.",
        "forked": "vcs_url=git%2Bhttps://github.com/x/forked%40abc",
        "other": "repository_url=https://crates.example.com/index/",
    }


GEMS = """GIT
  remote: https://github.com/x/b.git
  revision: abc
  specs:
    b (1.0)

GEM
  remote: https://{org.rubygems}/
  specs:
    a (1.0)
      m (~> 1.0)

GEM
  remote: https://gems.corp.example/
  specs:
    c (1.0)

DEPENDENCIES
  a
"""


def test_gems_have_their_origin(extract: Callable[..., Extraction]) -> None:
    found = extract(gemfilelock.EXTRACTOR, "Gemfile.lock", GEMS)
    assert others(found) == {
        "b": "vcs_url=git%2Bhttps://github.com/x/b.git%40abc",
        "c": "repository_url=https://gems.corp.example/",
    }
    mirrored = GEMS.replace("    c (1.0)", "    m (1.0)")
    assert others(extract(gemfilelock.EXTRACTOR, "Gemfile.lock", mirrored)).keys() == {"b"}


def php(**more: object) -> dict[str, object]:
    return {
        "version": "1.0.0",
        "source": {"type": "git", "url": "https://github.com/x/y.git"},
        **more,
    }


@pytest.mark.parametrize(
    ("packages", "foreign"),
    [
        (
            [
                php(name="x/a", **{"notification-url": "https://{org.packagist}/downloads/"}),
                php(name="x/b"),
                php(name="x/c", dist={"type": "path", "url": "../c"}),
            ],
            {"x/b", "x/c"},
        ),
        ([php(name="x/a"), php(name="x/b")], set()),  # nothing is Packagist's: a mirror
    ],
)
def test_composer_marks_packages_that_are_not_packagists(
    extract: Callable[..., Extraction], packages: list[Mapping[str, object]], foreign: set[str]
) -> None:
    text = json.dumps({"packages": packages})
    assert others(extract(composer.LOCK_EXTRACTOR, "composer.lock", text)).keys() == foreign
    path = "vendor/composer/installed.json"
    assert others(extract(composer.INSTALLED_EXTRACTOR, path, text)).keys() == foreign
