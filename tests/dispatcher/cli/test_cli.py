"""The command line's contract: outputs, exit statuses, one-line errors, no traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.images


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-m", "dispatcher.cli", *map(str, arguments)],
        env={**clean, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's Alpine machine: ext4 without a partition table."""
    return _image(tmp_path_factory.mktemp("edge"), "edge-1")


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's Debian machine: ext4 in a GPT."""
    return _image(tmp_path_factory.mktemp("web"), "web-1")


def _image(directory: Path, name: str) -> Path:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'demo'); import build; "
        f"[build.build(r, Path({str(directory)!r})) for r in build.RECIPES if r.name == {name!r}]"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "is needed" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return directory / f"{name}.img"


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("advisories") / "advisories.db"
    done = run("advisories", "build", "--out", path, ROOT / "demo" / "advisories")
    assert done.returncode == 0, done.stderr
    return path


def test_a_cage_gives_the_same_document(web: Path) -> None:
    found = [run("inventory", web, "--format", "json", SIDELIGHT_CAGE=cage) for cage in ("0", "1")]
    assert found[0].stdout == found[1].stdout
    assert (found[0].stderr, found[1].stderr) == ("", "")
    assert json.loads(found[0].stdout)["packages"]


def test_a_reader_that_was_stopped_is_a_problem_and_no_clean_machine(edge: Path) -> None:
    done = run("inventory", edge, "--format", "json", SIDELIGHT_STAGE_SECONDS="0.001")
    assert done.returncode == 4
    document = json.loads(done.stdout)
    assert document["status"] == "failed"
    assert "took more than 0.001 s" in document["problems"][0]["what"]


def test_inventory_as_json_has_the_contract_s_shape(edge: Path, tmp_path: Path) -> None:
    out, stats = tmp_path / "out.json", tmp_path / "stats.json"
    done = run("inventory", edge, "--format", "json", "--output", out, "--stats", stats)
    assert (done.returncode, done.stdout) == (0, "")
    document = json.loads(out.read_text())
    assert set(document) == {"status", "os", "packages", "problems", "filesystems"}
    assert document["status"] == "complete"
    assert document["os"] == {
        "id": "alpine", "version_id": "3.18.0", "pretty_name": "Alpine Linux v3.18",
    }  # fmt: skip
    assert document["problems"] == []
    assert [(f["type"], f["mount"], f["journal"]) for f in document["filesystems"]] == [
        ("ext4", "/", "clean")
    ]
    musl = next(package for package in document["packages"] if package["name"] == "musl")
    assert {"purl", "name", "version", "type", "path"} <= set(musl)
    assert musl["path"] == "/lib/apk/db/installed"
    assert musl["purl"].startswith("pkg:apk/alpine/musl@1.2.4-r0?")
    assert set(json.loads(stats.read_text())) == {
        "get_calls", "list_calls", "distinct_blocks", "bytes", "seconds", "cpu_seconds", "usd",
    }  # fmt: skip


def test_scan_finds_and_fail_on_decides_the_status(web: Path, database: Path) -> None:
    done = run("scan", web, "--advisories", database, "--format", "json")
    assert done.returncode == 0, done.stderr
    found = {
        (item["vulnerability"], item["package"]["name"], item["fixed_version"])
        for item in json.loads(done.stdout)["findings"]
    }
    assert ("CVE-2021-44906", "minimist", "1.2.6") in found
    for level, status in (("critical", 1), ("high", 1), ("untriaged", 1)):
        assert run("scan", web, "--advisories", database, "--fail-on", level).returncode == status


def test_a_package_without_advisories_makes_the_scan_partial(edge: Path, database: Path) -> None:
    done = run("scan", edge, "--advisories", database)
    assert done.returncode == 3
    assert "Alpine" in done.stdout
    assert "no advisories" in done.stdout


def test_a_system_that_gets_no_updates_any_more_is_reported(edge: Path, database: Path) -> None:
    done = run("scan", edge, "--advisories", database, "--format", "json")
    (ended,) = (
        item for item in json.loads(done.stdout)["findings"] if item["package"]["type"] == "os"
    )
    assert ended["vulnerability"] == "END-OF-LIFE-alpine-3.18.0"
    assert ended["severity"] == "CRITICAL"


