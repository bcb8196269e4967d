"""The table of a scan's states."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sidelight.model import LIVE, TERMINAL, TRANSITIONS, Scan, State
from sidelight.store.scans.transitions import check


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("to", list(State))
def test_a_scan_goes_only_where_the_table_of_states_lets_it(state: State, to: State) -> None:
    now = datetime.now(UTC)
    scan = Scan(
        id="s", deployment="", account="1", region="r", instance="i-1", state=state,
        created_at=now, entered_at=now, next_at=now,
    )  # fmt: skip
    if to is state or to in TRANSITIONS[state]:
        check(scan, to)
        return
    with pytest.raises(ValueError, match=f"no scan goes from {state} to {to}"):
        check(scan, to)


def test_every_live_state_leads_to_an_end_and_no_end_leads_anywhere() -> None:
    for state in LIVE:
        reached: set[State] = set()
        begin = {state}
        while begin - reached:
            reached |= begin
            begin = {to for one in reached for to in TRANSITIONS[one]}
        assert TERMINAL & reached, state
    assert all(not TRANSITIONS[state] for state in TERMINAL)
