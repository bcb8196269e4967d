"""Packages that are not the public registry's: in the inventory, with their origin in the purl."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.inventory.language import (
    bunlock,
    cargolock,
    composer,
    distinfo,
    gemfilelock,
    nodemodules,
    packagelock,
    pdmlock,
    pipfilelock,
    pnpmlock,
    poetrylock,
    pylock,
    requirements,
    uvlock,
    yarnlock,
)
from sidelight.inventory.language.origin import Drawn, git, local, other_registries
from sidelight.inventory.purl import is_of_public_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidelight.inventory.language.extractor import GeneratorExtractor
    from sidelight.inventory.protocol import Extraction

NPM = "https://{org.npmjs.registry}"
OWN = "https://npm.corp.example"


def others(found: Extraction) -> dict[str, str]:
    """Name to the purl's qualifiers, of what is not the public registry's."""
    assert not found.problems
    return {
        package.name: package.purl.partition("?")[2]
        for package in found.packages
        if not is_of_public_registry(package.purl)
    }


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


def locked(**resolved: str) -> str:
    """A package-lock of version 3: each package with the address that it was resolved to."""
    packages: dict[str, object] = {"": {"dependencies": dict.fromkeys(resolved, "*")}}
    for name, url in resolved.items():
        packages[f"node_modules/{name}"] = {"version": "1.0.0", "resolved": url}
    return json.dumps({"lockfileVersion": 3, "packages": packages})


def test_npm_packages_of_git_addresses_files_and_another_registry(
    extract: Callable[..., Extraction],
) -> None:
    text = locked(
        a=f"{NPM}/a/-/a-1.0.0.tgz",
        b="git+ssh://git@github.com/x/b.git#abc",
        c="https://example.com/c-1.0.0.tgz",
        d="file:d-1.0.0.tgz",
        e=f"{OWN}/e/-/e-1.0.0.tgz",
        f="https://codeload.github.com/x/f/tar.gz/abc",
        g="",
    )
    assert others(extract(packagelock.EXTRACTOR, "package-lock.json", text)) == {
        "b": "vcs_url=git%2Bssh://github.com/x/b.git%40abc",
        "c": "download_url=https://example.com/c-1.0.0.tgz",
        "d": "download_url=file:d-1.0.0.tgz",
        "e": "repository_url=https://npm.corp.example",
        "f": "vcs_url=git%2Bhttps://github.com/x/f%40abc",
    }


def test_a_registry_that_gives_all_packages_is_a_mirror(extract: Callable[..., Extraction]) -> None:
    text = locked(a=f"{OWN}/a/-/a-1.0.0.tgz", b=f"{OWN}/b/-/b-1.0.0.tgz")
    assert not others(extract(packagelock.EXTRACTOR, "package-lock.json", text))


def test_a_registry_that_gives_what_public_packages_need_is_a_mirror(
    extract: Callable[..., Extraction],
) -> None:
    data = json.loads(locked(a=f"{NPM}/a/-/a-1.0.0.tgz", b=f"{OWN}/b/-/b-1.0.0.tgz"))
    data["packages"]["node_modules/a"]["dependencies"] = {"b": "^1"}
    found = extract(packagelock.EXTRACTOR, "package-lock.json", json.dumps(data))
    assert not others(found)


def test_a_lock_file_of_version_1_gives_the_same_origins(
    extract: Callable[..., Extraction],
) -> None:
    entries = {
        "a": {"version": "1.0.0", "resolved": f"{NPM}/a/-/a-1.0.0.tgz"},
        "b": {"version": "git+https://github.com/x/b.git#abc", "from": "b@github:x/b"},
        "c": {"version": "https://example.com/c-1.0.0.tgz"},
        "d": {"version": "file:lib/d-2.0.0.tgz"},
        "e": {"version": "file:lib/e"},
    }
    found = extract(
        packagelock.EXTRACTOR, "package-lock.json", json.dumps({"dependencies": entries})
    )
    assert {(p.name, p.version) for p in found.packages} == {
        ("a", "1.0.0"), ("b", "abc"), ("c", "1.0.0"), ("d", "2.0.0"),
    }  # fmt: skip
    assert others(found).keys() == {"b", "c", "d"}


YARN = f"""
# yarn lockfile v1
a@^1:
  version "1.0.0"
  resolved "{NPM}/a/-/a-1.0.0.tgz#aa"
alias@npm:real:
  version "2.0.0"
  resolved "{NPM}/real/-/real-2.0.0.tgz#aa"
"b@git+https://github.com/x/b.git":
  version "1.0.0"
  resolved "git+https://github.com/x/b.git#abc"
"c@file:./c-1.0.0.tgz":
  version "1.0.0"
  resolved "file:./c-1.0.0.tgz#aa"
