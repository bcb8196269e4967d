"""A page of the console: what registers it, what its handler gets, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from dispatcher.console.web_messages import Fields, Poll, WebError
from sidelight.model import Role

if TYPE_CHECKING:
    from datetime import datetime

    from dispatcher.console.scope import ViewScope
    from dispatcher.services.cached_value import CachedValue
    from dispatcher.services.configuration import ConfigurationService
    from dispatcher.services.fleet_totals import Sums
    from sidelight.fleet.settings import Settings
    from sidelight.model import Principal
    from sidelight.store import Store


@dataclass(frozen=True, slots=True)
class ConsoleServices:
    """What pages call. `sums` returns totals of the whole fleet, as old as its `age`."""

    store: Store
    settings: Settings
    configuration: ConfigurationService
    sums: Callable[[], CachedValue[Sums]]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A permitted request of a page by a person who is signed in.

    `segments` are the decoded values of the path's placeholders, `fields` those of the query,
    `form` those of a POST. `now` is the store's time.
    """

    services: ConsoleServices
    principal: Principal
    scope: ViewScope
    path: str
    now: datetime
    segments: Mapping[str, str] = field(default_factory=dict)
    fields: Fields = field(default_factory=dict)
    form: Fields = field(default_factory=dict)

    @property
    def store(self) -> Store:
        """The fleet's store."""
        return self.services.store

    def value(self, name: str, default: str = "") -> str:
        """Return a field of the query, the first that is not empty; the default if it is missing.

        A form may have a field that a person left empty, and its present value (`kept_lines`).
        """
        values = self.fields.get(name, [default])
        return next(filter(None, values), values[0])

    def one_of(self, name: str, known: Collection[str]) -> str:
        """Return a field of the query that chooses, the first; empty if it is missing.

        Raises WebError for another value: without it the page would have more than was asked for.
        """
        for value in self.fields.get(name, []):
            if value and value not in known:
                raise WebError(400, f"{name.capitalize()} cannot be {value[:60]!r}.",
                               f"It is one of: {', '.join(known)}.")  # fmt: skip
        return self.value(name)

    def posted(self, name: str, default: str = "") -> str:
        """Return a field of the form, the first, without blanks around it."""
        return self.form.get(name, [default])[0].strip()

    def may(self, role: Role | str) -> bool:
        """Whether the person has this role, or one that includes it."""
        return self.principal.role.includes(Role(role))

    def link(self, path: str, **parameters: object) -> str:
        """Return a URL of this console with the scope kept."""
        return self.scope.link(path, **parameters)

    def here(self, **changes: object) -> str:
        """Return this page's URL with changed fields; None or "" removes one.

        The list begins at its first page: `after` and `from` are dropped unless they are given.
        """
        dropped = {"after", "from"}
        pairs = [(name, value) for name, values in self.fields.items()
                 if name not in changes and name not in dropped for value in values]  # fmt: skip
        for name, value in changes.items():
            items = value if isinstance(value, list | tuple) else [value]
            pairs += [(name, str(item)) for item in items if item is not None and item != ""]
        query = urlencode(pairs, errors="replace")
        return f"{self.path}?{query}" if query else self.path

    def check_account(self, account: str) -> None:
        """Raise WebError unless the person may see this account: as if there were none."""
        if not self.scope.allows(account):
            raise WebError(404, "There is nothing here, or you may not see it.")


@dataclass(frozen=True, slots=True)
class TemplateAnswer:
    """A template with its data. `title` replaces the page's; `fact` is the sentence below it.

    `record` is what the audit log says of a change in place of its form; never a secret.
    """

    template: str
    data: Mapping[str, object]
    title: str = ""
    fact: str = ""
    status: int = 200
    record: str = ""


@dataclass(frozen=True, slots=True)
class RedirectAnswer:
    """Go to a path of this console after a change; `notice` says what was done.

    `undo` is the path of a POST page that takes the change back, without fields; empty for none.
    """

    path: str
    notice: str = ""
    undo: str = ""


@dataclass(frozen=True, slots=True)
class DownloadAnswer:
    """A file, made while it is sent."""

    name: str
    content_type: str
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class EventsAnswer:
    """Server-sent events."""

    poll: Poll


PageAnswer = TemplateAnswer | RedirectAnswer | DownloadAnswer | EventsAnswer
PageHandler = Callable[[PageRequest], PageAnswer]


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """A page or an action. `path` may have placeholders: `/instances/{account}/{instance}`.

    `section` is the path of the rail's item that it belongs to. `action` names what a POST does,
    for the audit log. `is_live`: an open page reads it on its own, so reading it does not prolong
    the person's session.
    """

    path: str
    title: str
    handler: PageHandler
    role: Role = Role.READER
    method: str = "GET"
    section: str = ""
    action: str = ""
    is_live: bool = False

    def segments(self, path: str) -> dict[str, str] | None:
        """Return the encoded values of the placeholders; None for another path."""
        own, sent = self.path.split("/"), path.split("/")
        if len(own) != len(sent):
            return None
        found = {}
        for wanted, value in zip(own, sent, strict=True):
            if wanted.startswith("{") and value:
                found[wanted[1:-1]] = value
            elif wanted != value:
                return None
        return found
