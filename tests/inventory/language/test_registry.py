"""The registry as a whole: real manifests, and no damage that leaves but as an error of ours."""

from __future__ import annotations

import importlib.util
import json
import random
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidelight.errors import FormatError
from sidelight.inventory.language import extractors
from sidelight.inventory.language.extractors import LANGUAGE_EXTRACTORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extraction, Extractor

HERE = Path(__file__).parent
BY_NAME = {extractor.name: extractor for extractor in LANGUAGE_EXTRACTORS}
MEMORY_LIMIT = 80 << 20  # bytes that one hostile file, of a megabyte at most, may take


def recipe() -> Any:
    """The program that writes expected.json."""
    spec = importlib.util.spec_from_file_location("recipe", HERE / "expected_of_manifests.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_format_has_a_name_of_its_own_and_wants_something() -> None:
    assert len(BY_NAME) == len(LANGUAGE_EXTRACTORS)
    for extractor in LANGUAGE_EXTRACTORS:
        assert extractor.name.startswith("language/")
        wants = extractor.wants
        assert (
            wants.names
            or wants.suffixes
            or wants.paths
            or wants.executables
            or wants.executable_archives
        )
        assert all(suffix.startswith(".") for suffix in wants.suffixes)
        assert all("/" not in name for name in wants.names)


def test_every_extractor_of_the_package_is_registered() -> None:
    package = Path(extractors.__file__).parent
    written = {
        line.split(":")[0]
        for module in package.glob("*.py")
        for line in module.read_text().splitlines()
        if ": Final = GeneratorExtractor(" in line
        for line in [f"{module.stem}.{line}"]
    }
    source = Path(extractors.__file__).read_text()
    assert written
    assert [name for name in sorted(written) if f"{name}," not in source] == []


@pytest.mark.conformance
def test_real_manifests_give_what_was_checked(manifests: Path) -> None:
    expected = json.loads((HERE / "expected.json").read_text())
    found = recipe().expected(manifests)
    assert sorted(found) == sorted(expected)
    for name, lines in expected.items():
        assert found[name] == lines, name


def path_of(extractor: Extractor) -> str:
    """A path that the extractor wants."""
    wants = extractor.wants
    bases = [*wants.names, *wants.paths, *("x-1.0" + suffix for suffix in wants.suffixes), "app"]
    folders = ["", "a-1.dist-info/", "node_modules/a/", "conda-meta/", "specifications/"]
    folders += ["composer/", "include/node/", "wp-includes/", "go/", "wp-content/plugins/a/"]
    folders += ["wp-content/themes/a/", "library/a/", "ebin/", ".opam-switch/packages/a.1/"]
    folders += [
        ".registry/",
        "package.db/",
        ".julia/packages/A/abcde/",
        "auto/A/",
        "lib/luarocks/rocks-5.4/a/1.0-1/",
        "META-INF/maven/g/a/",
    ]
    more = ("Manifest.toml", "libs.versions.toml", "environment.yml", "conda-lock.yml")
    for base in (
        *bases,
        "requirements.txt",
        "pylock.toml",
        "a.deps.json",
        "gradle.lockfile",
        *more,
    ):
        for folder in folders:
            if wants.confirm is None or wants.confirm(folder + base):
                return folder + base
    raise AssertionError(extractor.name)


def samples() -> dict[str, list[bytes]]:
    """Small real files by extractor: the fixtures, and texts that reach every branch."""
    found: dict[str, list[bytes]] = {name: [b"", b"{}", b"[]", b"\0" * 64] for name in BY_NAME}
    for folder, name in {
        "npm1/package-lock.json": "npm-lock",
        "npm3/package-lock.json": "npm-lock",
        "yarn1/yarn.lock": "yarn-lock",
        "yarn4/yarn.lock": "yarn-lock",
        "pnpm8/pnpm-lock.yaml": "pnpm-lock",
        "pnpm9/pnpm-lock.yaml": "pnpm-lock",
        "bun/bun.lock": "bun-lock",
        "bunb2/bun.lockb": "bun-lockb",
        "bunb3/bun.lockb": "bun-lockb",
        "uv/uv.lock": "python-uv-lock",
        "uv/pylock.toml": "python-pylock",
        "pipenv/Pipfile.lock": "python-pipfile-lock",
    }.items():
        found[f"language/{name}"].append((HERE / "fixtures" / folder).read_bytes())
    return found


SAMPLES = samples()
# Values where another type is in the real file.
WRONG_TYPES = ["null", "1", "1.5", "true", '"x"', "[]", "{}", "[null]", '{"a": null}', "[[1]]"]


def attempt(extract: Callable[..., Extraction], extractor: Extractor, data: bytes) -> None:
    """Packages, Problems or a FormatError: nothing else."""
    try:
        found = extract(extractor, path_of(extractor), data, {"package.json": data})
    except FormatError as error:
        where = error.where
    else:
        where = "/"
        assert all(problem.where for problem in found.problems)
    assert where.startswith("/")


@pytest.mark.parametrize("name", sorted(BY_NAME))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_mutated_files_raise_only_our_errors(
    extract: Callable[..., Extraction], name: str, seed: int
) -> None:
    chance = random.Random(seed)
    data = bytearray(chance.choice(SAMPLES[name]))
    for _ in range(chance.randint(1, 8)):
        at = chance.randint(0, len(data))
        action = chance.randint(0, 3)
        if action == 0 and data:
            data[at % len(data)] = chance.randint(0, 255)
        elif action == 1:
            del data[at : at + chance.randint(1, 40)]
        elif action == 2:
            data[at:at] = chance.randbytes(chance.randint(1, 12))
        else:
            start = chance.randint(0, len(data))
            data[at:at] = data[start : start + chance.randint(1, 200)]
    attempt(extract, BY_NAME[name], bytes(data))


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_values_of_another_type_raise_only_our_errors(
    extract: Callable[..., Extraction], name: str
) -> None:
    for sample in SAMPLES[name]:
        try:
            document = json.loads(sample)
        except ValueError:
            continue
        for wrong in WRONG_TYPES:
            attempt(extract, BY_NAME[name], wrong.encode())
        for path in places(document):
            for wrong in WRONG_TYPES:
                attempt(extract, BY_NAME[name], json.dumps(changed(document, path, wrong)).encode())


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [path, *(found for key, item in items for found in places(item, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], wrong: str) -> Any:
    if not path:
        return json.loads(wrong)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], wrong)
    return copy


