"""One image's table: CPU seconds of each reader, and how many paths it found."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.walks.images import BUILD, FILES, ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPARISON = BUILD / "compare-walks"
MODES = {"listing": "names, inodes and types", "metadata": "and every inode's size, mode and mtime"}


def arguments(text: str | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--image", type=Path)
    return parser.parse_args()


def environment() -> Path:
    """The other readers' Python, from PyPI by hashes, in an environment of its own."""
    python = COMPARISON / "bin" / "python"
    if not python.exists():
        uv = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
        subprocess.run([uv, "venv", "--quiet", COMPARISON], check=True)
        install = [uv, "pip", "install", "--quiet", "--require-hashes", "--requirement"]
        requirements = ROOT / "benchmarks" / "requirements-walks.txt"
        subprocess.run(
            [*install, requirements],
            check=True,
            env={**os.environ, "VIRTUAL_ENV": str(COMPARISON)},
        )
    return python


def show(image: Path, readers: Sequence[str]) -> None:
    """Print the table; ours comes first and is what the ratios refer to."""
    print(f"{image.name}\n  reader          paths   first   least CPU s, times ours", flush=True)
    for mode, meaning in MODES.items():
        print(f"  -- {mode}: {meaning}")
        own: dict[str, Any] = {}
        for reader in readers:
            result = measured(reader, mode, image)
            if "fault" in result:
                print(f"  {reader:14} failed: {result['fault']}", flush=True)
                continue
            own = own or result
            note = "" if result["paths"] == own["paths"] else "  LOSES OR INVENTS PATHS"
            ratio = result["cpu"] / own["cpu"]
            print(
                f"  {reader:14} {result['paths']:7} {result['first']:7.2f} {result['cpu']:7.2f} "
                f"{ratio:9.1f}{note}",
                flush=True,
            )


def measured(reader: str, mode: str, image: Path) -> dict[str, Any]:
    """The result of a reader's own process."""
    python = Path(sys.executable) if reader == "sidelight" else environment()
    script = Path(__file__).with_name("readers.py")
    done = subprocess.run(
        [python, script, reader, mode, image], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"fault": (done.stderr.strip().splitlines() or [str(done.returncode)])[-1]}
    result: dict[str, Any] = json.loads(done.stdout)
    return result
