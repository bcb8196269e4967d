"""A network path from the edge inwards, hop by hop, with the rule that opens each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from dispatcher.console.charts.markup import clipped, element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

MOST_HOPS: Final = 60
WIDTH: Final = 340
_ROW: Final = 60
_RULED: Final = 84  # a hop with a rule
_X: Final = 18
_TEXT: Final = 44
_MOST: Final = 36  # characters of a line


@dataclass(frozen=True, slots=True)
class PathHop:
    """One object on the path. `rule` decides there, empty where no single rule does."""

    id: str
    kind: str
    rule: str = ""
    edge: bool = False
    target: bool = False


def network_path(hops: Sequence[PathHop], label: str) -> Markup:
    """Return the path from top to bottom: the edge a square, the target a filled circle."""
    shown = hops[:MOST_HOPS]
    tops, y = [], 8
    for hop in shown:
        tops.append(y)
        y += _RULED if hop.rule else _ROW
    shapes: list[Markup] = []
    for top, after in pairwise(tops):
        shapes += [
            element("line", x1=_X, x2=_X, y1=top + 22, y2=after + 2, class_="way"),
            element("path", d=f"M{_X - 4} {after - 4}L{_X} {after + 2}L{_X + 4} {after - 4}",
                    class_="way"),
        ]  # fmt: skip
    for hop, top in zip(shown, tops, strict=True):
        shapes += _hop(hop, top)
    left = len(hops) - len(shown)
    if left:
        shapes.append(element("text", f"{left} more hops", x=_TEXT, y=y + 12, class_="kind"))
        y += 24
    height = max(y, _ROW)
    return element(
        "svg", element("title", label),
        element("desc", " → ".join(clipped(hop.id, _MOST) for hop in shown) or "no path"),
        *shapes,
        class_="way-picture", viewBox=f"0 0 {WIDTH} {height}", width=WIDTH, height=height,
        role="img", aria_label=label,
    )  # fmt: skip


def _hop(hop: PathHop, top: int) -> list[Markup]:
    middle = top + 12
    if hop.edge:
        mark = element("rect", x=_X - 8, y=middle - 8, width=16, height=16, rx=2, class_="edge")
    else:
        mark = element("circle", cx=_X, cy=middle, r=8, class_="target" if hop.target else "hop")
    texts = [
        element("text", clipped(hop.kind, _MOST), x=_TEXT, y=top + 8, class_="kind"),
        element("text", clipped(hop.id, _MOST), element("title", hop.id), x=_TEXT, y=top + 26,
                class_="name"),
    ]  # fmt: skip
    if hop.rule:
        words = f"opened by {clipped(hop.rule, _MOST - 10)}"
        texts += [
            element("rect", x=_TEXT, y=top + 36, width=7 * len(words) + 16, height=22, rx=11,
                    class_="rule"),
            element("text", words, element("title", hop.rule), x=_TEXT + 8, y=top + 51,
                    class_="rule-name"),
        ]  # fmt: skip
    return [mark, *texts]
