"""Numbers over days: a small line, and columns stacked by severity or side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from dispatcher.console.charts.markup import amount, element, grouped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

WIDTH: Final = 900.0
HEIGHT: Final = 200.0
_SPARK_WIDTH: Final = 120.0
_SPARK_HEIGHT: Final = 32.0
_PAD: Final = 3.0
_STEPS: Final = (1, 2, 2.5, 5, 10)
PATTERNS: Final = ("solid", "hatch", "lines", "dots", "grid", "light")


@dataclass(frozen=True, slots=True)
class ChartSeries:
    """One of the values of each day: its key, its label, and the class of its colour."""

    key: str
    label: str
    tone: str


@dataclass(frozen=True, slots=True)
class ChartDay:
    """A day's values by series; `known` is False where nobody counted, which is not zero."""

    label: str
    values: Mapping[str, float]
    known: bool = True


class _Scale(NamedTuple):
    """Where a column is, how wide its slot is, and the value of the full height."""

    left: float
    slot: float
    top: float


def sparkline(values: Sequence[float | None], label: str) -> Markup:
    """Return a small line of values, the last with a dot; None leaves a gap."""
    known = [amount(value) for value in values if value is not None]
    top, low = max(known, default=0.0), min(known, default=0.0)
    step = (_SPARK_WIDTH - 2 * _PAD) / max(len(values) - 1, 1)

    def point(index: int, value: float) -> tuple[float, float]:
        share = (amount(value) - low) / (top - low) if top > low else 0.5
        y = _SPARK_HEIGHT - _PAD - share * (_SPARK_HEIGHT - 2 * _PAD)
        return _PAD + index * step, y

    shapes: list[Markup] = []
    for run in _runs(values):
        points = [point(index, value) for index, value in run]
        if len(points) > 1:
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            shapes.append(element("polyline", points=line, class_="spark-line"))
    if values and values[-1] is not None:
        x, y = point(len(values) - 1, values[-1])
        shapes.append(element("circle", cx=x, cy=y, r=2.5, class_="spark-end"))
    return element(
        "svg", element("title", label), *shapes,
        class_="spark", viewBox=f"0 0 {_SPARK_WIDTH:.0f} {_SPARK_HEIGHT:.0f}",
        role="img", aria_label=label, preserveAspectRatio="xMaxYMid meet",
    )  # fmt: skip


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Return the runs of known values, with their indexes."""
    runs: list[list[tuple[int, float]]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((index, value))
    return [run for run in runs if run]


def columns_by_day(
    days: Sequence[ChartDay],
    series: Sequence[ChartSeries],
    label: str,
    *,
    name: str,
    stacked: bool = True,
) -> Markup:
    """Return columns by day with a scale, the first and the last day, and the series named.

    `name` keeps the ids of this chart apart from those of another on the page. Without `stacked`
    the series are side by side.
    """
    totals = [_height(day, series, stacked=stacked) for day in days]
    top = _round_up(max(totals, default=0.0))
    slot = WIDTH / max(len(days), 1)
    shapes = [
        element("line", x1=0, x2=WIDTH, y1=y, y2=y, class_="axis",
                vector_effect="non-scaling-stroke")
        for y in (0.5, HEIGHT / 2, HEIGHT - 0.5)
    ]  # fmt: skip
    for index, day in enumerate(days):
        shapes.append(_column(day, series, _Scale(index * slot, slot, top), name, stacked=stacked))
    picture = element(
        "svg",
        element("title", label),
        element("desc", _described(days, series)),
        element("defs", *(_pattern(name, number, item) for number, item in enumerate(series))),
        *shapes,
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )
    scale = [element("span", grouped(value)) for value in (top, top / 2, 0)]
    ends = [day.label for day in days[:1]] + [day.label for day in days[1:][-1:]]
    return element(
        "div",
        element("div", *scale, class_="plot-y", aria_hidden="true"),
        picture,
        _names(days, series, name),
        element("div", *(element("span", end) for end in ends), class_="plot-x"),
        class_="plot",
    )


def _height(day: ChartDay, series: Sequence[ChartSeries], *, stacked: bool) -> float:
    values = [amount(day.values.get(item.key, 0.0)) for item in series]
    return sum(values) if stacked else max(values, default=0.0)


def _column(
    day: ChartDay,
    series: Sequence[ChartSeries],
    scale: _Scale,
    name: str,
    *,
    stacked: bool,
) -> Markup:
    left, slot, top = scale
    width = max(slot * 0.78, 0.5)
    if not day.known:
        unknown = element("rect", x=left, y=HEIGHT - 4, width=width, height=4, class_="unknown")
        return element("g", element("title", f"{day.label}: not counted"), unknown)
    shapes, base = [], HEIGHT
    each = width if stacked else width / max(len(series), 1)
    for number, item in enumerate(series):
        height = amount(day.values.get(item.key, 0.0)) / top * (HEIGHT - 2) if top else 0.0
        if height <= 0:
            continue
        x = left if stacked else left + number * each
        y = (base if stacked else HEIGHT) - height
        shapes.append(
            element("rect", x=x, y=max(y, 0.0), width=each, height=min(height, HEIGHT),
                    fill=f"url(#{name}-{number})")
        )  # fmt: skip
        base = y
    words = ", ".join(
        f"{grouped(day.values.get(item.key, 0.0))} {item.label.lower()}" for item in series
    )
    return element("g", element("title", f"{day.label}: {words}"), *shapes)


def _pattern(name: str, number: int, item: ChartSeries) -> Markup:
    """Return the fill of a series: its colour, and a pattern for those who do not see colours."""
    size = 8
    kind = PATTERNS[number % len(PATTERNS)]
    opacity = {"solid": 1, "light": 0.4}.get(kind, 0.55)
    base = element("rect", width=size, height=size, class_="fill", fill_opacity=opacity)
    strokes = {
        "hatch": [element("path", d="M-2 6L6 -2M2 10L10 2", class_="draw")],
        "lines": [element("path", d="M0 4H8", class_="draw")],
        "dots": [element("circle", cx=4, cy=4, r=1.2, class_="fill")],
        "grid": [element("path", d="M0 4H8M4 0V8", class_="draw")],
    }
    return element(
        "pattern", base, *strokes.get(kind, []),
        id=f"{name}-{number}", class_=item.tone, width=size, height=size,
        patternUnits="userSpaceOnUse",
    )  # fmt: skip


def _names(days: Sequence[ChartDay], series: Sequence[ChartSeries], name: str) -> Markup:
    """Return the series' names and last values in the order of the stack, from its top."""
    known = [day for day in days if day.known]
    last = known[-1].values if known else {}
    items = []
    for number, item in reversed(list(enumerate(series))):
        swatch = element(
            "svg", element("rect", width=12, height=12, rx=2, fill=f"url(#{name}-{number})"),
            class_=f"swatch {item.tone}", viewBox="0 0 12 12", aria_hidden="true",
        )  # fmt: skip
        value = element("b", grouped(last.get(item.key, 0.0)) if known else "?")
        items.append(element("li", swatch, value, " ", element("span", item.label)))
    return element("ul", *items, class_="plot-names")


def _described(days: Sequence[ChartDay], series: Sequence[ChartSeries]) -> str:
    known = [day for day in days if day.known]
    if not known:
        return "No day was counted yet."
    ends = []
    for day in (known[0], known[-1]):
        words = ", ".join(
            f"{grouped(day.values.get(item.key, 0.0))} {item.label.lower()}" for item in series
        )
        ends.append(f"{day.label}: {words}.")
    return " ".join(dict.fromkeys(ends))


def _round_up(value: float) -> float:
    """Return the next round number: 1, 2, 2.5 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power * 10 < value:
        power *= 10
    return next(step * power for step in _STEPS if step * power >= value)


def table_rows(days: Sequence[ChartDay], series: Sequence[ChartSeries]) -> list[list[str]]:
    """Return the numbers of a chart as rows: the day, then each series; the newest first."""
    return [
        [day.label, *(grouped(day.values.get(item.key, 0.0)) if day.known else "not counted"
                      for item in series)]
        for day in reversed(days)
    ]  # fmt: skip
