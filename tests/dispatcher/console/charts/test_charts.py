"""Charts of any numbers and any labels: valid, inside their picture, inert, without styles."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.console.charts import (
    Bar,
    BarPart,
    ChartDay,
    ChartSeries,
    PathHop,
    StageSpan,
    columns_by_day,
    horizontal_bars,
    network_path,
    segmented_bar,
    sparkline,
    stage_line,
    table_rows,
)
from tests.fixtures.hostile_text import TEXT, is_inert

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = st.floats() | st.integers(-(10**30), 10**30).map(float) | st.just(0.0)
LABELS = TEXT | st.just('"><script>alert(1)</script>') | st.just("x" * 10_000)
SERIES = (ChartSeries("C", "Critical", "critical"), ChartSeries("H", "High", "high"))
DAYS = st.builds(
    ChartDay, LABELS, st.dictionaries(st.sampled_from(("C", "H", "?")), NUMBERS), st.booleans()
)
HOPS = st.builds(PathHop, LABELS, LABELS, LABELS, st.booleans(), st.booleans())


def check(markup: str) -> ET.Element:
    """Parse a chart; its text is inert, and its shapes are within the picture."""
    root = ET.fromstring(f"<root>{markup}</root>")  # noqa: S314 - our own output
    for item in root.iter():
        assert "style" not in item.attrib
        assert not any(name.startswith("on") for name in item.attrib)
        assert item.tag != "script"
        assert is_inert(item.text or "")
        assert all(map(is_inert, item.attrib.values()))
    for picture in root.iter("svg"):
        left, top, width, height = map(float, picture.attrib["viewBox"].split())
        for x, y in points(picture):
            assert left - 0.1 <= x <= left + width + 0.1
            assert top - 0.1 <= y <= top + height + 0.1
    return root


def points(picture: ET.Element) -> Iterator[tuple[float, float]]:
    """The corners of all shapes of a picture, without those of patterns."""
    inside = {id(child) for pattern in picture.iter("pattern") for child in pattern.iter()}
    for item in picture.iter():
        values = {name: float(item.attrib[name]) for name in (
            "x", "y", "width", "height", "x1", "x2", "y1", "y2", "cx", "cy",
        ) if name in item.attrib and id(item) not in inside}  # fmt: skip
        assert not any(map(math.isnan, values.values()))
        if item.tag == "rect" and id(item) not in inside:
            x, y = values.get("x", 0.0), values.get("y", 0.0)
            yield x, y
            yield x + values["width"], y + values["height"]
        elif item.tag == "line":
            yield values["x1"], values["y1"]
            yield values["x2"], values["y2"]
        elif item.tag == "circle" and id(item) not in inside:
            yield values["cx"], values["cy"]
        elif item.tag == "polyline":
            for pair in item.attrib["points"].split():
                x, y = map(float, pair.split(","))
                yield x, y


@given(st.lists(NUMBERS | st.none(), max_size=100), LABELS)
def test_a_small_line_of_any_values(values: list[float | None], label: str) -> None:
    root = check(sparkline(values, label))
    assert root.find("svg/title") is not None


@given(days=st.lists(DAYS, max_size=20), label=LABELS, stacked=st.booleans())
def test_columns_of_any_days(days: list[ChartDay], label: str, *, stacked: bool) -> None:
    root = check(columns_by_day(days, SERIES, label, name="c", stacked=stacked))
    assert len(root.findall(".//svg/g")) == len(days)
    assert len(table_rows(days, SERIES)) == len(days)


@given(st.lists(st.builds(Bar, LABELS, NUMBERS, LABELS, LABELS), max_size=20), LABELS)
def test_bars_of_any_values(bars: list[Bar], label: str) -> None:
    assert len(check(horizontal_bars(bars, label)).findall("ul/li")) == len(bars)


@given(st.lists(st.builds(BarPart, LABELS, NUMBERS, st.just("good"), LABELS), max_size=9), LABELS)
def test_parts_of_any_values(segments: list[BarPart], label: str) -> None:
    assert len(check(segmented_bar(segments, label)).findall(".//li")) == len(segments)


@given(st.lists(st.builds(StageSpan, LABELS, NUMBERS, NUMBERS, NUMBERS), max_size=9), LABELS)
def test_stages_of_any_times(spans: list[StageSpan], label: str) -> None:
    check(stage_line(spans, label))


@given(st.lists(HOPS, max_size=80), LABELS)
def test_paths_of_any_hops(hops: list[PathHop], label: str) -> None:
    root = check(network_path(hops, label))
    marks = len(root.findall(".//circle")) + len(root.findall(".//rect[@class='edge']"))
    assert marks == min(len(hops), 60)
    assert ("more hops" in "".join(root.itertext())) == (len(hops) > 60)


def test_a_day_that_nobody_counted_is_not_drawn_as_zero() -> None:
    days = [ChartDay("Mon", {"C": 5}), ChartDay("Tue", {"C": 0}, known=False)]
    text = columns_by_day(days, SERIES, "Findings", name="c")
    assert "Tue: not counted" in text
    assert table_rows(days, SERIES) == [["Tue", "not counted", "not counted"], ["Mon", "5", "0"]]


def test_columns_are_as_high_as_their_values() -> None:
    days = [ChartDay("Mon", {"C": 10, "H": 10}), ChartDay("Tue", {"C": 5, "H": 0})]
    root = check(columns_by_day(days, SERIES, "Findings", name="c"))
    heights = [float(rect.attrib["height"]) for rect in root.findall(".//svg/g/rect")]
    assert heights[0] == heights[1] == pytest.approx(2 * heights[2], rel=0.01)


def test_series_differ_by_more_than_colour() -> None:
    text = columns_by_day([ChartDay("Mon", {"C": 1, "H": 1})], SERIES, "Findings", name="c")
    fills = re.findall(r"<pattern.*?</pattern>", text)
    shapes = [re.sub(r'(id|class)="[^"]*"', "", fill) for fill in fills]
    assert len(set(shapes)) == len(SERIES)


def test_a_value_above_zero_can_be_seen() -> None:
    root = check(horizontal_bars([Bar("a", 1e6), Bar("b", 1), Bar("c", 0)], "Bars"))
    widths = [float(svg.findall("rect")[1].attrib["width"]) for svg in root.iter("svg")]
    assert widths[0] == 1000
    assert widths[1] > 0
    assert widths[2] == 0


def test_the_way_of_a_packet_is_in_its_order_with_its_rules() -> None:
    hops = [
        PathHop("igw-1", "Internet gateway", edge=True),
        PathHop("sg-1", "Security group", "sgr-22"),
        PathHop("i-1", "Instance", target=True),
    ]
    text = network_path(hops, "From igw-1 to i-1")
    assert text.index("igw-1") < text.index("sg-1") < text.index("opened by sgr-22")
    assert "Instance" in text
