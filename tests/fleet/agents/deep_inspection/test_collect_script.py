"""The collector's script, run by real shells and Python: both methods give one answer."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sidelight.fleet.agents.deep_inspection import document
from sidelight.inventory.collected.envelope import open_envelope
from sidelight.inventory.collected.reading import read_collected
from tests.fixtures.collected_trees import (
    PATHS,
    build_machine,
    by_disk,
    comparable,
    go_program,
    jar,
    metadata,
    write,
)
from tests.fixtures.collectors import LIMITS, SHELLS, run_collector

# Each minor version from the oldest on: RHEL 8, Ubuntu 18.04 and SLES 15 have 3.6.
PYTHONS = [f"python3.{minor}" for minor in range(6, 14)]


def run(root: Path, by: str, paths: str = PATHS, limits: tuple[str, ...] = LIMITS) -> bytes:
    return run_collector(root, by, paths, limits)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "machine"
    build_machine(place)
    return place


@pytest.mark.slow
@pytest.mark.parametrize("by", ["python", *SHELLS])
def test_the_collector_gives_the_packages_of_the_disk(root: Path, by: str) -> None:
    on_disk = by_disk(root)

    found = read_collected(run(root, by))

    assert comparable(found.packages) == on_disk
    assert {package.name for package in on_disk} == {
        "left-pad", "rack", "flask", "pyyaml", "django", "numpy", "lodash", "scipy",
        *(f"org.example:{name}" for name in ("agent", "app", "inner", "deep")),
    }  # fmt: skip
    assert any(problem.where == "/opt/my app/damaged.jar" for problem in found.problems)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["python", *SHELLS])
def test_dpkgs_sources_and_removed_packages_come_with_the_files(root: Path, by: str) -> None:
    sources = read_collected(run(root, by)).sources

    assert sources is not None
    known = sources.source_of("python3-requests", "2.28.1+dfsg-1")
    assert known is not None
    assert known.name == "requests"
    assert sources.removed == {("old-library", "0.9-1", "amd64")}


def test_programs_are_evaluated_by_their_sections(root: Path) -> None:
    write(root / "usr/local/lib/tool", go_program(), 0o755)
    on_disk = by_disk(root)

    found = read_collected(run(root, "python"))

    assert comparable(found.packages) == on_disk
    assert {"stdlib", "golang.org/x/net"} <= {package.name for package in on_disk}


@pytest.mark.slow
@pytest.mark.parametrize("by", PYTHONS)
def test_every_python_from_3_6_on_gives_the_same_packages(root: Path, by: str) -> None:
    write(root / "usr/local/lib/tool", go_program(), 0o755)
    on_disk = by_disk(root)

    output = run(root, by)
    found = read_collected(output)

    assert comparable(found.packages) == on_disk
    assert found.about["collector"].startswith(by.replace("python", "python "))
    assert found.problems == read_collected(run(root, "python")).problems


def test_programs_of_a_vendors_package_are_evaluated_too(root: Path) -> None:
    write(root / "opt/my app/agent", go_program(), 0o755)

    found = read_collected(run(root, "python"))

    assert any(package.path == "/opt/my app/agent" for package in found.packages)


@pytest.mark.parametrize("by", ["python", "dash"])
def test_nothing_outside_of_the_paths_is_sent_through_links(root: Path, by: str) -> None:
    secret = root / "srv/secret"
    write(secret / "package.json", '{"name": "secret", "version": "1.0.0"}')
    (root / "usr/lib/node_modules/linked").symlink_to(secret)
    (root / "usr/lib/METADATA").symlink_to(secret / "package.json")
    (root / "opt/way").symlink_to(secret)

    output = run(root, by, f"{PATHS}:/opt/way:/opt/way/below")

    assert b'"secret"' not in b"".join(open_envelope(output).sections.values())
    assert any(item.where == "/opt/way" and "link" in item.what
               for item in read_collected(output).problems)  # fmt: skip


@pytest.mark.parametrize("by", ["python", "dash"])
def test_a_large_file_and_strange_names_do_not_end_the_collection(root: Path, by: str) -> None:
    write(root / "opt/my app/vendor/composer.lock", b" " * (document.FILE_LIMIT + 2))
    for name in ("a\nb", "-rf", "$(touch x)", "ü", "a\\b", os.fsdecode(b"\xff\xfe")):
        write(root / f"usr/lib/{name}.dist-info/METADATA", metadata("strange", "1.0"))
    os.mkfifo(root / "usr/lib/package.json")

    found = read_collected(run(root, by))

    names = {package.name for package in found.packages}
    assert {"strange", "flask", "rack"} <= names
    where = {item.where: item.what for item in found.problems}
    assert "larger than" in where["/opt/my app/vendor/composer.lock"]
    strange = [package for package in found.packages if package.name == "strange"]
    assert len(strange) == (6 if by == "python" else 5)


@pytest.mark.parametrize("by", ["python", "dash"])
def test_a_limit_of_files_is_reported(root: Path, by: str) -> None:
    found = read_collected(run(root, by, PATHS, ("60", "3", "33554432")))

    assert found.limits == {"files"}


def test_a_limit_of_bytes_is_reported(root: Path) -> None:
    found = read_collected(run(root, "python", PATHS, ("60", "1000", "5000")))

    assert found.limits == {"bytes"}


def test_a_limit_of_bytes_cuts_the_shells_files_short(root: Path) -> None:
    found = read_collected(run(root, "dash", PATHS, ("60", "1000", "5120")))

    assert any("cut short" in item.what for item in found.problems)


def test_a_limit_of_time_is_reported(root: Path) -> None:
    found = read_collected(run(root, "python", PATHS, ("0", "1000", "33554432")))

    assert found.limits == {"time"}


@pytest.mark.parametrize("code", [124, 143])
def test_a_search_that_the_shell_ended_is_reported(root: Path, code: int) -> None:
    tools = root.parent / "tools"
    write(tools / "timeout", f"#!/bin/sh\nexit {code}\n", 0o755)
    script = root.parent / "collect.sh"
    script.write_text(document.script())
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "SIDELIGHT_SHELL": "1"}

    done = subprocess.run(["dash", str(script), str(root), PATHS, *LIMITS], capture_output=True,
                          check=True, env=environment)  # fmt: skip

    assert read_collected(done.stdout).limits == {"time"}


def test_a_fat_archive_sends_only_what_is_read_of_it(root: Path) -> None:
    large = {f"C{number}.class": os.urandom(64 << 10) for number in range(40)}
    write(root / "opt/my app/fat.jar", jar("fat", "1.0", large))

    output = run(root, "python")

    assert len(output) < 100_000
    assert any(package.name == "org.example:fat" for package in read_collected(output).packages)


@pytest.mark.parametrize("by", ["python", "dash"])
def test_nothing_is_written_to_the_machine(root: Path, by: str, tmp_path: Path) -> None:
    def state() -> list[tuple[str, float]]:
        return sorted((str(path), path.lstat().st_mtime) for path in root.rglob("*"))

    before = state()
    home = tmp_path / "home"
    home.mkdir()

    run(root, by)

    assert state() == before
    assert list(home.iterdir()) == []


def test_the_script_starts_python_where_it_is_there(root: Path) -> None:
    script = root.parent / "collect.sh"
    script.write_text(document.script())
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    done = subprocess.run(["sh", str(script), str(root), PATHS, *LIMITS], capture_output=True,
                          check=True, env=environment)  # fmt: skip

    assert read_collected(done.stdout).about["collector"].startswith("python 3.")


def test_the_python_part_is_of_python_3_6() -> None:
    tree = ast.parse(document.python_script(), feature_version=(3, 6))

    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    # Of Python 3.7 to 3.12; a name of `str` or `subprocess.run` that 3.6 does not have.
    later = {"removeprefix", "removesuffix", "capture_output", "isascii", "is_relative_to", "prod"}
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    assert not used & later
    assert not arguments & {"capture_output", "text", "strict", "missing_ok", "dirs_exist_ok"}
    assert not any(isinstance(node, ast.NamedExpr) for node in ast.walk(tree))
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import)
               for name in node.names}  # fmt: skip
    assert modules <= {"base64", "fnmatch", "hashlib", "io", "os", "re", "stat", "struct",
                       "subprocess", "sys", "time", "zipfile", "zlib"}  # fmt: skip


def test_the_document_fits_ssm_and_its_parameters_cannot_end_their_quotes() -> None:
    content = json.loads(document.document())

    assert len(document.document()) < document.MAX_DOCUMENT
    commands = content["mainSteps"][0]["inputs"]["runCommand"]
    assert [line for line in commands if "{{" in line] == commands[:1]
    for name, parameter in content["parameters"].items():
        assert f"'{{{{ {name} }}}}'" in commands[0]
        pattern = re.compile(parameter["allowedPattern"])
        assert pattern.match(parameter["default"])
        for hostile in ("'; reboot #", "$(reboot)", "`reboot`", "a\nb", '"', "\\", "{{ x }}", "*"):
            assert not pattern.fullmatch(hostile)
    assert not re.search("@[A-Z_]+@", document.script())


def test_the_output_is_printable_and_its_lines_are_short(root: Path) -> None:
    for line in run(root, "python").split(b"\n"):
        assert len(line) <= 100
        assert line.isascii()
