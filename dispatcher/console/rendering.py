"""From a template and data to HTML. All text is escaped, and inert: `printable` is applied to it.

Undefined names are errors. Nothing in a template is inline style or script: the policy forbids it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from dispatcher.console.assets import files
from dispatcher.console.web_messages import ENCODED
from sidelight.report.escape import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATES: Final = Path(__file__).parent / "templates"
HTML: Final = "text/html; charset=utf-8"
_UNITS: Final = ((86_400 * 365, "y"), (86_400, "d"), (3600, "h"), (60, "min"))
_TAIL: Final = 6  # characters of an id that always show
_LONGEST_ID: Final = 22


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the templates' environment."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_inert,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters |= {
        "ago": ago,
        "exact": exact,
        "number": number,
        "usd": usd,
        "mib": mib,
        "short_id": short_id,
        "verbatim": verbatim,
        "typed": typed,
        "duration": duration,
    }
    templates.globals |= {"asset": lambda name: files()[name].url, "hidden_field": hidden_field}
    return templates


def render(template: str, data: Mapping[str, object]) -> str:
    """Return a template's HTML."""
    return environment().get_template(template).render(data)


def _inert(value: object) -> object:
    """Make text inert wherever a template shows it; None is nothing."""
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def verbatim(value: object) -> Markup:
    """Return text escaped but otherwise as it is, for the value of a form's field or a link."""
    return escape(str(value).replace("\x00", ""))


def hidden_field(name: str, value: object) -> Markup:
    """Return a hidden field of a form, whose value comes back as it is.

    Browsers send each line's end of a field as two characters (HTML, "constructing the entry
    list"): such a value is sent percent-encoded, under a name that says so.
    """
    text = str(value)
    if text and not typed(text):
        name, text = name + ENCODED, quote(text, safe="", errors="replace")
    return Markup('<input type="hidden" name="{}" value="{}">').format(
        verbatim(name), verbatim(text)
    )


def typed(value: str) -> str:
    """Return text as a person can type it into a field; nothing for text of several lines."""
    return "" if "\r" in value or "\n" in value else value


def ago(moment: datetime, now: datetime) -> str:
    """Return a time relative to now: `3 h ago`, `in 2 d`, `now`."""
    seconds = int((now - moment).total_seconds())
    text = next((f"{abs(seconds) // size} {unit}" for size, unit in _UNITS
                 if abs(seconds) >= size), "")  # fmt: skip
    if not text:
        return "now" if seconds > -60 else "in 1 min"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def exact(moment: datetime) -> str:
    """Return a time in UTC to the second."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def number(value: float) -> str:
    """Return a number with separators of thousands."""
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}"
    return f"{value:,.1f}"


def usd(value: float) -> str:
    """Return dollars: four digits below one, two above."""
    return f"${value:,.4f}" if 0 < value < 1 else f"${value:,.2f}"


def mib(value: float) -> str:
    """Return bytes as MiB or GiB."""
    size = value / (1 << 20)
    return f"{size / 1024:,.1f} GiB" if size >= 1024 else f"{size:,.1f} MiB"


def duration(value: float | timedelta) -> str:
    """Return seconds as `1.2 s`, `3 min 20 s` or `2 h 5 min`."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def short_id(value: str) -> str:
    """Return an id with an ellipsis in its middle, never inside the last characters."""
    if len(value) <= _LONGEST_ID:
        return value
    return f"{value[: _LONGEST_ID - _TAIL - 3]}…{value[-_TAIL - 2 :]}"
