"""Charts as SVG and HTML, made of numbers and labels. PURE.

No chart has a style of its own: classes and presentation attributes alone, as the content security
policy demands. Shapes stretch with their figure, text does not: labels are next to the picture.
A chart is a picture with a name for those who cannot see it; its page has the numbers as a table.
"""

from dispatcher.console.charts.bars import Bar, BarPart, horizontal_bars, segmented_bar
from dispatcher.console.charts.network_path import PathHop, network_path
from dispatcher.console.charts.stage_line import StageSpan, stage_line
from dispatcher.console.charts.trends import (
    ChartDay,
    ChartSeries,
    columns_by_day,
    sparkline,
    table_rows,
)

__all__ = [
    "Bar",
    "BarPart",
    "ChartDay",
    "ChartSeries",
    "PathHop",
    "StageSpan",
    "columns_by_day",
    "horizontal_bars",
    "network_path",
    "segmented_bar",
    "sparkline",
    "stage_line",
    "table_rows",
]
