"""The linters of `make deploy` pass deploy/iam and the templates, and refuse what is wrong."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.iam_policies import DEPLOY

LINTERS = DEPLOY.parent / ".lint" / "bin"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (LINTERS / "python").exists(), reason="the linters are in .lint, by `make deploy`"
    ),
]


def lint(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [LINTERS / "python", "-W", "ignore", DEPLOY / "lint_policies.py", folder],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_policies_pass() -> None:
    assert lint(DEPLOY / "iam") == (0, "")


@pytest.mark.parametrize(
    ("text", "wrong", "report"),
    [
        ("ec2:CreateAction", "ec2:CreatedBy", "no condition key ec2:CreatedBy"),
        ('"ec2:DeleteSnapshot"', '"ec2:DeleteSnapshotz"', "no such action"),
        ('"rbin:GetRule"', '"s3:PutObject"', "is for all of them"),
        ("::snapshot/*", ":*:shapsnot/*", "has none of the resources"),
    ],
)
def test_what_is_wrong_is_reported(tmp_path: Path, text: str, wrong: str, report: str) -> None:
    path = Path(shutil.copy(DEPLOY / "iam" / "target-policy.json", tmp_path))
    path.write_text(path.read_text().replace(text, wrong))
    status, output = lint(tmp_path)
    assert status == 1
    assert report in output


def test_the_templates_pass() -> None:
    templates = sorted((DEPLOY / "cloudformation").glob("*.yaml"))
    subprocess.run([LINTERS / "cfn-lint", *templates], check=True)
