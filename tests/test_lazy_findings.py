"""Findings that are read when they are used are as any others."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from typing import TYPE_CHECKING

import pytest

from sidelight.model import Finding
from sidelight.store.base import documents
from tests.fixtures.matches import CRITICAL, MEDIUM, found, osv, package

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_findings_can_be_kept_in_a_set(tmp_path: Path) -> None:
    records = [osv("GHSA-1", "npm", "a", vector=CRITICAL, references=[{"url": "https://x"}])]
    (finding,) = found(tmp_path, records, package("npm", "a", "1.0.0"))
    assert len({finding, replace(finding)}) == 1


@pytest.mark.parametrize(
    "use",
    [repr, hash, copy.copy, pickle.dumps, replace, documents.dump, lambda finding: finding],
    ids=["repr", "hash", "copy", "pickle", "replace", "stored", "compared"],
)
def test_a_finding_that_was_not_read_yet_is_as_any_other(
    tmp_path: Path, use: Callable[[Finding], object]
) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "a", "1.2", vector=MEDIUM, summary="Bad")]
    unread, read = (found(tmp_path, records, package("deb", "a", "1.0"))[0] for _ in range(2))
    read = Finding(**{member.name: getattr(read, member.name) for member in fields(Finding)})
    assert (read.title, read.cvss_score) == ("Bad", 6.1)
    assert use(unread) == use(read)


def test_a_finding_has_no_member_that_is_none_of_a_findings(tmp_path: Path) -> None:
    records = [osv("CVE-2024-0001", "Debian:12", "a", "1.2")]
    (finding,) = found(tmp_path, records, package("deb", "a", "1.0"))
    assert not hasattr(finding, "titel")
    with pytest.raises(FrozenInstanceError):
        finding.title = "x"  # type: ignore[misc]  # that it cannot be is what is tested
