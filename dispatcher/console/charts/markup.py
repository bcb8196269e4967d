"""Elements of SVG and HTML: text is made inert and escaped, numbers are finite."""

from __future__ import annotations

import math
from typing import Final

from markupsafe import Markup, escape

from sidelight.report.escape import printable

LARGEST: Final = 1e15  # a count beyond it is drawn as this
_NEVER_EMPTY: Final = frozenset({"a", "b", "bdi", "div", "li", "span", "ul"})


def element(name: str, *children: str | Markup, **attributes: object) -> Markup:
    """Return an element. `class_` and `aria_label` name the attributes class and aria-label.

    Children that are not Markup are text. An attribute of None or False is left out.
    """
    pairs = (
        f' {key.rstrip("_").replace("_", "-")}="{attribute(value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    head = f"<{name}{''.join(pairs)}"
    inner = Markup().join(text(child) for child in children)
    if not children and name not in _NEVER_EMPTY:
        return Markup(f"{head}/>")  # noqa: S704 - name is ours, attributes are escaped
    return Markup(f"{head}>{inner}</{name}>")  # noqa: S704 - as above


def attribute(value: object) -> str:
    """Return an attribute's value, escaped; a number is finite and short."""
    if value is True:
        return ""
    if isinstance(value, int | float):
        return short(value)
    return str(escape(printable(str(value))))


def text(value: str | Markup) -> Markup:
    """Return text that is inert and escaped; Markup as it is."""
    return value if isinstance(value, Markup) else escape(printable(value))


def amount(value: float) -> float:
    """Return a value that can be drawn: finite, not negative, at most LARGEST."""
    if math.isnan(value) or value <= 0:
        return 0.0
    return min(float(value), LARGEST)


def short(value: float) -> str:
    """Return a number with two decimals at most."""
    if math.isnan(value) or math.isinf(value):
        return "0"
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def grouped(value: float) -> str:
    """Return a number for people: `1,234`, `1.5`."""
    finite = amount(value)
    return f"{finite:,.0f}" if finite == int(finite) else f"{finite:,.1f}"


def clipped(value: str, most: int) -> str:
    """Return text of at most so many characters, inert; an ellipsis is in its middle."""
    shown = printable(value)
    if len(shown) <= most:
        return shown
    tail = (most - 1) // 2
    return f"{shown[: most - 1 - tail]}…{shown[len(shown) - tail :]}"
