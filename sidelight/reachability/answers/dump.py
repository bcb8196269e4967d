"""A folder of saved describe answers, read: `[aws_configs/][accounts/ACCOUNT/][REGION/]Name.json`.

The layout and the names are those of Batfish's AWS snapshots. Files whose name is not in `stems`
are passed over; what cannot be read is a Problem that names the file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, FormatError, LimitError, NoSuchPathError
from sidelight.model.software import Problem
from sidelight.reachability.answers.answers import Answers
from sidelight.reachability.answers.stems import STEMS, Stem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_LIMIT: Final = 512 << 20  # bytes of one file: 200,000 network interfaces are 300 MB
TOTAL_LIMIT: Final = 4 << 30  # bytes of all files
FOLDER_LIMIT: Final = 20_000  # account-regions


def load_dump(folder: Path) -> Answers:
    """The answers in `folder`, which is a dump or its `aws_configs` folder.

    Raises NoSuchPathError if there is no such folder. Everything else that is wrong with it is in
    the `problems` of the result.
    """
    if not folder.is_dir():
        raise NoSuchPathError("no such folder of describe answers", where=str(folder))
    root = folder / "aws_configs"
    root = root if root.is_dir() else folder
    lists: dict[tuple[str, str], dict[str, list[object]]] = {}
    problems: list[Problem] = []
    left = TOTAL_LIMIT
    for number, (account, region, files) in enumerate(_account_regions(root)):
        if number >= FOLDER_LIMIT:
            problems.append(Problem(str(root), f"more than {FOLDER_LIMIT} folders: not read"))
            break
        for path in files:
            try:
                objects, size = _read(path, min(FILE_LIMIT, left))
            except FormatError as error:
                problems.append(Problem(str(path.relative_to(root)), error.what))
            else:
                left -= size
                lists.setdefault((account, region), {})[path.stem] = objects
    if not lists:
        problems.append(Problem(str(folder), "no file of describe answers in this folder"))
    return Answers(lists, problems)


def _read(path: Path, limit: int) -> tuple[list[object], int]:
    """The objects of one file and its size in bytes. Raises FormatError."""
    try:
        size = path.stat().st_size
        if path.is_symlink() or size > limit:
            raise LimitError("a link, or too large: not read")
        document = json.loads(path.read_bytes())
    except RecursionError:
        raise LimitError("JSON nested too deeply") from None
    except (OSError, ValueError) as error:
        raise DamagedError(f"not readable as JSON: {_brief(error)}") from None
    objects = _objects(document, STEMS[path.stem])
    if objects is None:
        raise DamagedError(f"no list under the key {path.stem}")
    return objects, size


def _objects(document: object, stem: Stem) -> list[object] | None:
    """The list of a file's objects, under the stem's name or under the answer's own key."""
    if isinstance(document, dict):
        for key in (stem.name, stem.list_key):
            objects = document.get(key)
            if isinstance(objects, list):
                return objects
    return None


def _account_regions(root: Path) -> Iterator[tuple[str, str, list[Path]]]:
    """Each folder that may have answers, with its account and Region; sorted."""
    yield from _regions(root, "")
    accounts = root / "accounts"
    if accounts.is_dir():
        for folder in _folders(accounts):
            yield from _regions(folder, folder.name)


def _regions(folder: Path, account: str) -> Iterator[tuple[str, str, list[Path]]]:
    yield account, "", _files(folder)
    for region in _folders(folder):
        if account or region.name != "accounts":
            yield account, region.name, _files(region)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _files(folder: Path) -> list[Path]:
    return [path for name in STEMS if (path := folder / f"{name}.json").is_file()]


def _brief(error: Exception) -> str:
    return str(error)[:120] or type(error).__name__
