"""Lock files with given packages, one a language, as the languages' own tools write them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sidelight.model import Package


def _npm(packages: Sequence[Package]) -> tuple[str, str]:
    locked: dict[str, dict[str, str]] = {}
    for number, package in enumerate(packages):
        place = f"node_modules/{package.name}"
        # A second version of a package lies within one of those that need it.
        place = f"node_modules/of-{number}/{place}" if place in locked else place
        locked[place] = {
            "version": package.version,
            "resolved": f"https://registry.test/{package.name}/-/{package.version}.tgz",
            "integrity": "sha512-AAAA",
        }
    wanted = {package.name: package.version for package in packages}
    root = {"": {"name": "project", "version": "1.0.0", "dependencies": wanted}}
    document = {"name": "project", "version": "1.0.0", "lockfileVersion": 3, "requires": True}
    return "package-lock.json", json.dumps({**document, "packages": {**root, **locked}})


def _pypi(packages: Sequence[Package]) -> tuple[str, str]:
    entries = [
        f'[[package]]\nname = "{package.name}"\nversion = "{package.version}"\n'
        'description = ""\noptional = false\npython-versions = "*"\nfiles = []\n'
        for package in packages
    ]
    tail = '[metadata]\nlock-version = "2.0"\npython-versions = "*"\ncontent-hash = "0"\n'
    return "poetry.lock", "\n".join([*entries, tail])


def _maven(packages: Sequence[Package]) -> tuple[str, str]:
    lines = [f"{package.name}:{package.version}=runtimeClasspath" for package in packages]
    return "gradle.lockfile", "\n".join([*lines, "empty=", ""])


WRITERS: dict[str, Callable[[Sequence[Package]], tuple[str, str]]] = {
    "npm": _npm,
    "pypi": _pypi,
    "maven": _maven,
}


def write(folder: Path, kind: str, packages: Sequence[Package]) -> None:
    """Write the lock file of a kind of package into a folder of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    name, text = WRITERS[kind](packages)
    (folder / name).write_text(text)