"d@file:./d":
  version "1.0.0"
"e@^1":
  version "1.0.0"
  resolved "{OWN}/e/-/e-1.0.0.tgz#aa"
"""
BERRY = """
__metadata:
  version: 8
"a@npm:^1":
  version: 1.0.0
  resolution: "a@npm:1.0.0"
"alias@npm:real@^2":
  version: 2.0.0
  resolution: "real@npm:2.0.0"
"b@https://github.com/x/b.git":
  version: 1.0.0
  resolution: "b@https://github.com/x/b.git#commit=abc"
"c@file:./c-1.0.0.tgz::locator=r%40workspace%3A.":
  version: 1.0.0
  resolution: "c@file:./c-1.0.0.tgz#./c-1.0.0.tgz::hash=aa&locator=r%40workspace%3A."
"d@portal:./d::locator=r%40workspace%3A.":
  version: 0.0.0-use.local
  resolution: "d@portal:./d::locator=r%40workspace%3A."
"p@patch:p@npm%3A1.0.0#~/p.patch":
  version: 1.0.0
  resolution: "p@patch:p@npm%3A1.0.0#~/p.patch::version=1.0.0&hash=aa"
"""


@pytest.mark.parametrize(
    ("text", "names", "foreign"),
    [
        (YARN, {"a", "real", "b", "c", "e"}, {"b", "c", "e"}),
        (BERRY, {"a", "real", "b", "c", "p"}, {"b", "c"}),
    ],
)
def test_yarn_records_the_origin_of_packages(
    extract: Callable[..., Extraction], text: str, names: set[str], foreign: set[str]
) -> None:
    found = extract(yarnlock.EXTRACTOR, "yarn.lock", text)
    assert {package.name for package in found.packages} == names
    assert others(found).keys() == foreign


PNPM = """
lockfileVersion: '9.0'
packages:
  a@1.0.0:
    resolution: {integrity: sha512-aa}
  b@https://codeload.github.com/x/b/tar.gz/abc:
    resolution: {tarball: https://codeload.github.com/x/b/tar.gz/abc}
    version: 1.0.0
  c@https://example.com/c.tgz:
    resolution: {tarball: https://example.com/c.tgz}
    version: 1.0.0
  d@file:d:
    resolution: {directory: d, type: directory}
  e@git+https://git.example.com/e.git#abc:
    resolution: {commit: abc, repo: https://git.example.com/e.git, type: git}
    version: 1.0.0
"""


def test_pnpm_records_the_origin_of_packages(extract: Callable[..., Extraction]) -> None:
    found = extract(pnpmlock.EXTRACTOR, "pnpm-lock.yaml", PNPM)
    assert {package.name for package in found.packages} == {"a", "b", "c", "e"}
    assert others(found).keys() == {"b", "c", "e"}


def test_bun_records_the_origin_of_packages(extract: Callable[..., Extraction]) -> None:
    packages = {
        "a": ["a@1.0.0", "", {}, "sha512-aa"],
        "b": ["b@github:x/b#abc", {}, "x-b-abc"],
        "c": ["c@https://example.com/c-1.0.0.tgz", {}],
        "d": ["d@workspace:d"],
        "e": ["e@1.0.0", f"{OWN}/e/-/e-1.0.0.tgz", {}, "sha512-aa"],
    }
    found = extract(bunlock.EXTRACTOR, "bun.lock", json.dumps({"packages": packages}))
    assert {package.name for package in found.packages} == {"a", "b", "c", "e"}
    assert others(found).keys() == {"b", "c", "e"}


def test_an_installed_package_has_the_address_that_old_npm_wrote(
    extract: Callable[..., Extraction],
) -> None:
    manifest = {"name": "b", "version": "1.0.0", "_resolved": "git://github.com/x/b.git#abc"}
    path = "node_modules/b/package.json"
    assert others(extract(nodemodules.EXTRACTOR, path, json.dumps(manifest))).keys() == {"b"}
    manifest["_resolved"] = f"{NPM}/b/-/b-1.0.0.tgz"
    assert not others(extract(nodemodules.EXTRACTOR, path, json.dumps(manifest)))


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


METADATA = "Metadata-Version: 2.1\nName: tool\nVersion: 1.0\n"


@pytest.mark.parametrize(
    ("record", "installer", "foreign"),
    [
        ({"url": "https://github.com/x/t.git", "vcs_info": {"vcs": "git", "commit_id": "a"}}, "pip",
         True),
        ({"url": "file:///srv/t", "dir_info": {"editable": True}}, "pip", True),
        ({"url": "file:///srv/t", "dir_info": {}}, "pip", True),
        ({"url": "file:///home/conda/feedstock_root/work", "dir_info": {}}, "conda", False),
        ({"url": "file:///wheels/tool-1.0-py3-none-any.whl", "archive_info": {}}, "pip", False),
        ({"url": "https://example.com/tool-1.0.tar.gz", "archive_info": {}}, "pip", True),
        ({"url": "https://{org.pythonhosted.files}/t/tool-1.0.tar.gz", "archive_info": {}}, "pip",
         False),
        ([], "pip", False),
    ],
)  # fmt: skip
def test_an_installed_distribution_has_its_direct_url(
    extract: Callable[..., Extraction], record: object, installer: str, foreign: bool
) -> None:
    siblings = {
        "direct_url.json": json.dumps(record).encode(),
        "INSTALLER": f"{installer}\n".encode(),
    }
    path = "lib/tool-1.0.dist-info/METADATA"
    assert bool(others(extract(distinfo.EXTRACTOR, path, METADATA, siblings))) == foreign


POETRY = """
[[package]]
name = "a"
version = "1.0"
[[package]]
name = "b"
version = "1.0"
[package.source]
type = "git"
url = "https://github.com/x/b.git"
resolved_reference = "abc"
[[package]]
name = "c"
version = "1.0"
[package.source]
type = "legacy"
url = "https://pypi.corp.example/simple"
[[package]]
name = "torch"
version = "2.0+cpu"
[package.source]
type = "legacy"
url = "https://{org.pytorch.download}/whl/cpu"
"""
UV = """
[[package]]
name = "a"
version = "1.0"
source = { registry = "https://{org.pypi}/simple" }
[[package]]
name = "b"
version = "1.0"
source = { git = "https://github.com/x/b?rev=abc#abc" }
[[package]]
name = "c"
version = "1.0"
source = { registry = "https://pypi.corp.example/simple" }
[[package]]
name = "d"
version = "1.0"
source = { path = "d-1.0-py3-none-any.whl" }
"""
PDM = """
[[package]]
name = "a"
version = "1.0"
[[package]]
name = "b"
version = "1.0"
git = "https://github.com/x/b.git"
revision = "abc"
[[package]]
name = "c"
version = "1.0"
url = "https://example.com/c-1.0.tar.gz"
"""
PYLOCK = """
lock-version = "1.0"
[[packages]]
name = "a"
version = "1.0"
index = "https://{org.pypi}/simple"
[[packages]]
name = "b"
version = "1.0"
vcs = { type = "git", url = "https://github.com/x/b", commit-id = "abc" }
[[packages]]
name = "c"
version = "1.0"
archive = { url = "https://example.com/c-1.0.tar.gz" }
"""
PIPFILE = json.dumps(
    {
        "_meta": {
            "sources": [
                {"name": "pypi", "url": "https://{org.pypi}/simple"},
                {"name": "corp", "url": "https://pypi.corp.example/simple"},
            ]
        },
        "default": {
            "a": {"version": "==1.0", "index": "pypi"},
            "b": {"version": "==1.0", "index": "corp"},
            "c": {"version": "==1.0"},
        },
    }
)


@pytest.mark.parametrize(
    ("extractor", "path", "text", "foreign"),
    [
        (poetrylock.EXTRACTOR, "poetry.lock", POETRY, {"b", "c"}),
        (uvlock.EXTRACTOR, "uv.lock", UV, {"b", "c", "d"}),
        (pdmlock.EXTRACTOR, "pdm.lock", PDM, {"b", "c"}),
        (pylock.EXTRACTOR, "pylock.toml", PYLOCK, {"b", "c"}),
        (pipfilelock.EXTRACTOR, "Pipfile.lock", PIPFILE, {"b"}),
    ],
)
def test_python_lock_files_record_the_origin_of_packages(
    extract: Callable[..., Extraction],
    extractor: GeneratorExtractor,
    path: str,
    text: str,
    foreign: set[str],
) -> None:
    assert others(extract(extractor, path, text)).keys() == foreign


def test_requirements_have_pins_among_specifiers_and_archives(
    extract: Callable[..., Extraction],
) -> None:
    text = (
        "a>=1.0,==1.2.3\nb ~= 1.0 , != 1.1, === 1.0.5 ; python_version > '3'\nc==1.*,==1.5\n"
        "d>=1.0,<2\ne==2.*\n"
        "f @ https://example.com/f-3.0-py3-none-any.whl\n"
        "g @ https://{org.pythonhosted.files}/x/g-4.0.tar.gz\n"
        "h @ git+https://github.com/x/h.git@v1.0\n"
    )
    found = extract(requirements.EXTRACTOR, "requirements.txt", text)
    assert {(p.name, p.version) for p in found.packages} == {
        ("a", "1.2.3"), ("b", "1.0.5"), ("c", "1.5"), ("f", "3.0"), ("g", "4.0"),
    }  # fmt: skip
    assert others(found).keys() == {"f"}


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