HOSTILE = {
    "deep lists": b"[" * 300_000,
    "deep objects": b'{"packages":' * 50_000,
    "many lines": b"\n" * 300_000,
    "one long line": b"a" * 600_000,
    "quotes": b'"' * 300_000,
    "escaped quotes": b'"\\' * 150_000,
    "colons": b"a:" * 150_000,
    "tags": b"<a>" * 120_000,
    "spaces": b" " * 600_000 + b"x",
    "equals": b"a==1\n" * 60_000,
    "dashes": b"- " * 150_000,
    "no text": b"\xff\xfe\xfd" * 100_000,
    "commas": b"[" + b"{}," * 200_000 + b"{}]",
    "yarn": b"# yarn lockfile v1\n" + b'"\\"' * 150_000 + b":\n",
    "berry": b"__metadata:\n" + b"  a: &a [*a]\n" * 10_000,
    "brackets": b"requests" + b"[" * 4000 + b" " * 4000 + b"==1\n",
    "signs": b"# stub: " * 120_000,
    "versions": b"x.version = " * 100_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_files_end_within_bounds(extract: Callable[..., Extraction], kind: str) -> None:
    data = HOSTILE[kind]
    for extractor in LANGUAGE_EXTRACTORS:
        tracemalloc.start()
        attempt(extract, extractor, data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY_LIMIT, extractor.name


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("srv/shop/package-lock.json", True),
        ("srv/shop/node_modules/uri-js/yarn.lock", False),
        ("srv/shop/node_modules/x/package-lock.json", False),
        ("opt/venv/lib/python3.11/site-packages/x/requirements.txt", False),
        ("root/go/pkg/mod/github.com/a/b@v1.0.0/go.mod", False),
        ("root/.cargo/registry/src/index/x-1.0.0/Cargo.lock", False),
        ("usr/lib/ruby/gems/3.1.0/gems/rbs-2.1.0/steep/Gemfile.lock", False),
        ("srv/gems/Gemfile.lock", True),
        ("srv/web/vendor/a/b/composer.lock", False),
        ("srv/vendor/composer.lock", True),
    ],
)
def test_a_lock_file_of_an_installed_package_is_not_read(path: str, read: bool) -> None:
    base = path.rpartition("/")[2]
    found = [
        extractor.name
        for extractor in LANGUAGE_EXTRACTORS
        if base in extractor.wants.names or base.endswith(tuple(extractor.wants.suffixes) or "\0")
        if extractor.wants.confirm is None or extractor.wants.confirm(path)
    ]
    assert bool(found) is read
