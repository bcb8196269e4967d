"""A finding says how its versions compare."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dispatcher.console.pages.finding import version_order
from sidelight.model import Finding, Severity
from tests.fixtures.stored_findings import package


@pytest.mark.parametrize(
    ("ecosystem", "installed", "fixed", "text"),
    [
        ("npm", "7.9.0", "7.10.0", "7.9.0 is before 7.10.0, in the order semver."),
        ("Debian:12", "1.0~rc1-1", "1.0-1", "1.0~rc1-1 is before 1.0-1, in the order dpkg."),
        ("Debian:12", "2-1", "1-1", "In the order dpkg it is not before 1-1"),
        ("PyPI", "\u202e", "1", "the advisory's own ranges decide."),
        ("Nobody's", "1", "2", "the advisory's own ranges decide."),
        ("npm", "1.0.0", "", ""),
    ],
)
def test_the_order_of_versions_is_evidence(
    ecosystem: str, installed: str, fixed: str, text: str
) -> None:
    found = Finding("CVE-1", Severity.HIGH, package("a", installed), fixed, (), ecosystem=ecosystem)
    order = version_order(found)
    assert (text in order) if text else order == ""


def test_the_version_of_the_source_is_compared_where_its_own_is_later() -> None:
    built = replace(package("libc-bin", "9-1"), source_version="1-1")
    found = Finding("CVE-1", Severity.HIGH, built, "1-2", (), ecosystem="Debian:12")
    assert version_order(found) == "1-1 of its source is before 1-2, in the order dpkg."
