"""Templates of the JSON that a webhook gets: Jinja in a sandbox.

A text of the event is escaped as within a JSON string wherever a template prints it, so that no
text of a scanned machine can change the document's structure. `tojson` prints a value of any type
as JSON. A template that prints nothing passes over the event.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from jinja2 import StrictUndefined, TemplateError

from sidelight.errors import UsageError
from sidelight.report.escape import printable
from sidelight.report.template_sandbox import TemplateSandbox
from sidelight.user_files import read_user_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jinja2 import Template

SOURCE_LIMIT: Final = 64 << 10  # bytes of a template
OUTPUT_LIMIT: Final = 1 << 20  # characters
_MOST: Final = 200  # characters of a text, where `plain` gets no other number


class _Json(str):
    """A text that is JSON already."""

    __slots__ = ()


class EventTemplate:
    """A compiled template. `name` is for messages."""

    def __init__(self, name: str, source: str) -> None:
        """Compile. Raises UsageError with the line."""
        self._name = name
        try:
            self._template: Template = _environment().from_string(source)
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            raise UsageError(f"{error.message} (line {line})", where=name) from error

    @classmethod
    def built_in(cls, name: str) -> EventTemplate:
        """Return one of Sidelight's own: `slack` or `jira`."""
        file = resources.files("dispatcher.events") / "templates" / f"{name}.json.j2"
        return cls(f"{name}.json.j2", file.read_text("utf-8"))

    @classmethod
    def of_file(cls, path: Path) -> EventTemplate:
        """Return a user's own. Raises UsageError."""
        source = read_user_text(path, SOURCE_LIMIT, f"is longer than {SOURCE_LIMIT} bytes")
        return cls(str(path), source)

    def render(self, event: Mapping[str, Any], **names: str) -> bytes:
        """Return the JSON for an event; empty to pass over it.

        The template sees `event`, its `detail`, and these names. Raises UsageError for a template
        that fails, prints more than 1 MiB, or does not print JSON.
        """
        try:
            text = self._printed(event=event, detail=event["detail"], **names).strip()
        except Exception as error:  # a template may raise anything
            what = printable(f"{type(error).__name__}: {error}", _MOST)
            raise UsageError(f"event {event.get('id')}: {what}", where=self._name) from error
        if not text:
            return b""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            what = f"event {event.get('id')}: not JSON: {printable(str(error), _MOST)}"
            raise UsageError(what, where=self._name) from error
        return json.dumps(document, separators=(",", ":")).encode()

    def _printed(self, **names: object) -> str:
        parts: list[str] = []
        size = 0
        for part in self._template.generate(**names):
            size += len(part)
            if size > OUTPUT_LIMIT:
                raise OverflowError(f"prints over {OUTPUT_LIMIT} characters")
            parts.append(part)
        return "".join(parts)


@cache
def _environment() -> TemplateSandbox:
    environment = TemplateSandbox(
        undefined=StrictUndefined,
        finalize=_in_string,
        autoescape=False,  # the output is JSON, and `finalize` escapes for it
    )
    environment.filters.update(tojson=_tojson, plain=plain, slack=_slack)
    return environment


def _in_string(value: object) -> str:
    """Return what an expression prints: within a JSON string, unless it is JSON already."""
    if isinstance(value, _Json):
        return value
    return json.dumps(str(value))[1:-1]


def _tojson(value: object) -> _Json:
    return _Json(json.dumps(value))


def plain(text: object, most: int = _MOST) -> str:
    """Return a text as one line of at most `most` characters; `-` for an empty one."""
    shown = printable(str(text), 4 * most)
    return (shown if len(shown) <= most else f"{shown[: most - 1]}…") or "-"


def _slack(text: object) -> str:
    """Return a text without Slack's control characters: no mention, link or channel in it."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
