"""deploy/Dockerfile built without an engine, twice, on a Debian of mmdebstrap's; run and scanned.

The base is the one difference to what users build: `BASE` is a build argument, and Docker Hub's
image cannot be had everywhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.advisories import build
from tests.fixtures.own_packages import DEBIAN_FEED, PYPI_FEEDS, vulnerable_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.images,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.geteuid() != 0, reason="buildah's chroot isolation is run as root"),
]

ROOT = Path(__file__).parents[2]
# A Debian whose own Python is of the version that the Dockerfile's base has.
SUITE = "trixie"
PACKAGES = "python3,python3-venv,python-is-python3,ca-certificates"
BASE = "localhost/base"
EPOCH = "1700000000"
USER = "10001"
# What the Dockerfile copies, by .dockerignore.
INPUTS = (
    "pyproject.toml", "README.md", "LICENSE", ".dockerignore", "deploy/Dockerfile",
    "deploy/requirements.lock", "deploy/build-requirements.lock", "sidelight", "workers",
    "dispatcher",
)  # fmt: skip
# What lies in a checkout that is worked in.
JUNK = ("deploy/.env", "sidelight/__pycache__/scan.cpython-313.pyc", "sidelight.db", "disk.img")


def completed(*command: str | Path, may_fail: bool = False) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert may_fail or done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done


@dataclass(frozen=True)
class Built:
    """The image: the layouts of two builds, and the first one's root, mounted."""

    layouts: tuple[Path, Path]
    root: Path

    def configuration(self) -> dict[str, Any]:
        layout = self.layouts[0]
        manifest = self._blob(json.loads((layout / "index.json").read_text())["manifests"][0])
        return self._blob(manifest["config"])

    def run(self, *command: str, may_fail: bool = False) -> subprocess.CompletedProcess[str]:
        """Run as the image's user on a read-only root, with no more than /tmp, /proc and /dev."""
        script = (
            'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"'
            ' && mount -t tmpfs -o mode=1777 tmp "$1/tmp" && mount -t proc proc "$1/proc"'
            ' && mount --rbind /dev "$1/dev"'
            f' && root="$1" && shift && exec chroot --userspec={USER}:{USER} "$root" env -i'
            f' {" ".join(self.configuration()["config"]["Env"])} "$@"'
        )
        return completed(
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh",
            self.root, *command, may_fail=may_fail,
        )  # fmt: skip

    def _blob(self, descriptor: dict[str, str]) -> dict[str, Any]:
        algorithm, _, name = descriptor["digest"].partition(":")
        blob: dict[str, Any] = json.loads(
            (self.layouts[0] / "blobs" / algorithm / name).read_text()
        )
        return blob


