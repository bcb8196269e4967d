"""JSON and YAML as feeds write them, where a text means one thing only.

A field that stands twice in one object is refused in both. A YAML key is a name, as it is written:
the branches `1.1` and `1.10` are two, although their numbers are one. Aliases, by which a small
text can stand for an endless one, are in no feed and are refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from sidelight.advisories.formats.shape import once

if TYPE_CHECKING:
    from collections.abc import Hashable

_STRING = "tag:yaml.org,2002:str"


def decoded(data: bytes, kind: str) -> Any:
    """The value of a `.json` or `.yml` document.

    Raises ValueError for what is neither whole nor clear, with its line and column.
    """
    if kind == ".json":
        return json.loads(data, object_pairs_hook=once)
    try:
        return yaml.load(data, _Loader)  # noqa: S506 # a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


class _Loader(yaml.SafeLoader):
    """YAML of plain values alone, each name once a mapping."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            place = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # as stubbed
            raise yaml.composer.ComposerError(None, None, "an alias", place)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _value in node.value:
            name = str(key.value)
            if not isinstance(key, yaml.ScalarNode) or name == "<<" or name in seen:
                what = f"{name[:40]!r} stands twice in one mapping, or is no name"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen.add(name)
            key.tag = _STRING
        return super().construct_mapping(node, deep=deep)
