"""Bars: a list of values with their names, and one bar of several parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dispatcher.console.charts.markup import amount, clipped, element, grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

WIDTH: Final = 1000.0
_HEIGHT: Final = 8.0
_LEAST: Final = 4.0  # of WIDTH: a value above zero can be seen


@dataclass(frozen=True, slots=True)
class Bar:
    """A named value. `href` leads to the list behind it; `tone` is a class of colour."""

    label: str
    value: float
    href: str = ""
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class BarPart:
    """A part of a whole. `tone` is one of good, warn, bad and the empty text."""

    label: str
    value: float
    tone: str = ""
    href: str = ""


def horizontal_bars(bars: Sequence[Bar], label: str) -> Markup:
    """Return a list of bars as long as their values, each with its name and number."""
    top = max((amount(bar.value) for bar in bars), default=0.0)
    return element("ul", *(_bar(bar, top) for bar in bars), class_="bars", aria_label=label)


def _bar(bar: Bar, top: float) -> Markup:
    shown = element("bdi", clipped(bar.label, 120), class_="clip", title=bar.label)
    name = element("a", shown, href=bar.href) if bar.href else shown
    length = amount(bar.value) / top * WIDTH if top else 0.0
    if bar.value > 0:
        length = max(length, _LEAST)
    picture = element(
        "svg",
        element("rect", width=WIDTH, height=_HEIGHT, class_="rest"),
        element("rect", width=length, height=_HEIGHT, class_=bar.tone or None),
        class_="bar", viewBox=f"0 0 {WIDTH:.0f} {_HEIGHT:.0f}", preserveAspectRatio="none",
        aria_hidden="true",
    )  # fmt: skip
    note = [element("span", bar.note, class_="sub")] if bar.note else []
    return element(
        "li", element("span", name, *note, class_="bar-name"),
        element("b", grouped(bar.value), class_="num"), picture,
    )  # fmt: skip


def segmented_bar(segments: Sequence[BarPart], label: str) -> Markup:
    """Return one bar of parts, and a list of the parts with their numbers and shares."""
    total = sum(amount(segment.value) for segment in segments)
    shapes, x = [element("rect", width=WIDTH, height=12, class_="rest")], 0.0
    for segment in segments:
        width = amount(segment.value) / total * WIDTH if total else 0.0
        if width > 0:
            shapes.append(
                element("rect", element("title", f"{segment.label}: {grouped(segment.value)}"),
                        x=x, width=width, height=12, class_=f"part {segment.tone}".strip())
            )  # fmt: skip
        x += width
    picture = element(
        "svg", element("title", label), *shapes,
        class_="bar thick", viewBox=f"0 0 {WIDTH:.0f} 12", preserveAspectRatio="none", role="img",
        aria_label=label,
    )  # fmt: skip
    return element(
        "div", picture, element("ul", *(_part(item, total) for item in segments), class_="parts"),
        class_="segmented",
    )  # fmt: skip


def _part(segment: BarPart, total: float) -> Markup:
    share = amount(segment.value) / total if total else 0.0
    percent = f"{share:.0%}" if share in {0.0, 1.0} or 0.01 <= share <= 0.99 else (
        "<1%" if share < 0.5 else ">99%"
    )  # fmt: skip
    shown = element("bdi", clipped(segment.label, 80))
    name = element("a", shown, href=segment.href) if segment.href else shown
    mark = element(
        "svg", element("rect", width=10, height=10, rx=2, class_=f"part {segment.tone}".strip()),
        class_="swatch", viewBox="0 0 10 10", aria_hidden="true",
    )  # fmt: skip
    number = element("b", grouped(segment.value))
    return element("li", mark, name, number, element("span", percent, class_="quiet"))
