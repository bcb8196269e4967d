"""Plans of faults, without a server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import UsageError
from sidelight.localcloud.faults import FaultKind, FaultOutcome, FaultPlan, Rule, spoil
from sidelight.localcloud.messages import Reply, Wreck

GET = "ebs:GetSnapshotBlock"


def hits(plan: FaultPlan, blocks: list[int]) -> dict[int, list[bool]]:
    found: dict[int, list[bool]] = {}
    for block in blocks:
        verdict = plan.judge(GET, "1", f"snap-1/{block}")
        found.setdefault(block, []).append(bool(verdict.before))
    return found


@given(seed=st.integers(0, 1000), order=st.permutations([n % 40 for n in range(120)]))
def test_the_same_seed_gives_the_same_faults_in_any_order(seed: int, order: list[int]) -> None:
    rule = Rule(FaultKind.THROTTLE, probability=0.3)
    expected = hits(FaultPlan([rule], seed=seed), sorted(order))
    assert hits(FaultPlan([rule], seed=seed), order) == expected


def test_other_seeds_give_other_faults() -> None:
    rule = Rule(FaultKind.THROTTLE, probability=0.3)
    blocks = list(range(200))
    first, second = (hits(FaultPlan([rule], seed=seed), blocks) for seed in (1, 2))
    assert first != second
    assert 30 < sum(sum(draws) for draws in first.values()) < 90


def test_nth_and_times_count_what_the_rule_matches() -> None:
    plan = FaultPlan(
        [Rule(FaultKind.SERVER_ERROR, operation="GetSnapshotBlock", nth=(2, 4), times=1)]
    )
    plan.judge("ebs:ListSnapshotBlocks", "1", "snap-1")
    assert [bool(plan.judge(GET, "1", f"snap-1/{n}").before) for n in range(5)] == [
        False,
        True,
        False,
        False,
        False,
    ]
    assert plan.injected == {("server_error", GET): 1}


def test_a_rule_minds_account_and_resource() -> None:
    plan = FaultPlan([Rule(FaultKind.CORRUPT, account="1", resource="snap-*/7")])
    assert plan.judge(GET, "1", "snap-9/7").after
    assert plan.judge(GET, "2", "snap-9/7") == FaultOutcome()
    assert plan.judge(GET, "1", "snap-9/70") == FaultOutcome()


def test_latencies_add_up() -> None:
    rules = [Rule(FaultKind.LATENCY, seconds=0.25), Rule(FaultKind.LATENCY, seconds=0.5)]
    assert FaultPlan(rules).judge(GET, "1", "") == FaultOutcome(seconds=0.75)


def test_spoiled_replies() -> None:
    body = bytes(range(100))
    assert spoil([Rule(FaultKind.SHORT)], Reply(200, body=body)).body == body[:50]
    corrupt = spoil([Rule(FaultKind.CORRUPT)], Reply(200, body=body)).body
    assert len(corrupt) == 100
    assert sum(a != b for a, b in zip(corrupt, body, strict=True)) == 1
    for kind in (FaultKind.SHORT, FaultKind.CORRUPT):
        assert spoil([Rule(kind)], Reply(400, body=body)).body == body
    assert spoil([Rule(FaultKind.TRUNCATE)], Reply(200, body=body)).wreck is Wreck.CUT
    assert spoil([Rule(FaultKind.LOST_ANSWER)], Reply(200, body=body)).wreck is Wreck.LOST


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"rules": 1},
        {"rules": [{}]},
        {"rules": [{"kind": "nonsense"}]},
        {"rules": [{"kind": "drop", "colour": 1}]},
        {"rules": [5]},
        {"rules": [{"kind": "drop", "nth": ["x"]}]},
        {"seed": "x"},
    ],
)
def test_what_is_no_plan_is_a_usage_error(data: Any) -> None:
    with pytest.raises(UsageError):
        FaultPlan.from_json(data)


def test_a_plan_comes_from_json() -> None:
    plan = FaultPlan.from_json({"seed": 3, "rules": [{"kind": "drop", "nth": [1]}]})
    assert plan.seed == 3
    assert plan.rules == (Rule(FaultKind.DROP, nth=(1,)),)
