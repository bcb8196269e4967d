"""docs/eligibility.md is the decision table that decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from dispatcher.planning.decision_document import filled

PAGE = Path(__file__).resolve().parents[2] / "docs" / "eligibility.md"


def test_the_page_s_tables_are_those_that_decide() -> None:
    written = PAGE.read_text("utf-8")
    command = "python -m dispatcher.planning.decision_document docs/eligibility.md"
    assert written == filled(written), f"run {command}"
    assert command in written


def test_a_page_without_a_table_s_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="facts"):
        filled("# Eligibility\n")