def test_ls_cat_and_tree_show_what_is_on_the_disk(edge: Path) -> None:
    assert run("ls", edge, "/lib/apk/db").stdout == "installed\n"
    long = run("ls", "-l", edge, "/etc/os-release").stdout
    assert long.startswith("-rw-r--r--")
    assert long.rstrip().endswith("os-release")
    assert run("cat", edge, "/etc/os-release").stdout.startswith('NAME="Alpine Linux"\n')
    paths = run("tree", edge, "/opt/agent").stdout.split("\n")
    assert "/opt/agent/node_modules/ws/package.json" in paths
    assert "/etc/" not in paths


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("inventory", "/nonexistent.img"), 4, "/nonexistent.img: No such file or directory"),
        (("inventory", "/"), 4, "/: is a directory"),
        (("inventory",), 2, "Missing argument"),
        (("inventory", "ebs:vol-1"), 2, "write ebs:snap-"),
        (("inventory", "ebs:snap-1"), 2, "no AWS region"),
        (("scan", "/nonexistent.img", "--advisories", "/nonexistent.db"), 4, "/nonexistent.db"),
        (("nonsense",), 2, "No such command"),
        (("fleet", "tidy"), 2, "No such command 'tidy'. Did you mean 'prune'?"),
    ],
)
def test_what_cannot_be_is_one_line_and_a_status(
    arguments: Sequence[str], status: int, message: str
) -> None:
    done = run(*arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert done.stdout == ""


def test_missing_credentials_are_one_line(tmp_path: Path) -> None:
    done = run(
        "inventory", "ebs:snap-1",
        AWS_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true", HOME=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.startswith("sidelight: snap-1: no AWS credentials")
    assert done.stderr.count("\n") == 1


def test_random_bytes_are_a_failure_with_a_problem(tmp_path: Path) -> None:
    image = tmp_path / "random.img"
    image.write_bytes(os.urandom(1 << 20))
    done = run("inventory", image, "--format", "json")
    assert done.returncode == 4
    document = json.loads(done.stdout)
    assert document["status"] == "failed"
    assert document["problems"][0]["where"] == str(image)
    assert document["packages"] == []


def test_an_empty_file_is_a_failure_with_a_problem(tmp_path: Path) -> None:
    image = tmp_path / "empty.img"
    image.touch()
    done = run("inventory", image, "--format", "json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["problems"]


@pytest.mark.parametrize("share", [0.9, 0.5, 0.05])
def test_a_truncated_image_is_never_complete(web: Path, tmp_path: Path, share: float) -> None:
    image = tmp_path / "cut.img"
    image.write_bytes(web.read_bytes()[: int(web.stat().st_size * share)])
    done = run("inventory", image, "--format", "json")
    document = json.loads(done.stdout)
    assert done.returncode in {3, 4}
    assert document["status"] == {3: "partial", 4: "failed"}[done.returncode]
    assert document["problems"]


@pytest.mark.parametrize(
    ("name", "offset", "magic"),
    [("LUKS", 0, b"LUKS\xba\xbe\x00\x02"), ("btrfs", 0x10040, b"_BHRfS_M")],
)
def test_an_unsupported_filesystem_is_named_and_never_clean(
    tmp_path: Path, name: str, offset: int, magic: bytes
) -> None:
    image = tmp_path / "other.img"
    data = bytearray(4 << 20)
    data[offset : offset + len(magic)] = magic
    image.write_bytes(data)
    done = run("inventory", image, "--format", "json")
    assert done.returncode == 4
    document = json.loads(done.stdout)
    assert document["status"] == "failed"
    assert name.lower() in json.dumps(document["problems"]).lower()


def test_an_output_that_cannot_be_written_is_wrong_usage(edge: Path) -> None:
    done = run("inventory", edge, "--output", "/nonexistent/out.json")
    assert done.returncode == 2
    assert "/nonexistent/out.json" in done.stderr


def test_a_broken_database_is_an_error(edge: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"not a database")
    done = run("scan", edge, "--advisories", broken)
    assert done.returncode == 4
    assert str(broken) in done.stderr


def test_containers_are_read_where_asked_for_and_labelled(tmp_path: Path) -> None:
    if shutil.which("mke2fs") is None:
        pytest.skip("needs mke2fs")
    tree = tmp_path / "tree"
    layer = tree / "var/lib/docker/overlay2/abc/diff"
    for top, identity, database, text in (
        (
            tree,
            "debian",
            "var/lib/dpkg/status",
            "Package: bash\nStatus: x ok installed\nVersion: 5\n",
        ),
        (layer, "alpine", "lib/apk/db/installed", "P:musl\nV:1.2.5-r0\nA:x86_64\n"),
    ):
        for path in ("etc/os-release", database):
            (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / "etc/os-release").write_text(f"ID={identity}\nVERSION_ID=3\n")
        (top / database).write_text(text)
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", str(tree), str(image)], check=True)
    found = {}
    for options in ((), ("--containers",)):
        done = run("inventory", image, "--format", "json", *options)
        assert done.returncode == 0, done.stdout
        packages = json.loads(done.stdout)["packages"]
        found[options] = {item["name"]: item.get("layer", "") for item in packages}
    assert found[()] == {"bash": ""}
    assert found["--containers",] == {"bash": "", "musl": "docker"}
