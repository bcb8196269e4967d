"""The schemas of docs/schemas: made of the TypedDicts, valid, strict, and listed."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Annotated, NotRequired, TypedDict

import click
import pytest
from jsonschema import Draft202012Validator

from dispatcher.cli.root import sidelight
from sidelight.documents.__main__ import texts
from sidelight.documents.catalogue import DOCUMENTS
from sidelight.documents.json_schema import schema_of
from sidelight.documents.markers import OneOf, Timestamp
from tests.fixtures.document_schemas import OF_COMMAND, SCHEMAS, validator

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_the_files_are_those_of_the_types() -> None:
    written = {path.name: path.read_text() for path in SCHEMAS.iterdir()}
    assert written == texts(), "run `make docs`"


def test_the_index_of_the_docs_lists_every_schema_and_its_source() -> None:
    index = (SCHEMAS.parent / "README.md").read_text()
    for name, entry in DOCUMENTS.items():
        source = entry.source.replace("|", r"\|")
        assert f"| [{name}](schemas/{name}.schema.json) | {source} |" in index


def objects(schema: object) -> Iterator[dict[str, object]]:
    """Every part of a schema that describes an object."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_schema_is_valid_and_refuses_unknown_members(name: str) -> None:
    schema = validator(name).schema
    assert isinstance(schema, dict)
    Draft202012Validator.check_schema(schema)
    for part in objects(schema):
        assert part["additionalProperties"] is False or "properties" not in part
        if "properties" in part:
            assert part["description"]


def printing(command: click.Command, words: str = "") -> Iterator[str]:
    """The commands that have `--format json`."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from printing(found, f"{words} {name}".strip())
    elif any(
        isinstance(option.type, click.Choice) and "json" in option.type.choices
        for option in command.params
    ):
        yield words


def test_every_command_that_prints_json_has_a_schema() -> None:
    assert sorted(printing(sidelight)) == sorted(OF_COMMAND)
    assert set(OF_COMMAND.values()) <= set(DOCUMENTS)


class Colour(Enum):
    RED = "red"


class Leaf(TypedDict):
    """A leaf."""

    tree: list[Leaf]
    colour: Colour


class Branch(Leaf):
    """A branch."""

    at: Timestamp | None
    word: NotRequired[Annotated[str, OneOf(("a", "b"))]]
    counts: dict[Colour, int]


def test_a_typed_dict_is_an_object_with_its_members_required_or_not() -> None:
    schema = schema_of(Branch, "branch", "a test")
    leaf = {"tree": [], "colour": "red"}
    branch = {**leaf, "tree": [leaf], "at": "2026-01-31T00:00:00+00:00", "counts": {"red": 1}}
    check = Draft202012Validator(json.loads(json.dumps(schema)))
    assert check.is_valid(branch)
    assert check.is_valid(branch | {"at": None, "word": "b"})
    for wrong in (
        branch | {"more": 1}, branch | {"word": "c"}, branch | {"word": None}, leaf,
        branch | {"counts": {"blue": 1}}, branch | {"counts": {"red": "1"}},
        branch | {"tree": [{}]}, branch | {"colour": "blue"}, branch | {"at": 5}, [branch],
    ):  # fmt: skip
        assert not check.is_valid(wrong), wrong


@pytest.mark.parametrize("kind", [bytes, set[str], complex, tuple[int, int], list[bytes]])
def test_a_type_that_json_does_not_have_is_refused(kind: object) -> None:
    with pytest.raises(TypeError, match="no JSON Schema"):
        schema_of(kind, "x", "y")
