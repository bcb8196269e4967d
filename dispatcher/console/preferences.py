"""How a person wants pages to look: by a link, also without script, and kept in a cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.guards import cookie, is_secure
from dispatcher.console.web_messages import WebAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dispatcher.console.page import PageRequest
    from dispatcher.console.web_messages import WebRequest

_YEAR: Final = 365 * 86_400  # seconds
DENSITIES: Final = ("comfortable", "compact")
# By field of the URL; the first value is that without a cookie.
_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "density": DENSITIES,
    "theme": ("system", "light", "dark"),
}


def preference(request: WebRequest, name: str) -> str:
    """Return what the person chose before; the first value where that is none."""
    value = request.cookie(f"sidelight_{name}")
    return value if value in _VALUES[name] else _VALUES[name][0]


def list_position(wanted: PageRequest) -> dict[str, object]:
    """Return the fields of the URL that say which page of a list is shown."""
    return {name: wanted.value(name) for name in ("after", "from")}


def choice(request: WebRequest, wanted: PageRequest) -> WebAnswer | None:
    """Return the answer that keeps a choice of the URL and shows the same page without it."""
    headers = []
    for name, values in _VALUES.items():
        value = wanted.value(name)
        if value in values:
            seconds = 0 if value == values[0] else _YEAR
            # The script changes the theme too, without a page.
            headers.append(cookie(f"sidelight_{name}", value if seconds else "",
                                  secure=is_secure(request), seconds=seconds,
                                  is_hidden=False))  # fmt: skip
    if not headers:
        return None
    place = wanted.here(**dict.fromkeys(_VALUES), **list_position(wanted))
    return WebAnswer(303, [("Location", place), *headers])
