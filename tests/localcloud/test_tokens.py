"""Page and block tokens."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.localcloud.clock import Clock
from sidelight.localcloud.tokens import BLOCK_SECONDS, PAGE_SECONDS, Tokens

FORM = re.compile(r"[A-Za-z0-9+/=]{1,256}")


@given(
    index=st.integers(0, 2**31 - 1), snapshot=st.from_regex(r"snap-[0-9a-f]{17}", fullmatch=True)
)
def test_a_block_token_opens_its_own_block_and_no_other(index: int, snapshot: str) -> None:
    tokens = Tokens(Clock())
    token = tokens.block(snapshot, index, tokens.block_expiry())
    assert FORM.fullmatch(token)
    assert tokens.check_block(token, snapshot, index)
    assert not tokens.check_block(token, snapshot, index + 1)
    assert not tokens.check_block(token, snapshot + "0", index)


@given(text=st.text(max_size=80) | st.binary(max_size=60).map(lambda b: b.hex()))
def test_what_we_did_not_give_is_refused(text: str) -> None:
    tokens = Tokens(Clock())
    assert not tokens.check_block(text, "snap-1", 0)
    assert tokens.check_page(text, "list snap-1") is None


def test_a_changed_character_spoils_a_token() -> None:
    tokens = Tokens(Clock())
    token = tokens.block("snap-1", 7, tokens.block_expiry())
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        assert not tokens.check_block(token[:place] + other + token[place + 1 :], "snap-1", 7)


@pytest.mark.parametrize("early", [1.0, 0.0])
def test_tokens_live_as_long_as_they_should(early: float) -> None:
    clock = Clock()
    tokens = Tokens(clock)
    page = tokens.page("list snap-1", 5, 2)
    block = tokens.block("snap-1", 5, tokens.block_expiry())
    clock.advance(PAGE_SECONDS - 60 * early)
    assert tokens.check_page(page, "list snap-1") == ((5, 2) if early else None)
    assert tokens.check_block(block, "snap-1", 5)
    clock.advance(BLOCK_SECONDS - PAGE_SECONDS)
    assert tokens.check_block(block, "snap-1", 5) == bool(early)


def test_a_page_token_goes_on_with_its_own_listing_only() -> None:
    tokens = Tokens(Clock())
    token = tokens.page("list snap-1", 5, 2)
    assert FORM.fullmatch(token)
    assert tokens.check_page(token, "list snap-2") is None
    assert tokens.check_page(token, "changed snap-1 snap-1") is None


def test_another_cloud_takes_no_token_of_this_one() -> None:
    tokens, others = Tokens(Clock()), Tokens(Clock())
    assert not others.check_block(tokens.block("snap-1", 0, tokens.block_expiry()), "snap-1", 0)
