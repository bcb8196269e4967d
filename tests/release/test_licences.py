"""Licences: what may be used, and what only an extra may need."""

from __future__ import annotations

import pytest

from release.licences import STRONG_EXTRA, closure, refused, report


def test_every_installed_dependency_may_be_used() -> None:
    licences, problems = report()
    assert problems == []
    assert licences["sqlalchemy"] == "MIT"
    assert any("AFFERO" in text.upper() or "AGPL" in text.upper() for text in licences.values())


def test_dissect_is_reached_by_the_extra_alone() -> None:
    assert "dissect-xfs" in closure("sidelight", {STRONG_EXTRA})
    others = closure("sidelight", {"local", "serve", "postgres", "sqs", "flower", "dev"})
    assert not [name for name in others if name.startswith("dissect")]
    assert {"boto3", "botocore", "starlette"} <= others


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("MIT", False), ("Apache-2.0 OR BSD-3-Clause", False), ("ISC License", False),
        ("AGPL-3.0-only", True), ("GNU Affero General Public License v3", True),
        ("GPL-3.0-only", True), ("LGPL-3.0", True), ("", True), ("Commercial", True),
    ],
)  # fmt: skip
def test_a_licence_of_another_kind_is_refused(text: str, ends: bool) -> None:
    assert bool(refused({"some": text}, {"some"})) == ends


def test_agpl_is_allowed_where_only_the_extra_needs_it() -> None:
    assert refused({"dissect-xfs": "AGPL-3.0"}, set()) == []
