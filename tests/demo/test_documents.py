"""The documents' commands beside a demo that is held, pasted as they are.

README, the tutorial and docs/first-account.md have tests of their own (PASTED_ELSEWHERE).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.report.sbom.format_names import SBOM_FORMATS
from tests.fixtures.demos import Demo
from tests.fixtures.published_schemas import FAULTS, bill_faults
from tests.fixtures.publishers import osv_zip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.publisher import Publisher

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
)
BLOCK = re.compile(r"^```(?:sh)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ )?sidelight [a-z]", re.MULTILINE)
PASTED_ELSEWHERE = {
    "README.md": "tests/dispatcher/cli/test_readme.py",
    "docs/first-account.md": "tests/dispatcher/cli/test_first_account.py",
    "docs/tutorial.md": "tests/demo/test_demonstration.py",
    "docs/inspector.md": "tests/dispatcher/cli/test_inspector_compare.py and tests/docs",
    "docs/probe.md": "tests/aws/probe/test_probe.py",
    "docs/deployment.md": "tests/deploy/test_image.py",
}
# A page's lines that reach for something that is not there, and what is done in place of each.
INSTEAD = {
    "docs/advisories.md": {
        "aws s3 cp sidelight.bundle s3://advisories/": "mv sidelight.bundle shared.bundle #",
        "sidelight advisories update --from s3://advisories/sidelight.bundle":
            "sidelight advisories update --advisories taken.db --from shared.bundle",
    },
    "docs/api.md": {
        "sidelight serve &": "true  # the demo's",
        "export AWS_ACCESS_KEY_ID=SLKA… AWS_SECRET_ACCESS_KEY=…": "true",
        "http://127.0.0.1:8417": "$SIDELIGHT_CONSOLE_URL",
    },
    "docs/events.md": {"aws securityhub batch-import-findings --cli-input-json": "echo"},
    "docs/webhooks.md": {"webhook:https://hooks.example.com/sidelight": "stdout"},
}  # fmt: skip
PLACEHOLDERS = {"111122223333": "123456789012", "111111111111": "123456789012"}
SYNOPSES = {"docs/console.md"}  # of every option: tests/dispatcher/console has the commands


def blocks(page: Path) -> list[str]:
    return [block for block in BLOCK.findall(page.read_text()) if COMMAND.search(block)]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


PASTED = [
    page for page in PAGES
    if blocks(page) and name_of(page) not in PASTED_ELSEWHERE.keys() | SYNOPSES
]  # fmt: skip


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A directory with the files that the documents name, and an instance of the demo."""
    directory = tmp_path_factory.mktemp("desk")
    demo = Demo(directory / ".demo", "--hold")
    try:
        demo.read_until("Everything runs until Ctrl-C")
        (directory / "disk.img").symlink_to(directory / ".demo" / "disks" / "web-1.img")
        (directory / "ignore.toml").write_text(
            "[[ignore]]\nvulnerability = 'CVE-2026-1'\nreason = 'not used'\n"
        )
        (directory / "report.html.j2").write_text("{% for m in machines %}{{ m.name }}{% endfor %}")
        for form, file in (("openvex", "vendor.openvex.json"), ("cyclonedx-vex", "own.cdx.json")):
            paste(f"sidelight scan disk.img --format {form} --output {file}", directory)
        rows = json.loads(paste("sidelight fleet coverage --format json", directory))
        yield directory, rows[0]["instance"]
        assert demo.end(signal.SIGINT) == 0
    finally:
        demo.close()


def paste(block: str, directory: Path, **variables: str) -> str:
    """Paste a block into a new shell; its output. Statuses 1 (findings) and 3 are answers."""
    settings = "".join(f"export {name}='{value}'\n" for name, value in variables.items())
    script = f". .demo/env\n{settings}" + "\n".join(
        f"{line}\ncase $? in 0|1|3) ;; *) exit 99;; esac" if line.strip() else line
        for line in block.replace("\\\n", " ").splitlines()
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=directory, text=True, check=False, capture_output=True,
        env={"PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PASTED, ids=name_of)
@pytest.mark.services
@pytest.mark.slow
@pytest.mark.enable_socket
def test_the_commands_of_a_document_work(
    page: Path, desk: tuple[Path, str], publisher: Publisher
) -> None:
    directory, instance = desk
    variables = {}
    if name_of(page) == "docs/advisories.md":
        publisher.publish("/npm/all.zip", osv_zip(1, 2))
        variables = {
            "SIDELIGHT_ADVISORIES": "own.db", "SIDELIGHT_ADVISORY_SOURCES": "osv-npm",
            "SIDELIGHT_MIRRORS": f"osv-npm={publisher.base}",
        }  # fmt: skip
    for block in blocks(page):
        text = block.replace("i-0123456789abcdef0", instance)
        for place, value in (PLACEHOLDERS | INSTEAD.get(name_of(page), {})).items():
            text = text.replace(place, value)
        if "aws " in text and shutil.which("aws") is None:
            text = re.sub(r"^aws .*", "true", text, flags=re.MULTILINE)
        paste(text, directory, **variables)


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.enable_socket
def test_each_format_of_a_whole_fleet_is_valid_by_its_schema(desk: tuple[Path, str]) -> None:
    directory, _instance = desk
    for form, faults in FAULTS.items():
        paste(f"sidelight fleet findings --format {form} --status ALL --output fleet", directory)
        text = (directory / "fleet").read_text()
        assert faults(text) == [], form
        assert "CVE-2024-" in text
    for form in SBOM_FORMATS:
        paste(f"sidelight fleet sbom --format {form} --into boms-{form}", directory)
        bills = [path for path in (directory / f"boms-{form}").rglob("*") if path.is_file()]
        assert len(bills) == 4
        for path in bills:
            assert bill_faults(form, path.read_text()) == [], path


def test_no_document_s_commands_are_left_out() -> None:
    """Each page with a block of commands is pasted here, or in the test that is named."""
    known = {name_of(page) for page in PAGES if blocks(page)}
    assert PASTED_ELSEWHERE.keys() | SYNOPSES <= known
    assert INSTEAD.keys() <= {name_of(page) for page in PASTED}
    for named in PASTED_ELSEWHERE.values():
        for path in named.split(" and "):
            assert (ROOT / path).exists(), path
