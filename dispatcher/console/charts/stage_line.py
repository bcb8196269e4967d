"""How long the stages of a scan took: in the queue, waiting for budgets, and working."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dispatcher.console.charts.markup import amount, element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

WIDTH: Final = 1000.0
_HEIGHT: Final = 12.0
PARTS: Final = (("waited", "in the queue"), ("paced", "waiting for budgets"), ("ran", "working"))


@dataclass(frozen=True, slots=True)
class StageSpan:
    """A stage: seconds in the queue, delayed by budgets, and working."""

    name: str
    waited: float
    paced: float
    ran: float


def stage_line(spans: Sequence[StageSpan], label: str) -> Markup:
    """Return one row for each stage, which begins where the one before ended."""
    total = sum(_length(span) for span in spans)
    rows, begin = [], 0.0
    for span in spans:
        rows.append(_row(span, begin, total))
        begin += _length(span)
    names = [
        element(
            "li",
            element("svg", element("rect", width=10, height=10, rx=2, class_=f"span-{part}"),
                    class_="swatch", viewBox="0 0 10 10", aria_hidden="true"),
            words,
        )
        for part, words in PARTS
    ]  # fmt: skip
    return element(
        "div", element("ul", *rows, class_="spans", aria_label=label),
        element("ul", *names, class_="span-names"),
        class_="stage-line",
    )  # fmt: skip


def _length(span: StageSpan) -> float:
    return amount(span.waited) + amount(span.paced) + amount(span.ran)


def _row(span: StageSpan, begin: float, total: float) -> Markup:
    shapes = [element("rect", width=WIDTH, height=_HEIGHT, class_="rest")]
    x = begin / total * WIDTH if total else 0.0
    words = []
    for part, name in PARTS:
        seconds = amount(getattr(span, part))
        width = seconds / total * WIDTH if total else 0.0
        if width > 0:
            width = min(width, max(WIDTH - x, 0.0))
            shapes.append(element("rect", x=x, width=width, height=_HEIGHT, class_=f"span-{part}"))
        x += width
        if seconds:
            words.append(f"{_seconds(seconds)} {name}")
    summary = ", ".join(words) or "no time"
    picture = element(
        "svg", element("title", f"{span.name}: {summary}"), *shapes,
        class_="bar thick", viewBox=f"0 0 {WIDTH:.0f} {_HEIGHT:.0f}", preserveAspectRatio="none",
        role="img", aria_label=f"{span.name}: {summary}",
    )  # fmt: skip
    return element(
        "li", element("span", span.name, class_="bar-name"), picture,
        element("b", _seconds(_length(span)), class_="num"),
    )  # fmt: skip


def _seconds(value: float) -> str:
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes:,} min {rest} s"
