"""An installation without extras: every command works, or names the extra that it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dispatcher.cli.extras import EXTRAS
from sidelight.store import Store
from tests.fixtures.commands import ALL

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

# Runs `sidelight` where the extras' modules cannot be imported.
WITHOUT = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(EXTRAS)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from dispatcher.cli.root import run
sys.exit(run(sys.argv[1:]))
"""


def core_only(
    *arguments: str | Path, directory: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith(("AWS_", "SIDELIGHT_"))}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, arguments)],
        cwd=directory,
        env={**clean, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_every_command_has_help_without_any_extra(tmp_path: Path) -> None:
    for path, _, _ in ALL:
        assert core_only(*path, "--help", directory=tmp_path).returncode == 0, path


@pytest.mark.parametrize(
    ("arguments", "environment", "extra"),
    [
        (("local", "up", "--port", "0"), {}, "local"),
        (("serve", "--port", "0", "--store", "sqlite:///made.db"), {}, "serve"),
        (("fleet", "findings", "--store", "postgresql://h/x"), {}, "postgres"),
        (("fleet", "scan", "--store", "postgresql://h/x", "--broker", "memory://"), {}, "postgres"),
        (
            ("fleet", "worker", "computing"),
            {"SIDELIGHT_BROKER_URL": "sqs://", "SIDELIGHT_BUDGETS_URL": "process"},
            "sqs",
        ),
        (("inventory", "--reader", "reference", "disk.img"), {}, "reference"),
        (("fleet", "scan", "--embedded", "--advisories", "advisories.db"), {}, "local"),
    ],
    ids=lambda item: item[:2] if isinstance(item, tuple) else None,
)
def test_what_needs_an_extra_says_which_and_how_to_get_it(
    arguments: tuple[str, ...], environment: dict[str, str], extra: str, tmp_path: Path
) -> None:
    from sidelight.advisories import build

    (tmp_path / "feeds").mkdir()
    (tmp_path / "feeds" / "one.json").write_text(
        '{"id": "X-1", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": '
        '{"ecosystem": "npm", "name": "x"}, "versions": ["1"]}]}'
    )
    build([tmp_path / "feeds"], tmp_path / "advisories.db")
    image = bytearray(4 << 20)
    image[1080:1082] = b"\x53\xef"
    (tmp_path / "disk.img").write_bytes(image)
    with Store(f"sqlite:///{tmp_path}/made.db") as store:
        store.migrate()
    done = core_only(
        *arguments, directory=tmp_path, AWS_REGION="us-east-1",
        **environment,
    )  # fmt: skip
    assert f"[{extra}]" in done.stderr, done.stderr
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
