"""The file of `--with`: objects that are added to a network before it is evaluated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sidelight.errors import UsageError
from sidelight.reachability.answers.answers import Answers
from sidelight.reachability.answers.stems import STEMS
from sidelight.reachability.components.changes import IDS

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.reachability.answers.answers import AccountRegion

MOST_BYTES = 64 << 20


def read_changes(path: Path, answers: Answers) -> Answers:
    """Return a file's objects, each in the account and Region of `answers` that it belongs to.

    The file is a JSON object with a list for each kind: `{"SecurityGroups": […]}`. An object with
    a known id belongs where that id is; another one to its owner's account, or to the only one.
    Raises UsageError.
    """
    lists: dict[AccountRegion, dict[str, list[Any]]] = {}
    homes = _homes(answers)
    for name, objects in _document(path).items():
        for item in objects:
            place = homes.get((name, _identity(name, item))) or _place(answers, item)
            if place is None:
                what = f"{name}: the network has several accounts or Regions; add an OwnerId of one"
                raise UsageError(what, where=str(path))
            lists.setdefault(place, {}).setdefault(name, []).append(item)
    return Answers(lists)


def _document(path: Path) -> dict[str, list[Any]]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"more than {MOST_BYTES >> 20} MiB", where=str(path))
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not readable as JSON: {str(error)[:120]}", where=str(path)) from error
    if not isinstance(document, dict) or not document:
        raise UsageError('needs an object such as {"SecurityGroups": […]}', where=str(path))
    for name, objects in document.items():
        if name not in STEMS:
            raise UsageError(f"no such kind of object: {name[:80]}", where=str(path))
        if not isinstance(objects, list):
            raise UsageError(f"{name} is not a list", where=str(path))
    return document


def _homes(answers: Answers) -> dict[tuple[str, str], AccountRegion]:
    """Return where each object with an id is."""
    return {
        (name, identity): place
        for place, lists in answers.items()
        for name in IDS
        for item in lists.get(name, ())
        if (identity := _identity(name, item))
    }


def _identity(name: str, item: Any) -> str:
    return str(item.get(IDS.get(name, ""), "")) if isinstance(item, dict) else ""


def _place(answers: Answers, item: Any) -> AccountRegion | None:
    places = list(answers)
    if len(places) > 1 and isinstance(item, dict):
        places = [place for place in places if place[0] == item.get("OwnerId")]
    return places[0] if len(places) == 1 else None
