"""The style guide shows every part that pages are made of."""

from __future__ import annotations

import re

from dispatcher.console.rendering import TEMPLATES

MACRO = re.compile(r"{% macro (\w+)\(")
# What has no look of its own, is the frame of every page, or warns of the page that has it.
UNSEEN = {"token", "kept_fields", "kept_lines", "scope_menu", "cell", "column_class", "status_tone",
          "ignored_filters"}  # fmt: skip


def test_every_part_is_on_the_style_guide() -> None:
    parts = set(MACRO.findall((TEMPLATES / "parts.html").read_text()))
    guide = (TEMPLATES / "styleguide.html").read_text()
    missing = {name for name in parts - UNSEEN if f"ui.{name}(" not in guide}
    assert not missing
    assert parts >= UNSEEN
