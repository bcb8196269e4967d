"""One-object samples of describe answers from live accounts: each is read without a Problem."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidelight.reachability import Answers, Network
from sidelight.reachability.answers.stems import STEMS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.conformance

# Samples that describe something that AWS does not answer, or not alone.
_WITH_PROBLEMS = {"SecurityGroupTest", "TargetGroupTest"}


def test_recorded_objects_are_read_without_a_problem(shared_data: Path) -> None:
    folder = shared_data / "control-plane/reachability/batfish/single-shapes"
    samples = 0
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text())
        lists = {stem: found for stem, found in document.items() if stem in STEMS}
        if not lists or path.stem in _WITH_PROBLEMS:
            continue
        samples += 1
        network = Network.from_answers(Answers({("111111111111", "eu-west-1"): lists}))
        problems = [one for one in network.problems if "no answer" not in one.what]
        assert problems == [], path.name
    assert samples > 25
