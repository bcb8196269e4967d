"""Requests and answers of the console. The API's server converts its own from and to these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

METHODS: Final = ("GET", "HEAD", "POST")
MOST_FIELDS: Final = 400  # of a query or form: a bulk selection has a page's rows
ENCODED: Final = "%"  # ends the name of a field whose value is percent-encoded (`hidden_field`)
BODY_LIMIT: Final = 256 << 10  # bytes of a form
MOST_ID: Final = (1 << 63) - 1  # of a row of the store
MOST_PORT: Final = 65_535


class WebError(Exception):
    """An answer that is an error page: `status`, what happened, and what to do.

    `sign_in` is where a person signs in, who is to do that.
    """

    def __init__(self, status: int, what: str, hint: str = "", *, sign_in: str = "") -> None:
        super().__init__(what)
        self.sign_in = sign_in
        self.status = status
        self.what = what
        self.hint = hint


Fields = dict[str, list[str]]


class QueryFields(dict[str, list[str]]):
    """The fields of a query, which know what was asked of them: a page ignores all others."""

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields)
        self._read: set[str] = set()

    @property
    def ignored(self) -> list[str]:
        """The names of fields with a value that nobody asked for, as in the query."""
        return [name for name, values in self.items() if any(values) and name not in self._read]

    def __getitem__(self, name: str) -> list[str]:
        self._read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._read.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field's values, or the default."""
        return self[name] if name in self else default  # noqa: SIM401 - it would call itself


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A request. `path` and `query` are as sent, still encoded; headers' names in lower case."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    source: str
    secure: bool = False

    def header(self, name: str) -> str:
        """Return a header's value, the first; empty if there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def cookie(self, name: str) -> str:
        """Return a cookie's value; empty if there is none or more than one."""
        pairs = (part.strip().partition("=")
                 for key, value in self.headers if key == "cookie"
                 for part in value.split(";"))  # fmt: skip
        values = [value for key, _, value in pairs if key == name]
        return values[0] if len(values) == 1 else ""

    def fields(self) -> Fields:
        """Return the query's fields. Raises WebError."""
        return _fields(self.query)

    def form(self) -> Fields:
        """Return the fields of a form. Raises WebError."""
        kind = self.header("content-type").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded" or len(self.body) > BODY_LIMIT:
            raise WebError(400, "The request has no form that the console accepts.")
        try:
            return _fields(self.body.decode("ascii"))
        except UnicodeDecodeError as error:
            raise WebError(400, "The form is not encoded as a browser does it.") from error


def _fields(text: str) -> Fields:
    try:
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS,
                          errors="replace")  # fmt: skip
    except ValueError as error:
        raise WebError(400, f"More than {MOST_FIELDS} fields.") from error
    found: dict[str, list[str]] = {}
    for name, values in fields.items():
        plain = name.removesuffix(ENCODED)
        sent = values if plain == name else [unquote(value) for value in values]
        found.setdefault(plain, []).extend(storable(value) for value in sent)
    return found


def whole_number(text: str, most: int) -> int | None:
    """Return a whole number from 0 to `most`; None for any other text."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
        return None
    return number if (number := int(text)) <= most else None


def storable(text: str) -> str:
    """Return text without NUL, which PostgreSQL has in no text."""
    return text.replace("\x00", "\ufffd")


@dataclass(frozen=True, slots=True)
class Poll:
    """Server-sent events: `read` is called every `seconds`, and a changed result is sent.

    None ends them.
    """

    read: Callable[[], str | None]
    seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """An answer: a body, or `chunks` that are sent as they are made, or the events of a `poll`."""

    status: int
    headers: Sequence[tuple[str, str]] = field(default=())
    body: bytes = b""
    chunks: Iterator[bytes] | None = None
    poll: Poll | None = None
