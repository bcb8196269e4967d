"""Curves of growth: how each figure grows with the size."""

from __future__ import annotations

import argparse

import pytest

from benchmarks.growth import CURVES, exponent, lines


def test_an_exponent_says_how_a_figure_grows_with_the_size() -> None:
    assert exponent((10, 5), (100, 5)) == "^0.00"
    assert exponent((10, 5), (100, 50)) == "^1.00"
    assert exponent((10, 5), (100, 500)) == "^2.00"
    assert exponent((10, 0), (100, 500)) == ""


def test_a_curve_has_a_line_for_each_size_with_what_grew() -> None:
    points = [(10, {"MB": 5.0, "blocks": 2}), (1000, {"MB": 5.0, "blocks": 200})]
    title, first, second = lines(points)
    assert title.split() == ["size", "MB", "blocks"]
    assert first.split() == ["10", "5.00", "2.00"]
    assert second.split() == ["1,000", "5.00", "^0.00", "200.00", "^1.00"]


def test_a_figure_that_a_size_lacks_is_left_out() -> None:
    title, *_ = lines([(1, {"MB": 5.0, "rounds": 7}), (28, {"MB": 9.0})])
    assert title.split() == ["size", "MB"]


@pytest.mark.parametrize(("curve", "size", "named"), [("disk", 2, "list pages")])
def test_a_point_is_measured(curve: str, size: int, named: str) -> None:
    measure, _ = CURVES[curve]
    assert measure(size, argparse.Namespace())[named] >= 1