def context(folder: Path, umask: int, then: int) -> Path:
    """A checkout as somebody has it: the files' modes and times are not everybody's."""
    for name in INPUTS:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for name in JUNK:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"secret of {then}")
    for path in sorted(folder.rglob("*"), reverse=True):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        os.utime(path, (then, then))
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    for program in ("buildah", "mmdebstrap"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is absent: apt-get install {program}")
    home = tmp_path_factory.mktemp("image")
    buildah = ("buildah", "--storage-driver", "vfs", "--root", f"{home}/root",
               "--runroot", f"{home}/run")  # fmt: skip
    probe = completed(*buildah, "from", "scratch", may_fail=True)
    if probe.returncode:
        pytest.skip(f"buildah cannot run here: {probe.stderr.strip()[-300:]}")
    base = home / "base.tar"
    if "IMAGE_BASE" in os.environ:
        shutil.copy(os.environ["IMAGE_BASE"], base)  # that was built before
    else:
        bootstrap = completed(
            "mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, base, may_fail=True
        )
        if bootstrap.returncode:
            pytest.skip(f"no Debian to build on: {bootstrap.stderr.strip()[-300:]}")
    (home / "Base").write_text("FROM scratch\nADD base.tar /\n")
    build_image = (*buildah, "bud", "--isolation", "chroot", "--pull-never")
    try:
        laid = completed(*build_image, "-f", f"{home}/Base", "-t", BASE, home, may_fail=True)
        if "remount /" in laid.stderr:
            pytest.skip("buildah lays no layer where / is not a mount, as in a bare chroot")
        assert laid.returncode == 0, laid.stderr[-4000:]
        base.unlink()
        layouts = []
        checkouts = [
            context(home / f"checkout-{number}", umask, then)
            for number, (umask, then) in enumerate([(0o022, 1_600_000_000), (0o077, 1_650_000_000)])
        ]
        for number, folder in enumerate(checkouts):
            completed(
                *build_image, "--network", "host", "-v", "/etc/ssl/certs:/etc/ssl/certs:ro",
                "--build-arg", f"BASE={BASE}", "--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}",
                "--timestamp", EPOCH, "-f", folder / "deploy/Dockerfile", "-t", f"image-{number}",
                folder,
            )  # fmt: skip
            layout = home / f"layout-{number}"
            completed(*buildah, "push", "-q", f"localhost/image-{number}", f"oci:{layout}:latest")
            layouts.append(layout)
        container = completed(*buildah, "from", "--pull-never", "localhost/image-0").stdout.strip()
        root = Path(completed(*buildah, "mount", container).stdout.strip())
        yield Built((layouts[0], layouts[1]), root)
    finally:
        completed(*buildah, "rm", "--all", may_fail=True)
        completed(*buildah, "rmi", "--all", "--force", may_fail=True)


def test_two_builds_have_one_digest(image: Built) -> None:
    first, second = ((layout / "index.json").read_bytes() for layout in image.layouts)
    names = [
        {path.name for path in (layout / "blobs" / "sha256").iterdir()} for layout in image.layouts
    ]
    assert names[0] == names[1]
    assert first == second


def test_the_image_runs_as_an_ordinary_user_with_the_commands_entry_point(image: Built) -> None:
    configuration = image.configuration()["config"]
    assert configuration["User"] == f"{USER}:{USER}"
    assert configuration["Entrypoint"] == ["sidelight"]
    assert configuration["Volumes"].keys() == {"/tmp"}  # noqa: S108 - the image's
    assert not any("secret" in text.lower() for text in configuration["Env"])


def test_the_commands_of_every_process_run_on_a_read_only_root(image: Built) -> None:
    assert image.run("id", "-u").stdout.strip() == USER
    assert "version" in image.run("sidelight", "--version").stdout
    for kind in ("waiting", "computing"):
        printed = image.run("sidelight", "fleet", "worker", kind, "--print").stdout
        assert "workers.celery_main worker" in printed
    assert (
        "monitoring" in image.run("celery", "-A", "workers.monitoring", "flower", "--help").stdout
    )
    assert "--health" in image.run("sidelight", "fleet", "run", "--help").stdout
    assert "--host" in image.run("sidelight", "serve", "--help").stdout
    image.run("python", "-c", "import psycopg, prometheus_client")
    make = "from sidelight.store import Store; Store('sqlite:////tmp/a.db').migrate()"
    image.run("python", "-c", make)


def test_modules_are_not_compiled_at_each_start(image: Built) -> None:
    """Nothing can be written beside them, so each start would compile all again."""
    done = image.run("python", "-v", "-c", "import dispatcher.cli, sqlalchemy, celery")
    read = [line for line in done.stderr.splitlines() if "code object from" in line]
    own = [line for line in read if "/opt/sidelight/" in line]
    assert len(own) > 50
    assert [line for line in own if ".pyc" not in line] == []


def test_the_image_has_neither_sources_nor_installers_nor_what_lies_in_a_checkout(
    image: Built,
) -> None:
    look = (
        "command -v pip; ls -d /src /wheel /opt/build; touch /opt/sidelight/x && echo written;"
        " find / -xdev -perm -2 -type f -not -path '/proc/*'"
    )
    assert image.run("sh", "-c", f"({look}) 2>/dev/null; true").stdout == ""
    wanted = {Path(name).name for name in JUNK} - {"scan.cpython-313.pyc"}
    assert {name for _, _, names in os.walk(image.root) for name in names} & wanted == set()
    compiled = image.root.rglob("sidelight/**/scan.cpython-313.pyc")
    assert all(not path.read_bytes().startswith(b"secret") for path in compiled)


@pytest.fixture(scope="module")
def disk(image: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disk") / "root.img"
    completed("mkfs.ext4", "-q", "-d", image.root, path, "2G")
    return path


def test_our_scanner_lists_the_image_as_dpkg_and_importlib_do(
    image: Built, disk: Path, scanned: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    bill = json.loads(scanned("inventory", str(disk), "--format", "cyclonedx-json").stdout)
    purls = {
        (component["purl"].split("/")[0].removeprefix("pkg:"), component["name"],
         component["version"])
        for component in bill["components"]
        if "purl" in component
    }  # fmt: skip
    query = image.run("dpkg-query", "-W", "-f", "deb ${Package} ${Version}\n").stdout
    names = (
        "from importlib import metadata as m\n"
        "for d in m.distributions(path=[p for p in __import__('sys').path if 'opt' in p]):"
        " print('pypi', d.metadata['Name'].lower().replace('_', '-').replace('.', '-'), d.version)"
    )
    query += image.run("python", "-c", names).stdout
    expected = {tuple(line.split()) for line in query.splitlines()}
    assert len(expected) > 120
    assert expected - purls == set()
    assert {one for one in purls if one[0] == "deb"} == {one for one in expected if one[0] == "deb"}


@pytest.mark.conformance
def test_the_image_has_no_known_high_or_critical_that_an_update_fixes(
    image: Built,
    disk: Path,
    shared_data: Path,
    tmp_path: Path,
    scanned: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    feeds = [shared_data / "advisories" / "osv" / name for name in (*PYPI_FEEDS, DEBIAN_FEED)]
    advisories = tmp_path / "advisories.db"
    build(feeds, advisories)
    gate = ("--advisories", str(advisories), "--fail-on", "high", "--ignore-unfixed")
    done = scanned("scan", str(disk), *gate, may_fail=True)
    assert done.returncode == 0, done.stdout
    # The gate can fail: with an old package in the same place it does.
    site = next(image.root.glob("opt/sidelight/lib/python3.*/site-packages"))
    folder = vulnerable_metadata(site)
    try:
        completed("mkfs.ext4", "-q", "-F", "-d", image.root, disk, "2G")
    finally:
        shutil.rmtree(folder)
    assert scanned("scan", str(disk), *gate, may_fail=True).returncode == 1


@pytest.fixture(scope="module")
def scanned() -> Callable[..., subprocess.CompletedProcess[str]]:
    def call(*arguments: str, may_fail: bool = False) -> subprocess.CompletedProcess[str]:
        return completed(sys.executable, "-m", "dispatcher.cli", *arguments, may_fail=may_fail)

    return call
